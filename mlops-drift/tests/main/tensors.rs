//! Windows that reach the detector by way of a model's tensors.

use super::random::{Random, batch, floats, integers};
use mlops_core::{
    DriftDetector, ErrorKind,
    arrow::array::RecordBatch,
    drift::{Drift, Verdict},
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensors},
};
use mlops_drift::{
    Profile, ProfileDetector, ProfileDetectorConfig, ProfileOptions, profile::ColumnProfile,
};

/// A model with one packed input, as exports to ONNX have it.
fn signature() -> ModelSignature {
    let packed = TensorSpec::new("input", DType::F32, [None, Some(3)]);
    let packed = packed.with_columns(["age", "price", "state"]);
    ModelSignature::new(vec![packed], vec![TensorSpec::column("p", DType::F64)]).unwrap()
}

/// A number, a price in steps of 0.1, and a code, each with nulls.
fn rows(seed: u64, count: usize, shift: f64) -> RecordBatch {
    let mut random = Random::new(seed);
    let (mut ages, mut prices, mut states) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..count {
        let some = random.unit() > 0.05;
        ages.push(some.then(|| 40.0 + 12.0 * random.normal() + shift));
        let steps = f64::from(u32::try_from(random.choice(&[1.0; 30])).unwrap());
        prices.push((random.unit() > 0.05).then_some(steps / 10.0));
        states.push(some.then(|| i64::try_from(random.choice(&[6.0, 3.0, 1.0])).unwrap()));
    }
    batch(vec![("age", floats(ages)), ("price", floats(prices)), ("state", integers(states))])
}

/// What the record of a served request gives back: columns by the specification's names.
fn served(rows: &RecordBatch) -> RecordBatch {
    let signature = signature();
    let tensors = Tensors::from_batch(rows, &signature.inputs).unwrap();
    assert_eq!(tensors.len(), 1);
    tensors.to_batch(&signature.inputs).unwrap()
}

fn detector(reference: &RecordBatch) -> ProfileDetector {
    let reference = Profile::fit(std::slice::from_ref(reference), &ProfileOptions::default());
    ProfileDetector::open(ProfileDetectorConfig::default(), reference.unwrap()).unwrap()
}

fn after(detector: &ProfileDetector, window: &RecordBatch) -> (ProfileDetector, Drift) {
    let mut detector = detector.clone();
    detector.update(window).unwrap();
    let drift = detector.evaluate().unwrap();
    (detector, drift)
}

fn counts(column: &ColumnProfile<'_>) -> Vec<u64> {
    column.cells().iter().map(|cell| cell.count).collect()
}

#[test]
fn a_packed_input_is_judged_by_the_names_of_its_columns() {
    let reference = rows(1, 3000, 0.0);
    let detector = detector(&reference);
    let (_, still) = after(&detector, &served(&rows(2, 1500, 0.0)));
    assert_eq!(still.verdict, Verdict::Stable, "{still:?}");
    let (_, moved) = after(&detector, &served(&rows(3, 1500, 20.0)));
    let verdicts: Vec<(&str, Verdict)> =
        moved.parts.iter().map(|column| (column.name.as_ref(), column.verdict)).collect();
    let stable = Verdict::Stable;
    assert_eq!(verdicts, [("age", Verdict::Drifted), ("price", stable), ("state", stable)]);

    // Without names there is no column to find.
    let unnamed = Tensors::from_batch(&reference, &signature().inputs).unwrap();
    let error = detector.clone().update(&unnamed.to_batch(&[]).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "column \"age\" is missing");
}

/// 0.7 as a single is less than 0.7 as a double: cut at doubles, a third of the prices would lie
/// in another cell after their way through the tensor.
#[test]
fn the_way_through_a_tensor_of_singles_moves_no_row() {
    let (reference, window) = (rows(4, 3000, 0.0), rows(5, 1500, 0.3));
    for (fitted, looked_at) in [
        (reference.clone(), served(&window)),
        (served(&reference), window.clone()),
        (served(&reference), served(&window)),
    ] {
        let (own, drift) = after(&detector(&fitted), &looked_at);
        assert_eq!(drift.verdict, Verdict::Stable, "{drift:?}");
        let (direct, _) = after(&detector(&fitted), &window);
        for (own, direct) in own.window().columns().zip(direct.window().columns()) {
            assert_eq!(counts(&own), counts(&direct), "{}", own.name());
        }
    }
}

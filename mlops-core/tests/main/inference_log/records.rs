//! What was observed is read back, to the bit.

use super::{all, answer, ask, names, observe, open, risk, wait};
use mlops_core::{
    Digest, Error, ErrorKind, PredictionId,
    inference_log::{InferenceLog, InferenceLogConfig, LogReader},
    predictor::{Observer, PredictRequest, PredictResponse, PredictorInfo},
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
};
use proptest::{collection::vec, prelude::*};
use std::{
    sync::{Arc, Barrier},
    time::Duration,
};

/// Every type that a column has, with any bits: NaN payloads, infinities, negative zeros.
fn tensors(rows: usize) -> impl Strategy<Value = Tensors> {
    fn fixed(dtype: DType, shape: Vec<usize>) -> BoxedStrategy<Tensor> {
        let bytes = shape.iter().product::<usize>() * dtype.size().unwrap();
        let byte = if dtype == DType::Bool { 0..=1_u8 } else { 0..=u8::MAX };
        let tensor = move |bytes: Vec<u8>| {
            Tensor::from_buffer(dtype, shape.clone(), arrow_buffer::Buffer::from_vec(bytes))
                .unwrap()
        };
        vec(byte, bytes).prop_map(tensor).boxed()
    }
    use DType as D;
    let types = [
        D::Bool,
        D::U8,
        D::U16,
        D::U32,
        D::U64,
        D::I8,
        D::I16,
        D::I32,
        D::I64,
        D::F16,
        D::F32,
        D::F64,
    ];
    let mut all: Vec<BoxedStrategy<(String, Tensor)>> = Vec::new();
    for (at, dtype) in types.into_iter().enumerate() {
        let shape = match at % 3 {
            0 => vec![rows],
            1 => vec![rows, 3],
            _ => vec![rows, 2, 2],
        };
        all.push(fixed(dtype, shape).prop_map(move |tensor| (dtype.to_string(), tensor)).boxed());
    }
    let packed = fixed(D::F64, vec![rows, 2]).prop_map(|tensor| ("packed".to_owned(), tensor));
    let texts = vec("\\PC{0,5}", rows * 2)
        .prop_map(move |texts| ("texts".to_owned(), Tensor::from_strs([rows, 2], &texts).unwrap()));
    let bytes = vec(vec(any::<u8>(), 0..5), rows);
    let bytes = bytes.prop_map(move |items| {
        ("bytes".to_owned(), Tensor::from_byte_strings([rows, 1], &items).unwrap())
    });
    all.extend([packed.boxed(), texts.boxed(), bytes.boxed()]);
    all.prop_map(|pairs| {
        pairs
            .into_iter()
            .fold(Tensors::new(), |all, (name, tensor)| all.with(name, tensor).unwrap())
    })
}

fn specs(tensors: &Tensors) -> Vec<TensorSpec> {
    let spec = |(name, tensor): (&Arc<str>, &Tensor)| {
        let axes = tensor.shape().iter().skip(1).map(|&axis| Some(axis));
        let shape: Vec<_> = std::iter::once(None).chain(axes).collect();
        let spec = TensorSpec::new(name.clone(), tensor.dtype(), shape);
        if name.as_ref() == "packed" { spec.with_columns(["age", "income"]) } else { spec }
    };
    tensors.iter().map(spec).collect()
}

fn row_of(tensor: &Tensor, row: usize) -> (Vec<usize>, Vec<Vec<u8>>) {
    let mut shape = tensor.shape().to_vec();
    shape[0] = 1;
    let length = tensor.row_len();
    let items = if let Some(size) = tensor.dtype().size() {
        let size = length * size;
        vec![tensor.as_bytes().unwrap()[row * size..(row + 1) * size].to_vec()]
    } else {
        let items = tensor.byte_strings().unwrap();
        items.skip(row * length).take(length).map(<[u8]>::to_vec).collect()
    };
    (shape, items)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Declared or not, through a journal or a closed segment: every bit comes back.
    #[test]
    fn tensors_come_back_to_the_bit(
        (rows, inputs) in (1..4_usize).prop_flat_map(|rows| (Just(rows), tensors(rows))),
        declared: bool,
        closed: bool,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let log = open(folder.path());
        let signature = ModelSignature::new(specs(&inputs), specs(&inputs)).unwrap();
        let info = PredictorInfo::new("any", "1", signature);
        if declared {
            log.declare(&info, Some(Digest::of("package"))).unwrap();
        }
        let request = PredictRequest::new(inputs.clone()).with_id("mine").with_key("customer");
        let response =
            PredictResponse::new(PredictionId::from_u128(9), &info, &request, inputs.clone());
        log.observe(&request, Ok(&response), Duration::from_micros(77));
        wait(log.flush()).unwrap();
        let held = if closed { drop(log); None } else { Some(log) };

        let reader = LogReader::open(folder.path()).unwrap();
        for row in 0..rows {
            let record = reader.find(PredictionId::from_u128(9), u32::try_from(row).unwrap()).unwrap().unwrap();
            for found in [record.inputs().unwrap(), record.outputs().unwrap().unwrap()] {
                for ((name, given), (found_name, found)) in inputs.iter().zip(found.iter()) {
                    prop_assert_eq!(name, found_name);
                    prop_assert_eq!(row_of(given, row), row_of(found, 0), "{}", name);
                }
            }
            prop_assert_eq!((record.request.as_deref(), record.key.as_deref()), (Some("mine"), Some("customer")));
            prop_assert_eq!(record.took, Duration::from_micros(77));
            prop_assert_eq!(record.digest, declared.then(|| Digest::of("package")));
        }
        prop_assert!(reader.find(PredictionId::from_u128(9), u32::try_from(rows).unwrap()).unwrap().is_none());
        prop_assert!(reader.find(PredictionId::from_u128(8), 0).unwrap().is_none());
        drop(held);
    }
}

#[test]
fn a_packed_input_is_named_by_its_columns() {
    let folder = tempfile::tempdir().unwrap();
    let (log, info) = (open(folder.path()), risk("1"));
    log.declare(&info, None).unwrap();
    observe(&log, 1, &info, 0.25);
    drop(log);
    let record = LogReader::open(folder.path()).unwrap().find(PredictionId::from_u128(1), 0);
    let record = record.unwrap().unwrap();
    let schema = record.input_row().schema();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["age", "income"]);
    assert_eq!(record.signature, info.signature);
}

#[test]
fn a_swap_begins_a_segment_and_old_records_keep_their_form() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let old = risk("1");
    log.declare(&old, None).unwrap();
    observe(&log, 1, &old, 0.1);
    let x = TensorSpec::new("x", DType::F32, [None, Some(2)]).with_columns(["income", "debt"]);
    let outputs = vec![TensorSpec::column("p", DType::F32)];
    let new = PredictorInfo::new("risk", "2", ModelSignature::new(vec![x], outputs).unwrap());
    log.declare(&new, None).unwrap();
    // Both answer for a while, as in a canary.
    for id in 2..10 {
        observe(&log, id, if id % 2 == 0 { &new } else { &old }, 0.2);
    }
    drop(log);
    let records = folder.path().join("records");
    assert_eq!(names(&records).len(), 2, "{:?}", names(&records));
    let reader = LogReader::open(folder.path()).unwrap();
    let first = |id| {
        let record = reader.find(PredictionId::from_u128(id), 0).unwrap().unwrap();
        record.input_row().schema().field(0).name().clone()
    };
    assert_eq!((first(3).as_str(), first(4).as_str()), ("age", "income"));
}

#[test]
fn a_failed_request_is_logged_with_its_kind_and_what_fits() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let bad =
        PredictRequest::new(Tensors::one("y", Tensor::from_vec([2], vec![1_i64, 2]).unwrap()));
    let error = Error::invalid("input \"x\" is missing");
    log.observe(&bad, Err(&error), Duration::ZERO); // nothing is declared yet
    wait(log.flush()).unwrap();
    log.declare(&risk("7"), None).unwrap();
    log.observe(&bad, Err(&error), Duration::ZERO);
    log.observe(&ask(&[[1.0, 2.0]]), Err(&Error::unavailable("away")), Duration::ZERO);
    wait(log.flush()).unwrap();
    assert_eq!(log.counts().failed, 0);
    let versions: Vec<_> = all(folder.path()).into_iter().map(|(_, _, version)| version).collect();
    assert_eq!(versions, ["", "", "7", "7", "7"]);
    let last = all(folder.path()).pop().unwrap();
    let record = LogReader::open(folder.path()).unwrap().find(PredictionId::from_u128(last.0), 0);
    let record = record.unwrap().unwrap();
    assert_eq!(record.error.as_deref(), Some("Unavailable"));
    assert!(record.outputs().unwrap().is_none());
    assert_eq!(
        record.inputs().unwrap().require("x").unwrap().as_slice::<f32>().unwrap(),
        [1.0, 2.0]
    );
}

#[test]
fn a_full_queue_drops_counts_and_never_waits() {
    let folder = tempfile::tempdir().unwrap();
    // The writer's thread is held up by a clock that waits, so that the queue fills.
    let gate = Arc::new(Barrier::new(2));
    let clock = Arc::new(Gate { gate: Arc::clone(&gate), thread: std::thread::current().id() });
    let config =
        InferenceLogConfig::default().with_queue(8).with_clock(clock as Arc<dyn mlops_core::Clock>);
    let log = InferenceLog::open(folder.path(), config).unwrap();
    for id in 0..100 {
        observe(&log, id, &risk("1"), 0.5);
    }
    let counts = log.counts();
    assert_eq!(counts.accepted + counts.dropped, 100);
    assert!((8..=10).contains(&counts.accepted), "{counts:?}");
    gate.wait();
    let large = InferenceLogConfig::default().with_queue_bytes(1000);
    drop(log);
    let log = InferenceLog::open(folder.path(), large).unwrap();
    let request = ask(&[[0.0; 2]; 200]);
    log.observe(&request, Ok(&answer(1, &risk("1"), &request, &[0.0; 200])), Duration::ZERO);
    assert_eq!(log.counts().dropped, 1);
}

/// Waits once on any thread but that which made it.
#[derive(Debug)]
struct Gate {
    gate: Arc<Barrier>,
    thread: std::thread::ThreadId,
}

impl mlops_core::Clock for Gate {
    fn now(&self) -> mlops_core::Timestamp {
        mlops_core::SystemClock.now()
    }
    fn instant(&self) -> std::time::Instant {
        use std::sync::atomic::{AtomicBool, Ordering};
        static WAITED: AtomicBool = AtomicBool::new(false);
        if std::thread::current().id() != self.thread && !WAITED.swap(true, Ordering::SeqCst) {
            self.gate.wait();
        }
        std::time::Instant::now()
    }
}

#[test]
fn segments_close_by_rows_and_are_found_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let config = InferenceLogConfig::default().with_segment_rows(10_usize).with_flush_rows(5_usize);
    let log = InferenceLog::open(folder.path(), config).unwrap();
    let info = risk("1");
    log.declare(&info, None).unwrap();
    for id in 0..95 {
        observe(&log, id, &info, 0.5);
        if id % 5 == 4 {
            wait(log.flush()).unwrap();
        }
    }
    let records = folder.path().join("records");
    let count = |end: &str| names(&records).iter().filter(|name| name.ends_with(end)).count();
    assert_eq!((count(".arrow"), count(".journal")), (9, 1), "{:?}", names(&records));
    assert_eq!(all(folder.path()).len(), 95);
    let reader = LogReader::open(folder.path()).unwrap();

    // A damaged segment is named, and harms only those who look for something in it.
    let second = records.join(&names(&records)[1]);
    let mut bytes = std::fs::read(&second).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&second, bytes).unwrap();
    let error = reader.find(PredictionId::from_u128(12), 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(reader.find(PredictionId::from_u128(3), 0).unwrap().is_some());
    assert!(reader.find(PredictionId::from_u128(94), 0).unwrap().is_some());
}

#[test]
fn a_folder_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let error = InferenceLog::open(folder.path(), InferenceLogConfig::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    drop(log);
    drop(open(folder.path()));
    assert_eq!(LogReader::open(folder.path().join("x")).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn what_has_no_column_is_counted_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let brain = Tensor::from_buffer(DType::BF16, [1], arrow_buffer::Buffer::from_vec(vec![0_u16]));
    let request = PredictRequest::new(Tensors::one("x", brain.unwrap()));
    let info = PredictorInfo::new("m", "1", ModelSignature::default());
    let response =
        PredictResponse::new(PredictionId::from_u128(1), &info, &request, Tensors::new());
    log.observe(&request, Ok(&response), Duration::ZERO);
    let error = wait(log.flush()).unwrap_err();
    assert!(error.to_string().contains("bfloat16"), "{error}");
    assert_eq!(log.counts().failed, 1);
    wait(log.flush()).unwrap(); // said once
}

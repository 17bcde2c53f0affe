//! How a session runs: bits, threads, rows, the flag that stops it, bounds, mistakes.

use super::{
    Golden, cut,
    proto::{declared_output, initializer, input, model, node},
    run, why,
};
use mlops_core::{
    Clock, ErrorKind, SystemClock,
    arrow::buffer::Buffer,
    tensor::{Tensor, Tensors},
    testing::ManualClock,
};
use mlops_serve::{InferOptions, LoadOptions, Session, Stop, engines::tabular::TabularSession};
use proptest::{collection::vec, prelude::*, sample::Index};
use std::{
    sync::{Arc, LazyLock},
    thread,
    time::{Duration, Instant},
};

/// The bits of every output of one row, or its texts.
fn row_bits(outputs: &Tensors, row: usize) -> Vec<Vec<u8>> {
    let tensors = cut(outputs, row, row + 1);
    tensors.iter().map(|(_, tensor)| tensor.as_bytes().unwrap().to_vec()).collect()
}

#[test]
fn a_row_gives_the_same_bits_alone_and_among_others() {
    for golden in Golden::all() {
        let (session, inputs) = (golden.session(), golden.inputs());
        let together = run(&session, &inputs).unwrap();
        for row in (0..golden.rows()).step_by(37).chain([golden.rows() - 1]) {
            let alone = run(&session, &cut(&inputs, row, row + 1)).unwrap();
            assert_eq!(row_bits(&alone, 0), row_bits(&together, row), "{}, row {row}", golden.name);
        }
        let (from, to) = (golden.rows() / 3, golden.rows() / 2);
        let part = run(&session, &cut(&inputs, from, to)).unwrap();
        for row in from..to {
            let (given, wanted) = (row_bits(&part, row - from), row_bits(&together, row));
            assert_eq!(given, wanted, "{}, row {row}", golden.name);
        }
    }
}

/// Models with one packed input, and their features.
const PACKED: [(&str, usize); 8] = [
    ("boosting", 30),
    ("boosting_regressor", 10),
    ("forest", 30),
    ("lightgbm", 30),
    ("linear_regressor", 10),
    ("logistic", 30),
    ("mlp", 30),
    ("multiclass", 13),
];

static SESSIONS: LazyLock<Vec<TabularSession>> =
    LazyLock::new(|| PACKED.iter().map(|(name, _)| Golden::named(name).session()).collect());

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever bits the rows are of, in whatever company.
    #[test]
    fn any_bits_give_the_same_alone_and_in_any_batch(
        model in 0..PACKED.len(),
        bits in vec(prop_oneof![any::<u32>(), any::<i8>().prop_map(|x| f32::from(x).to_bits())], 30..600),
        from: Index,
    ) {
        let (session, width) = (&SESSIONS[model], PACKED[model].1);
        let rows = bits.len() / width;
        let values: Vec<f32> = bits[..rows * width].iter().map(|&bits| f32::from_bits(bits)).collect();
        let inputs = Tensors::one("features", Tensor::from_vec([rows, width], values).unwrap());
        let together = run(session, &inputs).unwrap();
        let from = from.index(rows);
        let part = run(session, &cut(&inputs, from, rows)).unwrap();
        for row in from..rows {
            let alone = run(session, &cut(&inputs, row, row + 1)).unwrap();
            prop_assert_eq!(row_bits(&alone, 0), row_bits(&together, row));
            prop_assert_eq!(row_bits(&part, row - from), row_bits(&together, row));
        }
    }
}

#[test]
fn any_number_of_threads_get_the_same_answer() {
    for golden in Golden::all() {
        let (session, inputs) = (golden.session(), cut(&golden.inputs(), 0, 500));
        let alone = run(&session, &inputs).unwrap();
        let bits =
            |outputs: &Tensors| (0..500).map(|row| row_bits(outputs, row)).collect::<Vec<_>>();
        let wanted = bits(&alone);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..3 {
                        assert_eq!(
                            bits(&run(&session, &inputs).unwrap()),
                            wanted,
                            "{}",
                            golden.name
                        );
                    }
                });
            }
        });
    }
}

#[test]
fn zero_rows_give_zero_rows() {
    for golden in Golden::all() {
        let session = golden.session();
        let none = run(&session, &cut(&golden.inputs(), 0, 0)).unwrap();
        let signature = &session.info().signature;
        assert_eq!(none.len(), signature.outputs.len());
        for ((_, tensor), spec) in none.iter().zip(&signature.outputs) {
            spec.check(tensor).unwrap();
            assert_eq!(tensor.rows(), 0, "{}", golden.name);
        }
    }
}

/// Every output has the type and shape that the signature says, for one row as for many.
#[test]
fn outputs_are_what_the_signature_says() {
    for golden in Golden::all() {
        let session = golden.session();
        for rows in [1, 2, 100] {
            let outputs = run(&session, &cut(&golden.inputs(), 0, rows)).unwrap();
            for ((name, tensor), spec) in outputs.iter().zip(&session.info().signature.outputs) {
                assert_eq!(*name, spec.name);
                spec.check(tensor).unwrap();
                assert_eq!((spec.shape[0], tensor.rows()), (None, rows), "{}", golden.name);
            }
        }
    }
}

#[test]
fn bytes_at_any_address_give_the_same_answer() {
    let mut misaligned = 0;
    for golden in Golden::all() {
        let (session, inputs) = (golden.session(), cut(&golden.inputs(), 0, 200));
        let wanted = run(&session, &inputs).unwrap();
        for offset in 0..16 {
            let mut moved = Tensors::new();
            for (name, tensor) in inputs.iter() {
                let tensor = match tensor.as_bytes() {
                    None => tensor.clone(),
                    Some(bytes) => {
                        let padded = Buffer::from_vec([&vec![0xff; offset], bytes].concat());
                        let buffer = padded.slice(offset);
                        let size = tensor.dtype().size().unwrap();
                        misaligned += usize::from(buffer.as_ptr().align_offset(size) != 0);
                        Tensor::from_buffer(tensor.dtype(), tensor.shape(), buffer).unwrap()
                    }
                };
                moved.push(Arc::clone(name), tensor).unwrap();
            }
            let given = run(&session, &moved).unwrap();
            for row in 0..200 {
                let name = &golden.name;
                assert_eq!(
                    row_bits(&given, row),
                    row_bits(&wanted, row),
                    "{name}, offset {offset}"
                );
            }
        }
    }
    assert!(misaligned > 50, "{misaligned} tensors were misaligned");
}

#[test]
fn outputs_come_in_the_order_asked() {
    let (session, inputs) = (Golden::named("forest").session(), Golden::named("forest").inputs());
    let inputs = cut(&inputs, 0, 10);
    let all = run(&session, &inputs).unwrap();
    let stop = Stop::new();
    let ask = |names: &[&str]| {
        let names: Vec<Arc<str>> = names.iter().map(|&name| Arc::from(name)).collect();
        session.run(&inputs, &InferOptions::new(&stop).with_outputs(&names))
    };
    let turned = ask(&["probabilities", "label"]).unwrap();
    let names: Vec<String> = turned.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["probabilities", "label"]);
    assert_eq!(ask(&["label"]).unwrap().require("label").unwrap(), all.require("label").unwrap());
    assert!(ask(&[]).unwrap().is_empty());
    assert_eq!(why(ask(&["odds"])), "the model has no output \"odds\"");
}

#[test]
fn a_mistake_is_named_and_the_next_call_succeeds() {
    let session = Golden::named("pipeline").session();
    let good = cut(&Golden::named("pipeline").inputs(), 0, 3);
    let but = |name: &str, tensor: Option<Tensor>| {
        let mut inputs = Tensors::new();
        for (own, value) in good.iter().filter(|(own, _)| own.as_ref() != name) {
            inputs.push(Arc::clone(own), value.clone()).unwrap();
        }
        if let Some(tensor) = tensor {
            inputs.push(name, tensor).unwrap();
        }
        let error = run(&session, &inputs).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(run(&session, &good).is_ok(), "after {error}");
        error.to_string()
    };
    let floats = |shape: [usize; 2]| Tensor::from_vec(shape, vec![0_f32; shape[0] * shape[1]]).ok();
    assert_eq!(but("site", None), "input \"site\" is missing");
    assert_eq!(but("colour", floats([3, 1])), "the model has no input \"colour\"");
    assert_eq!(but("grade", floats([3, 1])), "tensor \"grade\" has type float32, not int64");
    assert_eq!(
        but("mean_radius", floats([3, 2])),
        "tensor \"mean_radius\" has shape [3, 2], not [-1, 1]"
    );
    assert_eq!(
        but("mean_radius", floats([2, 1])),
        "tensor \"mean_radius\" has 2 rows, \"mean_texture\" has 3"
    );
    let latin = Tensor::from_byte_strings([3, 1], &[&b"left"[..], b"\xff", b""]).ok();
    assert_eq!(but("site", latin), "tensor \"site\" has type bytes, not str");
}

/// What a caller looks up is the caller's: which one does not exist is said, and not what it is.
#[test]
fn a_position_that_is_none_is_named_by_its_place() {
    let table = initializer("table", 1, &[3, 1], &[0; 12]);
    let lookup = node("Gather", &["table", "id"], &["y"], &[]);
    let file = model(&[table, input("id", 7, &[-1]), lookup, declared_output("y", 1, &[-1, 1])]);
    let session = TabularSession::from_onnx(&file).unwrap();
    let ids =
        |ids: &[i64]| Tensors::one("id", Tensor::from_vec([ids.len()], ids.to_vec()).unwrap());
    assert!(run(&session, &ids(&[0, -3, 2])).is_ok());
    for wrong in [4711, -4711, i64::MIN, 3] {
        let error = run(&session, &ids(&[1, wrong])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let named = "operator ai.onnx.Gather (node \"the Gather\")";
        let why = format!("{named}: element 1 is no position on an axis of length 3");
        assert_eq!(error.to_string(), why);
    }
}

#[test]
fn a_call_can_be_stopped() {
    let golden = Golden::named("boosting");
    let session = golden.session();
    let stop = Stop::new();
    stop.stop();
    let error = session.run(&golden.inputs(), &InferOptions::new(&stop)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);

    // Enough rows to take seconds, told to stop on the way.
    let (many, stop) = (repeated(&golden.inputs(), 60), Stop::new());
    thread::scope(|scope| {
        let running = scope.spawn(|| session.run(&many, &InferOptions::new(&stop)));
        thread::sleep(Duration::from_millis(30));
        stop.stop();
        let error = running.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    });
    // The flag belongs to the call, not to the session.
    assert!(run(&session, &cut(&golden.inputs(), 0, 5)).is_ok());
}

#[test]
fn a_deadline_ends_a_call() {
    let golden = Golden::named("boosting");
    let (session, inputs) = (golden.session(), golden.inputs());
    let clock = Arc::new(ManualClock::default());
    let deadline = clock.instant() + Duration::from_secs(1);
    let stop = Stop::new().with_deadline(deadline, Arc::clone(&clock) as _);
    assert!(session.run(&cut(&inputs, 0, 5), &InferOptions::new(&stop)).is_ok());
    clock.advance(Duration::from_secs(1));
    let error = session.run(&inputs, &InferOptions::new(&stop)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);

    // On the way: rows enough for seconds, a deadline after some of them.
    let many = repeated(&inputs, 60);
    let began = Instant::now();
    let stop = Stop::new().with_deadline(began + Duration::from_millis(50), Arc::new(SystemClock));
    let error = session.run(&many, &InferOptions::new(&stop)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(began.elapsed() >= Duration::from_millis(50));
}

/// The rows of the only input, so many times.
fn repeated(inputs: &Tensors, times: usize) -> Tensors {
    let features = inputs.require("features").unwrap();
    let bytes = features.as_bytes().unwrap().repeat(times);
    let shape = [features.rows() * times, features.row_len()];
    let tensor = Tensor::from_buffer(features.dtype(), shape, Buffer::from_vec(bytes));
    Tensors::one("features", tensor.unwrap())
}

#[test]
fn a_call_takes_no_more_memory_than_it_may() {
    let golden = Golden::named("mlp");
    let options = LoadOptions::default().with_max_working_bytes(100_000);
    let session = TabularSession::load(&golden.onnx(), &options).unwrap();
    assert!(run(&session, &cut(&golden.inputs(), 0, 100)).is_ok());
    let error = run(&session, &golden.inputs()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(run(&session, &cut(&golden.inputs(), 0, 100)).is_ok());
}

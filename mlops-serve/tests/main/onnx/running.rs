//! Calls beside each other, and calls that nobody waits for.

use super::{corpus::named, engine, load, products, rows};
use crate::{
    doubles::block_on,
    tabular::{
        proto::{declared_output, initializer, input, model, node},
        run,
    },
};
use mlops_core::{
    ErrorKind, Predictor, SystemClock,
    predictor::PredictRequest,
    tensor::{DType, Tensor, Tensors},
};
use mlops_serve::{
    InferOptions, LoadOptions, LocalConfig, LocalPredictor, Session, Stop,
    engines::onnx::OnnxConfig,
};
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// So many products that a call takes seconds.
const LONG: usize = 10_000;

#[test]
fn a_call_that_is_told_to_stop_ends_and_the_session_goes_on() {
    let Some(engine) = engine("a_call_that_is_told_to_stop_ends") else { return };
    let session = load(&engine, &products(LONG)).unwrap();
    for _ in 0..2 {
        let (stop, inputs) = (Stop::new(), rows(4096));
        let ended = thread::scope(|scope| {
            let running = scope.spawn(|| session.run(&inputs, &InferOptions::new(&stop)));
            thread::sleep(Duration::from_millis(50));
            stop.stop();
            running.join().unwrap().unwrap_err()
        });
        assert_eq!(ended.kind(), ErrorKind::Cancelled, "{ended}");
        assert_eq!(run(&session, &rows(1)).unwrap().len(), 1);
    }
}

#[test]
fn a_deadline_ends_a_call_and_the_session_goes_on() {
    let Some(engine) = engine("a_deadline_ends_a_call") else { return };
    let session = load(&engine, &products(LONG)).unwrap();
    let soon = Instant::now() + Duration::from_millis(50);
    let stop = Stop::new().with_deadline(soon, Arc::new(SystemClock));
    let ended = session.run(&rows(4096), &InferOptions::new(&stop)).unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::TimedOut, "{ended}");
    // One that has passed computes nothing.
    let ended = session.run(&rows(4096), &InferOptions::new(&stop)).unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::TimedOut);
    assert_eq!(run(&session, &rows(1)).unwrap().len(), 1);
}

#[test]
fn who_waits_for_a_session_may_leave_and_no_more_wait_than_may() {
    let Some(engine) = engine("who_waits_for_a_session_may_leave") else { return };
    let engine = engine.with_config(OnnxConfig::default().with_max_waiting(1));
    let session = load(&engine, &products(LONG)).unwrap();
    let (first, second, inputs) = (Stop::new(), Stop::new(), rows(4096));
    thread::scope(|scope| {
        let running = scope.spawn(|| session.run(&inputs, &InferOptions::new(&first)));
        while !format!("{session:?}").contains("Pool(0 free, 0 waiting)") {
            thread::yield_now();
        }
        let waiting = scope.spawn(|| session.run(&inputs, &InferOptions::new(&second)));
        while !format!("{session:?}").contains("Pool(0 free, 1 waiting)") {
            thread::yield_now();
        }
        let third = run(&session, &inputs).unwrap_err();
        assert_eq!(third.kind(), ErrorKind::Overloaded, "{third}");
        second.stop();
        assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
        first.stop();
        assert_eq!(running.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    });
}

/// A caller who has gone takes the computation along, by way of a dropped future.
#[test]
fn a_dropped_future_ends_its_run() {
    let Some(engine) = engine("a_dropped_future_ends_its_run") else { return };
    let session = Arc::new(load(&engine, &products(LONG)).unwrap());
    let config = LocalConfig::default().with_warm_up_rows(0);
    let predictor = LocalPredictor::open("long", "1", Arc::clone(&session) as _, &config).unwrap();
    let mut future = predictor.predict(PredictRequest::new(rows(4096)));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    drop(future);
    // It waits for the session, which comes free.
    let answer = block_on(predictor.predict(PredictRequest::new(rows(1)))).unwrap();
    assert_eq!(answer.outputs.len(), 1);
}

#[test]
fn eight_threads_share_two_sessions() {
    let Some(engine) = engine("eight_threads_share_two_sessions") else { return };
    let engine = engine.with_config(OnnxConfig::default().with_sessions(2));
    let model = named("torch_attention");
    let session = engine.load_file(&model.file, &LoadOptions::default()).unwrap();
    let wanted = run(&*session, &model.inputs).unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert!(run(&*session, &model.inputs).unwrap() == wanted);
                }
            });
        }
    });
    assert!(format!("{session:?}").contains("Pool(2 free, 0 waiting)"));
}

#[test]
fn more_threads_give_the_same_shapes() {
    let Some(engine) = engine("more_threads_give_the_same_shapes") else { return };
    let config = OnnxConfig::default().with_intra_op_threads(2).with_inter_op_threads(2);
    let model = named("torch_cnn");
    let session = engine.with_config(config).load_file(&model.file, &LoadOptions::default());
    let outputs = run(&*session.unwrap(), &model.inputs).unwrap();
    assert_eq!(outputs.require("y").unwrap().shape(), [6, 10]);
}

/// Every type that both sides know goes in and comes out, also without rows.
#[test]
fn every_type_comes_back() {
    let Some(engine) = engine("every_type_comes_back") else { return };
    let types = [
        (1, DType::F32),
        (2, DType::U8),
        (3, DType::I8),
        (4, DType::U16),
        (5, DType::I16),
        (6, DType::I32),
        (7, DType::I64),
        (9, DType::Bool),
        (10, DType::F16),
        (11, DType::F64),
        (12, DType::U32),
        (13, DType::U64),
        (16, DType::BF16),
    ];
    for (number, dtype) in types {
        let file = model(&[
            input("x", number, &[-1, 3]),
            node("Identity", &["x"], &["y"], &[]),
            declared_output("y", number, &[-1, 3]),
        ]);
        let session = load(&engine, &file).unwrap();
        let size = dtype.size().unwrap();
        for rows in [2, 1, 0_usize] {
            let bytes: Vec<u8> =
                (0..rows * 3 * size).map(|at| u8::try_from(at % 2).unwrap()).collect();
            let x = Tensor::from_buffer(dtype, [rows, 3], bytes.into()).unwrap();
            let outputs = run(&session, &Tensors::one("x", x.clone())).unwrap();
            assert!(outputs.require("y").unwrap() == &x, "{dtype}, {rows} rows");
        }
    }
}

#[test]
fn texts_come_back_and_a_zero_character_is_named() {
    let Some(engine) = engine("texts_come_back") else { return };
    let file = model(&[
        input("x", 8, &[-1]),
        node("Identity", &["x"], &["y"], &[]),
        declared_output("y", 8, &[-1]),
    ]);
    let session = load(&engine, &file).unwrap();
    let texts =
        |texts: &[&str]| Tensors::one("x", Tensor::from_strs([texts.len()], texts).unwrap());
    for given in [&["", "Zürich", "a b"][..], &["東京"], &[]] {
        let outputs = run(&session, &texts(given)).unwrap();
        assert_eq!(outputs.require("y").unwrap().strs().unwrap(), given);
    }
    let error = run(&session, &texts(&["a", "secret\0"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let wanted = "element 1 of input \"x\" holds a zero character, which ONNX Runtime cannot take";
    assert_eq!(error.to_string(), wanted);
}

/// Booleans of a file may be any bytes; they come out as 0 and 1.
#[test]
fn a_boolean_is_zero_or_one() {
    let Some(engine) = engine("a_boolean_is_zero_or_one") else { return };
    let file = model(&[
        input("x", 9, &[-1, 3]),
        initializer("c", 9, &[1, 3], &[0, 2, 255]),
        node("Identity", &["c"], &["y"], &[]),
        node("Not", &["x"], &["z"], &[]),
        declared_output("y", 9, &[1, 3]),
        declared_output("z", 9, &[-1, 3]),
    ]);
    let session = load(&engine, &file).unwrap();
    let x = Tensor::from_bools([1, 3], &[true, false, true]).unwrap();
    let outputs = run(&session, &Tensors::one("x", x)).unwrap();
    assert_eq!(outputs.require("y").unwrap().as_bytes().unwrap(), [0, 1, 1]);
}

/// What fits the signature and not the model is the caller's mistake; no value is quoted.
#[test]
fn a_value_that_the_model_cannot_take_is_not_quoted() {
    let Some(engine) = engine("a_value_that_the_model_cannot_take_is_not_quoted") else { return };
    let model = named("torch_bag");
    let session = engine.load_file(model.file, &LoadOptions::default()).unwrap();
    let words = Tensor::from_vec([1, 2], vec![3_i64, 987_654]).unwrap();
    let error = run(&*session, &Tensors::one("words", words)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let message = error.to_string();
    assert!(message.contains("of operator Gather") && !message.contains("987654"), "{message}");
    assert!(std::error::Error::source(&error).is_none());
}

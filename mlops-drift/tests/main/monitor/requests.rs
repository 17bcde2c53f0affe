//! A watched predictor: what threads count as it answers.

use super::{Bench, HOUR};
use crate::random::Random;
use mlops_core::{
    ErrorKind, Observer, Predictor,
    arrow::array::RecordBatch,
    predictor::{PredictRequest, PredictResponse},
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
    testing::{FnPredictor, ManualClock},
};
use mlops_drift::{Monitor, MonitorConfig, Profile, ProfileOptions};
use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

/// Two numbers packed side by side and a word go in, their sum comes out.
fn model() -> FnPredictor {
    let packed = TensorSpec::new("x", DType::F32, vec![None, Some(2)]);
    let inputs = vec![packed.with_columns(["a", "b"]), TensorSpec::column("word", DType::Utf8)];
    let outputs = vec![TensorSpec::column("sum", DType::F64)];
    FnPredictor::new("sums", ModelSignature::new(inputs, outputs).unwrap(), |inputs| {
        let rows = inputs.require("x")?.as_slice::<f32>()?.chunks(2);
        let sums: Vec<f64> = rows.map(|row| f64::from(row[0]) + f64::from(row[1])).collect();
        Ok(Tensors::one("sum", Tensor::from_vec([sums.len()], sums)?))
    })
}

fn asked(random: &mut Random, rows: usize, shift: f64) -> Tensors {
    #[expect(clippy::cast_possible_truncation, reason = "rounding is wanted")]
    let values = (0..2 * rows).map(|_| (random.normal() + shift) as f32).collect();
    let words: Vec<&str> = (0..rows).map(|_| ["yes", "no"][random.choice(&[0.7, 0.3])]).collect();
    Tensors::one("x", Tensor::from_vec([rows, 2], values).unwrap())
        .with("word", Tensor::from_strs([rows], &words).unwrap())
        .unwrap()
}

fn answer(predictor: &dyn Predictor, inputs: Tensors) -> PredictResponse {
    let future = predictor.predict(PredictRequest::new(inputs));
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(response) => response.unwrap(),
        Poll::Pending => unreachable!("it computes at once"),
    }
}

/// The rows that a request and its answer make, as a table.
fn table(inputs: &Tensors, response: &PredictResponse) -> RecordBatch {
    let signature = model().info().signature.clone();
    let (left, right) = (
        inputs.to_batch(&signature.inputs).unwrap(),
        response.outputs.to_batch(&signature.outputs).unwrap(),
    );
    let columns = [left, right].map(|batch| {
        let schema = batch.schema();
        let names = schema.fields().iter().map(|field| field.name().clone());
        names.zip(batch.columns().to_vec()).collect::<Vec<_>>()
    });
    RecordBatch::try_from_iter(columns.concat()).unwrap()
}

fn reference(random: &mut Random) -> Profile {
    let inputs = asked(random, 5_000, 0.0);
    let response = answer(&model(), inputs.clone());
    Profile::fit(&[table(&inputs, &response)], &ProfileOptions::default()).unwrap()
}

#[test]
fn threads_count_what_is_asked_and_answered_to_the_same_bytes_as_a_table() {
    let mut random = Random::new(31);
    let reference = reference(&mut random);
    let monitor = Monitor::new(reference.clone(), MonitorConfig::default()).unwrap();
    let watched = monitor.wrap(Arc::new(model())).unwrap();
    let mut whole = Profile::empty_like(&reference);
    let requests: Vec<Tensors> = (0..80).map(|_| asked(&mut random, 7, 0.0)).collect();
    for inputs in &requests {
        whole.update(&table(inputs, &answer(&model(), inputs.clone()))).unwrap();
    }
    thread::scope(|scope| {
        let watched = &watched;
        for part in requests.chunks(20) {
            scope.spawn(move || {
                for inputs in part {
                    answer(&**watched, inputs.clone());
                }
            });
        }
    });
    assert_eq!(monitor.hand_over().unwrap().to_bytes().unwrap(), whole.to_bytes().unwrap());
    assert_eq!(monitor.status().missed_rows, 0);
    assert_eq!(watched.info().name.as_ref(), "sums");
}

#[test]
fn a_shift_of_requests_is_found_in_its_input_and_in_the_answer() {
    let mut random = Random::new(32);
    let clock = Arc::new(ManualClock::default());
    let config = MonitorConfig::default().with_clock(clock.clone()).with_sampling(0.5);
    let monitor = Monitor::new(reference(&mut random), config).unwrap();
    let observer = monitor.observer(&model().info().signature).unwrap();
    let mut alarms = monitor.alarms();
    let mut pass = |shift: f64| {
        for _ in 0..10 {
            for _ in 0..100 {
                let request = PredictRequest::new(asked(&mut random, 20, shift));
                let response = answer(&model(), request.inputs.clone());
                observer.observe(&request, Ok(&response), Duration::ZERO);
            }
            clock.advance(HOUR);
            monitor.look().unwrap();
        }
    };
    pass(0.0);
    assert!(alarms.try_next().is_none());
    pass(0.3);
    let mut columns: Vec<_> =
        std::iter::from_fn(|| alarms.try_next()).map(|alarm| alarm.column().clone()).collect();
    columns.sort();
    assert_eq!(columns.iter().map(|name| &**name).collect::<Vec<_>>(), ["a", "b", "sum"]);
}

#[test]
fn a_column_that_no_request_has_is_named_and_what_cannot_be_read_is_missed() {
    let mut bench = Bench::open(|config| config);
    let error = bench.monitor.wrap(Arc::new(model())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("\"income\""), "{error}");
    let monitor = Monitor::new(reference(&mut bench.random), MonitorConfig::default()).unwrap();
    let observer = monitor.observer(&model().info().signature).unwrap();
    let request = PredictRequest::new(asked(&mut bench.random, 3, 0.0));
    let mut response = answer(&model(), request.inputs.clone());
    response.outputs = Tensors::new();
    observer.observe(&request, Ok(&response), Duration::ZERO);
    assert_eq!(monitor.status().missed_rows, 3);
}

#[test]
fn a_watch_looks_by_itself_and_stops() {
    let mut random = Random::new(33);
    let monitor = Monitor::new(reference(&mut random), MonitorConfig::default()).unwrap();
    let watched = monitor.wrap(Arc::new(model())).unwrap();
    answer(&*watched, asked(&mut random, 2_000, 1.0));
    let mut alarms = monitor.alarms();
    let watch = monitor.watch(Duration::from_millis(1)).unwrap();
    while monitor.status().windows == 0 {
        thread::yield_now();
    }
    drop(watch);
    assert!(alarms.try_next().is_some());
}

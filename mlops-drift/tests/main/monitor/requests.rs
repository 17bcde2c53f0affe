//! A watched predictor: what threads count as it answers.

use super::{Bench, HOUR};
use crate::random::Random;
use mlops_core::{
    Clock, ErrorKind, Observer, Predictor, Timestamp,
    arrow::array::RecordBatch,
    predictor::{PredictRequest, PredictResponse},
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
    testing::{FnPredictor, ManualClock},
};
use mlops_drift::{
    Monitor, MonitorConfig, Profile, ProfileOptions,
    monitor::{Season, Strata},
};
use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
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

/// A hundred requests a second, and a look as often: the monitor has earned an hour's error and a
/// minute's.
#[test]
fn a_shift_by_a_fifth_of_a_deviation_is_told_within_ten_thousand_requests() {
    let mut random = Random::new(35);
    let clock = Arc::new(ManualClock::default());
    let config = MonitorConfig::default().with_clock(clock.clone());
    let monitor = Monitor::new(reference(&mut random), config).unwrap();
    let watched = monitor.wrap(Arc::new(model())).unwrap();
    let mut alarms = monitor.alarms();
    let mut told_after = |shift: f64| {
        (0..100).find_map(|second| {
            for _ in 0..100 {
                answer(&*watched, asked(&mut random, 1, shift));
            }
            clock.advance(Duration::from_secs(1));
            monitor.look().unwrap();
            alarms.try_next().map(|alarm| (100 * (second + 1), alarm.column().to_string()))
        })
    };
    assert_eq!(told_after(0.0), None);
    let (requests, column) = told_after(0.2).expect("an alarm within ten thousand requests");
    println!("{column} after {requests} requests");
    assert!(["a", "b", "sum"].contains(&&*column), "{column}");
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

#[test]
fn a_type_that_cannot_be_counted_is_refused_by_name() {
    let mut random = Random::new(34);
    let monitor = Monitor::new(reference(&mut random), MonitorConfig::default()).unwrap();
    let refused = |packed: DType, word: DType, sum: DType| {
        let packed = TensorSpec::new("x", packed, vec![None, Some(2)]).with_columns(["a", "b"]);
        let inputs = vec![packed, TensorSpec::column("word", word)];
        let signature = ModelSignature::new(inputs, vec![TensorSpec::column("sum", sum)]).unwrap();
        monitor.observer(&signature).err().map(|error| {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            error.to_string()
        })
    };
    let (text, double) = (DType::Utf8, DType::F64);
    for fine in [DType::F32, DType::U64, DType::I8, DType::Bool] {
        assert_eq!(refused(fine, text, double), None, "{fine}");
    }
    for cannot in [DType::F16, DType::BF16, DType::Bytes] {
        let error = refused(cannot, text, double).unwrap();
        let start = format!("column \"a\" is {cannot} in the model's signature, which");
        assert!(error.starts_with(&start), "{error}");
    }
    let error = refused(DType::F32, DType::I32, double).unwrap();
    assert!(error.contains("\"word\" is int32") && error.ends_with("counts text"), "{error}");
    let error = refused(DType::F32, text, text).unwrap();
    assert!(error.contains("\"sum\" is str") && error.ends_with("counts numbers"), "{error}");
    // Whole numbers without a sign are counted as others are.
    let numbers = ModelSignature::new(
        vec![TensorSpec::column("n", DType::U64)],
        vec![TensorSpec::column("m", DType::F64)],
    );
    let counted = crate::random::integers((0..600).map(|row| Some(row % 200)));
    let table = crate::random::batch(vec![("n", counted)]);
    let reference = Profile::fit(&[table], &ProfileOptions::default()).unwrap();
    let monitor = Monitor::new(reference, MonitorConfig::default()).unwrap();
    let observer = monitor.observer(&numbers.unwrap()).unwrap();
    let tensor = Tensor::from_vec([3], vec![1_u64, 2, 700]).unwrap();
    let request = PredictRequest::new(Tensors::one("n", tensor));
    observer.observe(&request, Ok(&answer(&model(), asked(&mut random, 3, 0.0))), Duration::ZERO);
    let rows = monitor.hand_over().unwrap();
    assert_eq!((rows.rows(), monitor.status().missed_rows), (3, 0));
    assert_eq!(rows.column("n").unwrap().counts().last(), Some(&1), "700 lies above");
}

/// A clock that panics while it is told to.
#[derive(Debug, Default)]
struct Broken(AtomicBool);

impl Clock for Broken {
    fn now(&self) -> Timestamp {
        assert!(!self.0.load(Relaxed), "on purpose");
        Timestamp::from_unix_millis(0)
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }
}

#[test]
fn a_look_that_panics_is_counted_and_the_watch_goes_on() {
    let mut random = Random::new(35);
    let clock = Arc::new(Broken::default());
    let config = MonitorConfig::default().with_clock(Arc::<Broken>::clone(&clock));
    let monitor = Monitor::new(reference(&mut random), config).unwrap();
    let watched = monitor.wrap(Arc::new(model())).unwrap();
    clock.0.store(true, Relaxed);
    let watch = monitor.watch(Duration::from_millis(1)).unwrap();
    while monitor.status().failed_looks == 0 {
        thread::yield_now();
    }
    clock.0.store(false, Relaxed);
    answer(&*watched, asked(&mut random, 2_000, 1.0));
    while monitor.status().windows == 0 {
        thread::yield_now();
    }
    drop(watch);
}

#[test]
fn requests_are_of_the_hour_in_which_they_came_however_late_somebody_looks() {
    let mut random = Random::new(36);
    let clock = Arc::new(ManualClock::default());
    let rows = [0.0, 3.0].map(|shift| {
        let inputs = asked(&mut random, 3_000, shift);
        table(&inputs, &answer(&model(), inputs.clone()))
    });
    let reference = Profile::fit(&rows, &ProfileOptions::default()).unwrap();
    let mut strata = Strata::new(&reference, Season::HourOfDay);
    for (hour, rows) in (0_u32..).zip(&rows) {
        strata.update(rows, clock.now().plus(hour * HOUR)).unwrap();
    }
    let config = MonitorConfig::default().with_clock(clock.clone()).with_strata(strata);
    let monitor = Monitor::new(reference, config).unwrap();
    let mut alarms = monitor.alarms();
    let watched = monitor.wrap(Arc::new(model())).unwrap();
    for shift in [0.0, 3.0] {
        answer(&*watched, asked(&mut random, 600, shift));
        clock.advance(HOUR);
    }
    assert!(monitor.look().unwrap());
    assert!(alarms.try_next().is_none(), "{:?}", monitor.drift());
    assert_eq!(monitor.last_window().unwrap().rows(), 1_200);
    assert_eq!(monitor.status().missed_rows, 0);
}

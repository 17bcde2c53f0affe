//! The handle of a run: what is accepted is written, what is acknowledged is there, what is left fails.

#[path = "active_run/book.rs"]
pub(crate) mod book;
#[cfg(all(feature = "tracing", feature = "system-metrics"))]
#[path = "active_run/measured.rs"]
mod measured;
#[cfg(all(feature = "pipeline", feature = "testing"))]
#[path = "active_run/memory.rs"]
mod memory;

use book::Book;
use mlops_core::{
    Digest, Error, ErrorKind, Result,
    model::PackageBuilder,
    tracker::{ActiveRun, DatasetInput, FAILURE_TAG, RunOptions, RunStatus, TrackerExt, WhenFull},
};
use std::{
    fs,
    future::Future,
    pin::pin,
    sync::{Arc, atomic::Ordering::SeqCst},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

/// A host without any runtime: parks the thread until the future is woken.
fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// A long interval, so that nothing is written by chance.
fn options() -> RunOptions {
    RunOptions::new().with_flush_interval(Duration::from_hours(1))
}

fn start(book: &Arc<Book>, options: RunOptions) -> ActiveRun {
    wait(book.start_run("it's income", options)).unwrap()
}

#[test]
fn metrics_are_accepted_written_in_batches_and_acknowledged() {
    let book = Arc::new(Book::default());
    let run = start(&book, options().with_batch(100_usize).with_name("mlp-64").with_seed(7_u64));
    let id = run.id();
    for step in 0..950 {
        wait(run.log_metric("loss", 1.0 / f64::from(step + 1), step)).unwrap();
    }
    wait(run.log_metric("odd", f64::NAN, 1)).unwrap();
    wait(run.flush()).unwrap();
    let wanted: Vec<_> =
        (0..950).map(|step| (i64::from(step), 1.0 / f64::from(step + 1))).collect();
    assert_eq!(book.points(id, "loss"), wanted);
    assert!(book.points(id, "odd")[0].1.is_nan());
    assert!((10..=11).contains(&book.batches.load(SeqCst)) && book.largest() == 100);

    wait(run.log_metric("loss", 0.5, 950)).unwrap();
    wait(run.finish()).unwrap();
    assert_eq!(book.points(id, "loss").len(), 951);
    let found = book.only();
    assert_eq!((found.status, found.name.as_ref()), (RunStatus::Finished, "mlp-64"));
    assert!(found.ended.is_some() && !found.tags.contains_key(FAILURE_TAG));
    assert_eq!(found.tags["mlops.seed"], "7");
    // The same experiment again.
    assert_eq!(wait(book.experiment("it's income")).unwrap().id, found.experiment);
}

#[test]
fn what_is_accepted_is_written_without_being_asked() {
    let book = Arc::new(Book::default());
    let every = RunOptions::new().with_flush_interval(Duration::from_millis(30));
    let run = start(&book, every.with_lease(Duration::from_millis(150)));
    wait(run.log_metric("loss", 1.0, 0)).unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while book.points(run.id(), "loss").is_empty() || book.leases.load(SeqCst) < 3 {
        assert!(Instant::now() < until, "never written, or its lease never renewed");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn params_tags_inputs_and_artifacts_are_there_at_once() {
    let book = Arc::new(Book::default());
    let run = start(&book, options());
    wait(run.log_params([("hidden", 64.into()), ("learning_rate", 1e-3.into())])).unwrap();
    wait(run.set_tags([("team", "risk")])).unwrap();
    wait(run.log_metrics([("accuracy", 0.75), ("auc", 0.8)])).unwrap();
    let data = DatasetInput::new("acs", Digest::of("rows"), "").with_rows(9_u64);
    wait(run.log_input(&data, "training")).unwrap();
    let found = book.only();
    assert_eq!(
        (found.params["hidden"].as_str(), found.params["learning_rate"].as_str()),
        ("64", "0.001")
    );
    assert_eq!(
        (found.tags["team"].as_str(), found.inputs[0].context.as_ref()),
        ("risk", "training")
    );
    assert_eq!(book.points(run.id(), "auc"), [(0, 0.8)]);

    let stored = wait(run.log_artifact("notes.txt", "hello")).unwrap();
    assert_eq!(stored.digest, Digest::of("hello"));
    let folder = tempfile::tempdir().unwrap();
    let big: Vec<u8> = (0..700_000_u32).map(|at| at.to_le_bytes()[at as usize % 3]).collect();
    let package = PackageBuilder::new()
        .with_file("data/weights", big.clone())
        .and_then(|package| package.write(folder.path().join("model")))
        .unwrap();
    let digest = wait(run.log_model("model", &package)).unwrap();
    assert_eq!(book.artifact(run.id(), "model/data/weights").unwrap(), big);
    assert_eq!(book.artifacts_of(run.id()).len(), 3);
    assert_eq!(book.only().tags["mlops.model.model"], digest.to_string());
    assert_eq!(run.seed("weights"), run.seed("weights"));
    assert_ne!(run.seed("weights"), run.seed("rows"));
}

#[test]
fn a_run_that_is_left_is_failed_and_says_why() {
    let book = Arc::new(Book::default());
    let left: Result<()> = wait(async {
        let run = book.start_run("e", options()).await?;
        run.log_metric("loss", 0.25, 3).await?;
        Err(Error::invalid("a mistake"))?;
        run.finish().await
    });
    assert!(left.is_err());
    let run = book.only();
    assert_eq!((run.status, book.points(run.id, "loss")), (RunStatus::Failed, vec![(3, 0.25)]));
    assert_eq!(run.tags[FAILURE_TAG], "dropped without having been finished");

    let held = start(&book, options());
    let panicked = thread::spawn(move || {
        let _held = held;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    let run = book.runs().pop().unwrap();
    assert_eq!(
        (run.status, run.tags[FAILURE_TAG].as_str()),
        (RunStatus::Failed, "left by a panic")
    );

    wait(start(&book, options()).fail("the loss is NaN")).unwrap();
    let run = book.runs().pop().unwrap();
    assert_eq!(
        (run.status, run.tags[FAILURE_TAG].as_str()),
        (RunStatus::Failed, "the loss is NaN")
    );
    wait(start(&book, options()).kill("enough")).unwrap();
    assert_eq!(book.runs().pop().unwrap().status, RunStatus::Killed);
    let error =
        wait(start(&book, options()).conclude::<()>(Err(Error::invalid("own")))).unwrap_err();
    assert_eq!(error.to_string(), "own");
    assert_eq!(book.runs().pop().unwrap().tags[FAILURE_TAG], "own");
}

#[test]
fn a_tracker_that_comes_back_gets_everything() {
    let book = Arc::new(Book::default());
    let run = start(&book, options().with_buffer(50_usize).with_batch(10_usize));
    book.away.store(true, SeqCst);
    for step in 0..50 {
        wait(run.log_metric("loss", 1.0, step)).unwrap();
    }
    let error = wait(run.flush()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(run.lost_metrics(), 0);
    let back = thread::spawn({
        let book = Arc::clone(&book);
        move || {
            thread::sleep(Duration::from_millis(100));
            book.away.store(false, SeqCst);
        }
    });
    let id = run.id();
    wait(run.finish()).unwrap();
    back.join().unwrap();
    assert_eq!((book.points(id, "loss").len(), book.only().status), (50, RunStatus::Finished));
}

#[test]
fn a_full_buffer_waits_or_drops_and_counts() {
    let book = Arc::new(Book::default());
    let small = || {
        let often = RunOptions::new().with_flush_interval(Duration::from_millis(20));
        often.with_buffer(10_usize).with_batch(4_usize)
    };
    let run = start(&book, small().with_when_full(WhenFull::Drop));
    book.away.store(true, SeqCst);
    for step in 0..25 {
        wait(run.log_metric("loss", 1.0, step)).unwrap();
    }
    assert_eq!(run.lost_metrics(), 15);
    book.away.store(false, SeqCst);
    wait(run.flush()).unwrap();
    assert_eq!(book.points(run.id(), "loss").len(), 10);
    wait(run.finish()).unwrap();

    let run = start(&book, small());
    book.away.store(true, SeqCst);
    let back = thread::spawn({
        let book = Arc::clone(&book);
        move || {
            thread::sleep(Duration::from_millis(100));
            book.away.store(false, SeqCst);
        }
    });
    for step in 0..100 {
        wait(run.log_metric("loss", 1.0, step)).unwrap();
    }
    back.join().unwrap();
    wait(run.flush()).unwrap();
    assert_eq!((book.points(run.id(), "loss").len(), run.lost_metrics()), (100, 0));
    run.push_metric("pushed", 1.0, 1).unwrap();
}

#[test]
fn what_finds_no_place_is_put_on_the_disk_and_written_later() {
    let (book, folder) = (Arc::new(Book::default()), tempfile::tempdir().unwrap());
    let spill = || WhenFull::Spill(folder.path().join("spill"));
    let small = options().with_buffer(10_usize).with_batch(4_usize);
    let run = start(&book, small.clone().with_when_full(spill()));
    book.away.store(true, SeqCst);
    for step in 0..50 {
        let value = if step == 40 { f64::NEG_INFINITY } else { f64::from(step) / 7.0 };
        wait(run.log_metric("loss", value, step)).unwrap();
    }
    let file =
        || fs::read_dir(folder.path().join("spill")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read_to_string(file()).unwrap().lines().count(), 40);
    assert_eq!(wait(run.flush()).unwrap_err().kind(), ErrorKind::Unavailable);
    book.away.store(false, SeqCst);
    wait(run.flush()).unwrap();
    assert_eq!((run.lost_metrics(), fs::metadata(file()).unwrap().len()), (0, 0));
    let found = book.points(run.id(), "loss");
    assert_eq!(found.len(), 50);
    assert_eq!((found[49].0, found[40].1), (49, f64::NEG_INFINITY));
    assert_eq!(found[49].1.to_bits(), (49.0_f64 / 7.0).to_bits());
    wait(run.finish()).unwrap();
    assert_eq!(fs::read_dir(folder.path().join("spill")).unwrap().count(), 0);

    // The disk has a bound too.
    let run = start(&book, small.with_when_full(spill()).with_spill_bytes(200_u64));
    book.away.store(true, SeqCst);
    for step in 0..50 {
        wait(run.log_metric("loss", 1.0, step)).unwrap();
    }
    let lost = run.lost_metrics();
    assert!((30..40).contains(&lost), "{lost}");
    book.away.store(false, SeqCst);
    let id = run.id();
    wait(run.finish()).unwrap();
    assert_eq!(book.points(id, "loss").len() as u64, 50 - lost);
}

#[test]
fn a_metric_that_is_refused_costs_only_itself() {
    let book = Arc::new(Book::default());
    let run = start(&book, options());
    for (step, name) in ["a", "", "b", "", "c"].into_iter().enumerate() {
        wait(run.log_metric(name, 1.0, i64::try_from(step).unwrap())).unwrap();
    }
    assert_eq!(wait(run.flush()).unwrap_err().kind(), ErrorKind::InvalidInput);
    wait(run.flush()).unwrap(); // said once
    assert_eq!(run.lost_metrics(), 2);
    assert!(["a", "b", "c"].iter().all(|name| book.points(run.id(), name).len() == 1));
    wait(run.log_metric("", 1.0, 0)).unwrap();
    assert_eq!(wait(run.finish()).unwrap_err().kind(), ErrorKind::InvalidInput);
    let found = book.only();
    assert_eq!(found.status, RunStatus::Failed, "not all that was accepted is there");
    assert!(found.tags[FAILURE_TAG].contains("a metric without a name"));
}

/// On the host's only thread, beside a tracker that never answers: no panic, no waiting for ever.
#[test]
fn dropping_waits_no_longer_than_it_says() {
    let book = Arc::new(Book::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let short = options().with_close_within(Duration::from_millis(200));
        let run = book.start_run("e", short).await.unwrap();
        run.log_metric("loss", 1.0, 0).await.unwrap();
        book.hung.store(true, SeqCst);
        let before = Instant::now();
        drop(run);
        let took = before.elapsed();
        assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(5), "{took:?}");
    });
    assert_eq!(book.only().status, RunStatus::Running); // until its lease runs out
}

#[test]
fn a_key_gives_the_same_run_until_it_has_ended() {
    let book = Arc::new(Book::default());
    let keyed = || options().with_idempotency_key("nightly 2018-01-01");
    let first = start(&book, keyed());
    let second = start(&book, keyed());
    assert_eq!(first.id(), second.id());
    wait(first.finish()).unwrap();
    drop(second); // too late to fail it
    let found = book.only();
    assert_eq!(found.status, RunStatus::Finished);
    assert!(!found.tags.contains_key(FAILURE_TAG));
    let error = wait(book.start_run("it's income", keyed())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

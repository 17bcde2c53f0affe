//! Metrics that come from elsewhere: another thread, events of `tracing`, the machine itself.

use super::{book::Book, options, start, wait};
use mlops_core::tracker::{MetricsLayer, RunOptions};
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tracing_subscriber::layer::SubscriberExt;

#[test]
fn a_sender_gives_from_other_threads_and_ends_with_the_run() {
    let book = Arc::new(Book::default());
    let run = start(&book, options());
    let (id, sender) = (run.id(), run.sender());
    let threads = (0..4).map(|thread| {
        let sender = sender.clone();
        thread::spawn(move || {
            (0..50).try_for_each(|step| sender.push_metric("loss", 0.5, 50 * thread + step))
        })
    });
    for thread in threads.collect::<Vec<_>>() {
        thread.join().unwrap().unwrap();
    }
    wait(run.finish()).unwrap();
    assert_eq!(book.points(id, "loss").len(), 200);
    assert!(sender.push_metric("loss", 0.5, 999).is_err(), "the run has ended");
    assert_eq!(book.points(id, "loss").len(), 200);
}

#[test]
fn events_with_metrics_are_metrics() {
    let book = Arc::new(Book::default());
    let run = start(&book, options());
    let id = run.id();
    let subscriber = tracing_subscriber::registry().with(MetricsLayer::new(run.sender()));
    tracing::subscriber::with_default(subscriber, || {
        for epoch in 0..3_u32 {
            let loss = 1.0 / f64::from(epoch + 1);
            tracing::info!(metric.loss = loss, metric.rows = 8_u64, step = epoch, lr = 0.1, "done");
        }
        tracing::info!(metric.word = "none", metric.flag = true, "no numbers");
    });
    wait(run.finish()).unwrap();
    assert_eq!(book.points(id, "loss"), [(0, 1.0), (1, 0.5), (2, 1.0 / 3.0)]);
    assert_eq!(book.points(id, "rows"), [(0, 8.0), (1, 8.0), (2, 8.0)]);
    for absent in ["lr", "word", "flag", "step"] {
        assert!(book.points(id, absent).is_empty(), "{absent}");
    }
}

#[test]
fn the_machine_is_measured_while_the_run_works() {
    let book = Arc::new(Book::default());
    let often = RunOptions::new()
        .with_flush_interval(Duration::from_millis(50))
        .with_system_metrics(Duration::from_millis(1));
    let run = start(&book, often);
    let id = run.id();
    let until = Instant::now() + Duration::from_secs(30);
    while book.points(id, "system/cpu_utilization_percentage").len() < 2 {
        assert!(Instant::now() < until, "two samples come");
        thread::sleep(Duration::from_millis(20));
    }
    wait(run.finish()).unwrap();
    for (_, percent) in book.points(id, "system/cpu_utilization_percentage") {
        assert!((0.0..=100.5).contains(&percent), "{percent}");
    }
    let own = book.points(id, "system/process_memory_usage_megabytes");
    let all = book.points(id, "system/system_memory_usage_megabytes");
    assert!(own[0].1 > 0.0 && own[0].1 < all[0].1, "{own:?} {all:?}");
    assert_eq!((own[0].0, own[1].0), (0, 1), "steps count samples");
}

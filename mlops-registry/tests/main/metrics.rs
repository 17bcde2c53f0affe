//! The points of metrics: whatever way they come, each is read once, in order, to the bit.

use crate::story::{Home, open};
use mlops_core::{
    RunId, Timestamp, Tracker,
    page::Search,
    tracker::{Batch, Metric, MetricPoint, MetricQuery},
};
use mlops_registry::{SqlStore, store::segment};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A point of one of three metrics. Steps and times repeat, come late, and go far.
fn metric() -> impl Strategy<Value = Metric> {
    let name = prop::sample::select(&["a", "b", "c"][..]);
    let int = || prop_oneof![6 => 0..40_i64, 1 => any::<i64>()];
    let odd = prop::sample::select(vec![f64::NAN, -f64::NAN, f64::INFINITY, -0.0, 0.0]);
    let value = prop_oneof![4 => (0..3_i32).prop_map(f64::from), 1 => odd, 1 => any::<f64>()];
    let time = |millis| Timestamp::from_unix_millis(millis % 1_000_000);
    (name, int(), int(), value)
        .prop_map(move |(name, step, millis, value)| Metric::new(name, value, step, time(millis)))
}

/// Batches: single points, and many at once.
fn batches() -> impl Strategy<Value = Vec<Vec<Metric>>> {
    let size = prop_oneof![8 => 1..3_usize, 2 => 20..60_usize, 1 => 300..400_usize];
    let batch = size.prop_flat_map(|size| prop::collection::vec(metric(), size));
    prop::collection::vec(batch, 1..40)
}

/// What must be read: each point once, in order.
fn wanted(batches: &[Vec<Metric>]) -> BTreeMap<&str, Vec<MetricPoint>> {
    let mut all = BTreeMap::<&str, Vec<MetricPoint>>::new();
    for Metric { name, point } in batches.iter().flatten() {
        all.entry(name).or_default().push(*point);
    }
    for points in all.values_mut() {
        points.sort_by(MetricPoint::order);
        points.dedup_by(|left, right| left.same(right));
    }
    all
}

async fn read(store: &SqlStore, run: RunId, metric: &str, size: usize) -> Vec<MetricPoint> {
    let (mut points, mut page) = (Vec::new(), None);
    loop {
        let query = MetricQuery::new(run, metric).with_max_results(size).with_page(page);
        let found = store.metric_history(query).await.unwrap();
        assert!(found.items.len() <= size);
        points.extend(found.items);
        page = found.next;
        if page.is_none() {
            return points;
        }
    }
}

fn same(left: &[MetricPoint], right: &[MetricPoint]) {
    assert_eq!(left.len(), right.len());
    for (at, (left, right)) in left.iter().zip(right).enumerate() {
        assert!(left.same(right), "point {at}: {left:?} and {right:?}");
    }
}

async fn log(store: &SqlStore, run: RunId, metrics: Vec<Metric>) {
    store.log_batch(&run, Batch::new().with_metrics(metrics)).await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 64, ..ProptestConfig::default() })]

    #[test]
    fn each_point_is_read_once(batches in batches(), again in any::<prop::sample::Index>(), size in 1..50_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let home = Home::new().await;
            let run = home.run("points").await.id;
            for batch in &batches {
                log(&home.store, run, batch.clone()).await;
            }
            // Again, in another place.
            log(&home.store, run, batches[again.index(batches.len())].clone()).await;
            let latest = home.store.runs(Search::new()).await.unwrap().items.remove(0).metrics;
            let wanted = wanted(&batches);
            assert_eq!(latest.len(), wanted.len());
            for (name, points) in wanted {
                same(&read(&home.store, run, name, 25_000).await, &points);
                same(&read(&home.store, run, name, size).await, &points);
                same(&[latest[name]], &points[points.len() - 1..]);
                check_bulk(&home.store, run, name, size, &points).await;
            }
        });
    }
}

/// Samples and first points are what can be said of all points in memory.
async fn check_bulk(store: &SqlStore, run: RunId, name: &str, most: usize, all: &[MetricPoint]) {
    let runs = [run, RunId::from_u128(7)];
    let found = store.sample_metric(&runs, name, None, most).await.unwrap();
    assert!(found.len() <= most && found.len() == most.min(all.len()));
    let points: Vec<_> = found.iter().map(|(_, point)| *point).collect();
    same(&points[points.len() - 1..], &all[all.len() - 1..]);
    assert!(points.iter().all(|point| all.iter().any(|own| own.same(point))));

    let some: Vec<_> = all.iter().copied().filter(|p| (5..=30).contains(&p.step)).collect();
    let found = store.sample_metric(&runs, name, Some(5..=30), 25_000).await.unwrap();
    same(&found.iter().map(|(_, point)| *point).collect::<Vec<_>>(), &some);

    let mut early = all.to_vec();
    early.sort_by(|left, right| left.time.cmp(&right.time).then(left.order(right)));
    early.truncate(most);
    let found = store.first_points(&runs, name, most).await.unwrap();
    same(&found.iter().map(|(_, point)| *point).collect::<Vec<_>>(), &early);
}

#[tokio::test]
async fn a_long_row_of_single_points_stays_small() {
    let home = Home::new().await;
    let run = home.run("single").await.id;
    let point = |step: i64| {
        Metric::new(
            "loss",
            1.0 / f64::from(i32::try_from(step).unwrap() + 1),
            step,
            Timestamp::default(),
        )
    };
    let tasks = (0..20_000_i64).step_by(100).map(|first| {
        let store = home.store.clone();
        tokio::spawn(async move {
            for step in first..first + 100 {
                log(&store, run, vec![point(step)]).await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let all: Vec<_> = (0..20_000).map(|step| point(step).point).collect();
    same(&read(&home.store, run, "loss", 25_000).await, &all);
    let Home { store, folder } = home;
    drop(store);
    let size = std::fs::metadata(folder.path().join("mlops.db")).unwrap().len();
    assert!(size < 2_000_000, "{size} bytes for 20,000 points");
    let store = open(folder.path()).await.unwrap();
    same(&read(&store, run, "loss", 7_000).await, &all);
}

#[tokio::test]
async fn pages_visit_each_point_once_while_others_write() {
    let home = Home::new().await;
    let run = home.run("moving").await.id;
    let point = |step: i64| Metric::new("loss", 0.5, step, Timestamp::default());
    log(&home.store, run, (0..5_000).map(|step| point(2 * step)).collect()).await;
    let (mut seen, mut page) = (Vec::new(), None);
    for round in 0.. {
        let query = MetricQuery::new(run, "loss").with_max_results(500).with_page(page);
        let found = home.store.metric_history(query).await.unwrap();
        seen.extend(found.items.iter().map(|point| point.step));
        page = found.next;
        if page.is_none() {
            break;
        }
        // Before and after where the reader stands; again what is there.
        let odd = (0..40).map(|step| point(250 * step + 1 + 2 * round));
        log(&home.store, run, odd.chain((0..100).map(|step| point(100 * step))).collect()).await;
    }
    assert!(seen.is_sorted_by(|left, right| left < right), "a point came twice or late");
    let even = seen.iter().filter(|step| *step % 2 == 0).count();
    assert_eq!(even, 5_000, "a point that was there all the time is missing");
}

#[tokio::test]
async fn damage_is_named() {
    let home = Home::new().await;
    let run = home.run("damaged").await.id;
    let point = |step: i64| Metric::new("loss", 0.5, step, Timestamp::default());
    let marked = f64::from_bits(0x3fe1_2345_6789_abcd);
    let other = Metric::new("loss", marked, 5_000, Timestamp::default());
    log(&home.store, run, (0..100).map(point).chain([other]).collect()).await;
    let Home { store, folder } = home;
    drop(store);
    let path = folder.path().join("mlops.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let wanted = [0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01];
    let places: Vec<_> = (0..bytes.len() - 7).filter(|at| bytes[*at..*at + 7] == wanted).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at] ^= 1;
    }
    std::fs::write(&path, bytes).unwrap();
    let store = open(folder.path()).await.unwrap();
    let error = store.metric_history(MetricQuery::new(run, "loss")).await.unwrap_err();
    assert_eq!(error.kind(), mlops_core::ErrorKind::Corrupt);
    let text = error.to_string();
    assert!(text.contains(&run.to_string()) && text.contains("\"loss\""), "{text}");
}

/// Written by another hand after the documentation; `scripts/oracles/segments.py` made them.
#[test]
fn segments_of_version_1_are_read() {
    let stored = include_str!("../data/segments_v1.json");
    let stored: serde_json::Value = serde_json::from_str(stored).unwrap();
    for case in stored["cases"].as_array().unwrap() {
        let hex = case["hex"].as_str().unwrap();
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        let wanted = case["points"].as_array().unwrap().iter().map(|point| MetricPoint {
            step: point[0].as_i64().unwrap(),
            time: Timestamp::from_unix_micros(point[1].as_i64().unwrap()),
            value: f64::from_bits(u64::from_str_radix(point[2].as_str().unwrap(), 16).unwrap()),
        });
        let wanted: Vec<_> = wanted.collect();
        let name = case["name"].as_str().unwrap();
        let read = segment::decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        same(&read, &wanted);
        same(&segment::decode(&segment::encode(&wanted)).unwrap(), &wanted);
        let mut newer = bytes;
        newer[0] = 2;
        assert!(segment::decode(&newer).is_err(), "{name}");
    }
}

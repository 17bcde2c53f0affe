//! What a tracker promises about batches and what they hold.

use super::{NOBODY, Subject, check, kind, metric, params};
use crate::{
    Digest, ErrorKind,
    conformance::waiting::poll_once,
    tracker::{Batch, DatasetInput, Lifecycle, MetricQuery, RunChange},
};

check! {
    "all of it or nothing";
    async fn a_batch_is_all_or_nothing(subject: Subject) {
        let id = subject.run().await;
        subject.log(&id, Batch::new().with_params(params(&[("lr", "0.1")]))).await;
        let before = subject.read(&id).await;
        let data = DatasetInput::new("census", Digest::of("rows"), "training");
        let good = Batch::new()
            .with_metrics((0..50).map(|step| metric("loss", 1.0, step, 0)).collect())
            .with_tags(params(&[("t", "1")]))
            .with_inputs(vec![data]);
        let bad = good.clone().with_params(params(&[("fresh", "1"), ("lr", "0.2")]));
        subject.tracker.log_batch(&id, bad).await.expect_err("another value of a parameter");
        assert_eq!(subject.read(&id).await, before, "a refused batch left something");
        assert!(subject.history(&id, "loss").await.is_empty(), "a refused batch left points");

        // One who gives up in the middle leaves all of it or nothing, too.
        poll_once(subject.tracker.log_batch(&id, good)).await;
        for _ in 0..3 {
            let run = subject.read(&id).await;
            let all = run.metrics.contains_key("loss")
                && run.tags.contains_key("t")
                && run.inputs.len() == 1;
            assert!(all || run == before, "an abandoned batch left a part: {run:?}");
            let points = subject.history(&id, "loss").await.len();
            assert!([0, 50].contains(&points), "{points} of 50 points");
        }
    }
}

check! {
    "the same batch again changes nothing";
    async fn a_batch_again_changes_nothing(subject: Subject) {
        let id = subject.run().await;
        let data = DatasetInput::new("census", Digest::of("rows"), "training");
        let batch = Batch::new()
            .with_metrics(vec![metric("loss", 1.0, 0, 0), metric("loss", f64::NAN, 1, 0)])
            .with_params(params(&[("lr", "0.1")]))
            .with_tags(params(&[("t", "1")]))
            .with_inputs(vec![data]);
        subject.log(&id, batch.clone()).await;
        let (run, points) = (subject.read(&id).await, subject.history(&id, "loss").await.len());
        assert_eq!((points, run.inputs.len()), (2, 1));
        subject.log(&id, batch).await;
        let again = subject.read(&id).await;
        assert_eq!(subject.history(&id, "loss").await.len(), points, "points came twice");
        assert_eq!((again.params, again.tags, again.inputs), (run.params, run.tags, run.inputs));
    }
}

check! {
    "a parameter keeps its first value: another value is `Conflict` and names it";
    async fn a_parameter_keeps_its_first_value(subject: Subject) {
        let id = subject.run().await;
        let with = |value: &str| Batch::new().with_params(params(&[("learning rate", value)]));
        subject.log(&id, with("0.1")).await;
        subject.log(&id, with("0.1")).await;
        let error = subject.tracker.log_batch(&id, with("0.2")).await.expect_err("another value");
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(error.to_string().contains("learning rate"), "{error} does not name the parameter");
        assert_eq!(subject.read(&id).await.params["learning rate"], "0.1");
    }
}

check! {
    "a tag keeps its last value";
    async fn a_tag_keeps_its_last_value(subject: Subject) {
        let id = subject.run().await;
        for value in ["1", "2", "3"] {
            subject.log(&id, Batch::new().with_tags(params(&[("t", value)]))).await;
            assert_eq!(subject.read(&id).await.tags["t"], value);
        }
        subject.log(&id, Batch::new().with_tags(params(&[("t", "4"), ("t", "5")]))).await;
        assert_eq!(subject.read(&id).await.tags["t"], "5");
    }
}

check! {
    "NaN and infinities are kept";
    async fn numbers_that_are_none_are_kept(subject: Subject) {
        let id = subject.run().await;
        let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE];
        for (index, value) in odd.into_iter().enumerate() {
            let batch = Batch::new().with_metrics(vec![metric(&format!("m{index}"), value, 0, 0)]);
            subject.log(&id, batch).await;
        }
        let run = subject.read(&id).await;
        for (index, value) in odd.into_iter().enumerate() {
            let name = format!("m{index}");
            let wanted = metric(&name, value, 0, 0).point;
            let points = subject.history(&id, &name).await;
            assert!(points.len() == 1 && points[0].same(&wanted), "{wanted:?} became {points:?}");
            assert!(run.metrics[&name].same(&wanted), "{wanted:?} became {:?}", run.metrics[&name]);
        }
    }
}

check! {
    "an unknown run is `NotFound`; a deleted one is `Conflict`";
    async fn a_batch_needs_a_live_run(subject: Subject) {
        let batch = || Batch::new().with_tags(params(&[("t", "1")]));
        assert_eq!(kind(subject.tracker.log_batch(&NOBODY, batch()).await), ErrorKind::NotFound);
        let id = subject.run().await;
        let gone = RunChange::default().with_lifecycle(Lifecycle::Deleted);
        subject.tracker.update_run(&id, gone).await.expect("it is deleted");
        assert_eq!(kind(subject.tracker.log_batch(&id, batch()).await), ErrorKind::Conflict);
        let back = RunChange::default().with_lifecycle(Lifecycle::Active);
        assert!(subject.tracker.update_run(&id, back).await.expect("restored").tags.is_empty());
    }
}

check! {
    "a metric's points in the order of (step, time), page after page";
    async fn history_is_in_order(subject: Subject) {
        let id = subject.run().await;
        let points = [(1.0, 2, 0), (2.0, 1, 5), (3.0, 1, 4), (4.0, -1, 9), (5.0, 3, 0)];
        let metrics = points.map(|(value, step, millis)| metric("loss", value, step, millis));
        subject.log(&id, Batch::new().with_metrics(metrics.to_vec())).await;
        let (mut values, mut next) = (Vec::new(), None);
        loop {
            let query = MetricQuery::new(id, "loss").with_max_results(2).with_page(next);
            let page = subject.tracker.metric_history(query).await.expect("a page");
            assert!(page.items.len() <= 2, "a page is longer than asked");
            values.extend(page.items.iter().map(|point| point.value));
            next = page.next;
            if next.is_none() || values.len() > 5 {
                break;
            }
        }
        assert_eq!(values, [4.0, 3.0, 2.0, 1.0, 5.0]);
        assert!(subject.history(&id, "unknown").await.is_empty());
        let nobody = subject.tracker.metric_history(MetricQuery::new(NOBODY, "loss")).await;
        assert_eq!(kind(nobody), ErrorKind::NotFound);
    }
}

//! What a tracker promises about searching for runs.

use super::{Subject, check, default_experiment, kind, metric, params, time};
use crate::{
    Digest, ErrorKind,
    page::Search,
    tracker::{Batch, CreateRun, DatasetInput},
};
use std::collections::BTreeSet;

check! {
    "runs that a search finds, the last started first if it names no order";
    async fn runs_come_last_started_first(subject: Subject) {
        let mut ids = Vec::new();
        for millis in [2, 1, 3] {
            let new = CreateRun::new(default_experiment()).with_started(time(millis));
            ids.push(subject.tracker.create_run(new).await.expect("a run").id);
        }
        assert_eq!(subject.found(Search::new()).await, [ids[2], ids[0], ids[1]]);
        let search = Search::new().with_order_by("attributes.start_time ASC");
        assert_eq!(subject.found(search).await, [ids[1], ids[0], ids[2]]);
        let elsewhere = subject.experiment("other").await.id;
        assert!(subject.found(Search::new().with_experiment(elsewhere)).await.is_empty());
        assert_eq!(subject.found(Search::new().with_experiment(default_experiment())).await.len(), 3);
    }
}

check! {
    "a filter finds what the grammar says that it finds";
    async fn filters_find_what_they_ask_for(subject: Subject) {
        let (one, two) = (subject.run().await, subject.run().await);
        let data = DatasetInput::new("census", Digest::of("rows"), "training");
        let batch = Batch::new()
            .with_metrics(vec![metric("val/loss", 0.5, 0, 0), metric("nan", f64::NAN, 0, 0)])
            .with_params(params(&[("depth", "10"), ("odd key", "it's")]))
            .with_tags(params(&[("Team", "Risk_1")]))
            .with_inputs(vec![data]);
        subject.log(&one, batch).await;
        for (filter, finds) in [
            ("metrics.`val/loss` <= 0.5", vec![one]),
            ("metrics.`val/loss` < 0.5", vec![]),
            ("metrics.`val/loss` > 0.1 AND params.depth = '10'", vec![one]),
            ("metrics.nan < 1", vec![]),
            ("metrics.nan >= 1", vec![]),
            ("metrics.nan != 1", vec![one]),
            ("params.depth != '9'", vec![one]),
            ("params.depth = '9'", vec![]),
            ("params.\"odd key\" = 'it''s'", vec![one]),
            ("params.depth IS NULL", vec![two]),
            ("tags.Team IS NOT NULL", vec![one]),
            ("tags.Team LIKE 'Risk%'", vec![one]),
            ("tags.Team LIKE 'risk%'", vec![]),
            ("tags.Team ILIKE 'risk__'", vec![one]),
            ("tags.Team LIKE 'Risk_'", vec![]),
            ("tags.Team LIKE 'Risk'", vec![]),
            ("tags.team = 'Risk_1'", vec![]),
            ("dataset.name = 'census' AND dataset.context = 'training'", vec![one]),
            ("dataset.name IN ('other', 'census')", vec![one]),
            ("dataset.name != 'census'", vec![]),
            ("attributes.status = 'FINISHED'", vec![]),
            ("attributes.end_time > 0", vec![]),
            ("tags.Team = 'x'' OR 1 = 1 --'", vec![]),
        ] {
            assert_eq!(subject.found(Search::new().with_filter(filter)).await, finds, "{filter}");
        }
        for (filter, finds) in [("run_id IN ('{}')", one), ("run_id NOT IN ('{}')", two)] {
            let filter = filter.replace("{}", &one.to_string());
            assert_eq!(subject.found(Search::new().with_filter(&filter)).await, [finds], "{filter}");
        }
    }
}

check! {
    "a metric in a filter is the latest: the largest by (step, time, value)";
    async fn a_filter_sees_the_latest_metric(subject: Subject) {
        let id = subject.run().await;
        let points = [(9.0, 1, 9), (3.0, 2, 2), (2.0, 2, 2), (8.0, 2, 1), (7.0, -5, 99)];
        for (value, step, millis) in points {
            subject.log(&id, Batch::new().with_metrics(vec![metric("loss", value, step, millis)])).await;
        }
        for (value, finds) in [(9, 0), (3, 1), (2, 0), (8, 0), (7, 0)] {
            let found = subject.found(Search::new().with_filter(format!("metrics.loss = {value}"))).await;
            assert_eq!(found.len(), finds, "the latest is 3, not {value}");
        }
        assert_eq!(subject.read(&id).await.metrics["loss"], metric("loss", 3.0, 2, 2).point);
    }
}

check! {
    "in every order NaN comes after numbers and what lacks the key comes last";
    async fn runs_are_ordered_by_any_key(subject: Subject) {
        let values = [Some(2.0), None, Some(f64::NAN), Some(f64::NEG_INFINITY), Some(10.0)];
        let mut ids = Vec::new();
        for value in values {
            let id = subject.run().await;
            if let Some(value) = value {
                let batch = Batch::new().with_metrics(vec![metric("loss", value, 0, 0)]);
                subject.log(&id, batch.with_params(vec![("p".to_owned(), value.to_string())])).await;
            }
            ids.push(id);
        }
        let order = |places: [usize; 5]| places.map(|place| ids[place]);
        for (key, places) in [
            ("metrics.loss", [3, 0, 4, 2, 1]),
            ("metrics.loss DESC", [4, 0, 3, 2, 1]),
            // Texts sort by their bytes: "-inf", "10", "2", "NaN".
            ("params.p", [3, 4, 0, 2, 1]),
            ("params.p DESC", [2, 0, 4, 3, 1]),
        ] {
            assert_eq!(subject.found(Search::new().with_order_by(key)).await, order(places), "{key}");
        }
    }
}

check! {
    "paging visits every run once";
    async fn paging_visits_every_run_once(subject: Subject) {
        let mut made = BTreeSet::new();
        for number in 0..7_u8 {
            // All start at once, so that only the last key of the order tells them apart.
            let new = CreateRun::new(default_experiment()).with_started(time(0));
            let id = subject.tracker.create_run(new).await.expect("a run").id;
            let loss = metric("loss", f64::from(number % 2), 0, 0);
            subject.log(&id, Batch::new().with_metrics(vec![loss])).await;
            made.insert(id);
        }
        for search in [Search::new(), Search::new().with_order_by("metrics.loss DESC")] {
            let (mut seen, mut next) = (Vec::new(), None);
            loop {
                let search = search.clone().with_max_results(3).with_page(next);
                let page = subject.tracker.runs(search).await.expect("a page");
                assert!(page.items.len() <= 3, "a page is longer than asked");
                seen.extend(page.items.iter().map(|run| run.id));
                next = page.next;
                if next.is_none() || seen.len() > made.len() {
                    break;
                }
            }
            assert_eq!((seen.len(), &BTreeSet::from_iter(seen)), (made.len(), &made));
        }
    }
}

check! {
    "a filter outside the grammar is `InvalidInput` and says where";
    async fn a_bad_filter_says_where(subject: Subject) {
        for (filter, byte) in [
            ("metrics.a > 1 OR params.b = 'x'", "14"),
            ("params.b = 'x' AND status > 3", "26"),
            ("nonsense = 'x'", "0"),
            ("metrics.a < +1", "12"),
            ("tags.a = 'never closed", "9"),
        ] {
            let result = subject.tracker.runs(Search::new().with_filter(filter)).await;
            let error = result.expect_err("a filter outside the grammar is refused");
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{filter}: {error}");
            assert!(error.to_string().contains(byte), "{error} does not say byte {byte}");
        }
        let result = subject.tracker.runs(Search::new().with_order_by("nonsense UP")).await;
        assert_eq!(kind(result), ErrorKind::InvalidInput);
    }
}

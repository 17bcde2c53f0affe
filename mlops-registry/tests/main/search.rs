//! What a search finds in the database is what the grammar says about the things themselves.

use crate::story::Home;
use mlops_core::{
    Digest, ErrorKind, ExperimentId, Principal, Timestamp, Tracker,
    page::{Search, View},
    search::{Filter, List, Order},
    tracker::{Batch, CreateRun, DatasetInput, Lifecycle, Metric, Run, RunChange, RunStatus},
};
use proptest::prelude::*;

/// One run of those that are searched.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    name: &'static str,
    started: i64,
    loss: Option<f64>,
    team: Option<&'static str>,
    depth: Option<&'static str>,
    data: Vec<&'static str>,
    finished: bool,
}

const TEXTS: [&str; 8] = ["a", "A", "ab", "aB%", "b_a", "[a]*", "ä", "10"];

fn text() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&TEXTS[..])
}

fn number() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![-1.0, -0.0, 0.0, 0.5, 0.500_000_1, 2.0, 1e300])
}

pub(crate) fn made() -> impl Strategy<Value = Made> {
    let odd = prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
    let loss = prop::option::of(prop_oneof![4 => number(), 1 => odd]);
    let maybe = || prop::option::of(text());
    // Microseconds around zero, to catch every rounding, and as far from it as can be.
    let far = prop::sample::select(vec![i64::MIN, i64::MIN + 1, i64::MAX]);
    let started = prop_oneof![8 => -3_000_i64..3_000, 1 => far];
    let data = prop::collection::vec(text(), 0..3);
    (text(), started, loss, maybe(), maybe(), data, any::<bool>()).prop_map(
        |(name, started, loss, team, depth, data, finished)| Made {
            name,
            started,
            loss,
            team,
            depth,
            data,
            finished,
        },
    )
}

fn condition() -> impl Strategy<Value = String> {
    let sign = prop::sample::select(vec!["=", "!=", "<", "<=", ">", ">="]);
    let key = prop::sample::select(vec![
        "tags.team",
        "params.depth",
        "attributes.run_name",
        "dataset.name",
        "attributes.status",
        "tags.missing",
        "user_id",
    ]);
    let numbers = (sign.clone(), number()).prop_map(|(sign, n)| format!("metrics.loss {sign} {n}"));
    let times = (sign, -3_i64..3).prop_map(|(sign, n)| format!("start_time {sign} {n}"));
    let equal = (key.clone(), prop::sample::select(vec!["=", "!="]), text())
        .prop_map(|(key, sign, text)| format!("{key} {sign} '{text}'"));
    let patterns = prop::sample::select(vec!["%", "a%", "%A", "_", "%[%", "a_%", "Ä", "%*", "F%"]);
    let like = (key, prop::sample::select(vec!["LIKE", "ILIKE"]), patterns)
        .prop_map(|(key, like, pattern)| format!("{key} {like} '{pattern}'"));
    let there = (
        prop::sample::select(vec!["tags.team", "params.depth"]),
        prop::sample::select(vec!["IS NULL", "IS NOT NULL"]),
    )
        .prop_map(|(key, is)| format!("{key} {is}"));
    let listed = (prop::sample::select(vec!["IN", "NOT IN"]), prop::sample::select(vec![0, 1, 16]))
        .prop_map(|(is, id)| format!("run_id {is} ('{id:032x}', '{:032x}')", id + 1));
    prop_oneof![numbers, times, equal, like, there, listed]
}

fn order() -> impl Strategy<Value = Vec<String>> {
    let key = prop::sample::subsequence(
        vec![
            "metrics.loss",
            "tags.team",
            "params.depth",
            "run_name",
            "start_time",
            "end_time",
            "status",
        ],
        0..4,
    );
    (key.prop_shuffle(), any::<[bool; 7]>()).prop_map(|(keys, down)| {
        let key = |(key, down)| format!("{key} {}", if down { "DESC" } else { "ASC" });
        keys.into_iter().zip(down).map(key).collect()
    })
}

async fn make(home: &Home, made: &Made) {
    let store = home.store.acting_as(Principal::new(made.name));
    let new = CreateRun::new(ExperimentId::new("0").unwrap())
        .with_name(made.name.into())
        .with_started(Timestamp::from_unix_micros(made.started));
    let run = store.create_run(new).await.unwrap();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let mut batch = Batch::new();
    batch.metrics.extend(made.loss.map(|loss| Metric::new("loss", loss, 0, run.started)));
    batch.tags.extend(made.team.map(|team| pair("team", team)));
    batch.params.extend(made.depth.map(|depth| pair("depth", depth)));
    let input = |name: &&'static str| DatasetInput::new(*name, Digest::of(name), "training");
    batch.inputs = made.data.iter().map(input).collect();
    store.log_batch(&run.id, batch).await.unwrap();
    if made.finished {
        let change = RunChange::default().with_status(RunStatus::Finished);
        store.update_run(&run.id, change).await.unwrap();
    }
}

async fn all_pages(home: &Home, search: &Search, size: usize) -> Vec<Run> {
    let (mut runs, mut page) = (Vec::new(), None);
    loop {
        let search = search.clone().with_max_results(size).with_page(page);
        let found = home.store.runs(search).await.unwrap();
        assert!(found.items.len() <= size);
        runs.extend(found.items);
        page = found.next;
        if page.is_none() {
            return runs;
        }
    }
}

/// Searches: conditions, order, size of a page.
type Asked = (Vec<String>, Vec<String>, usize);

pub(crate) fn asked() -> impl Strategy<Value = Vec<Asked>> {
    prop::collection::vec((prop::collection::vec(condition(), 0..3), order(), 1_usize..6), 12)
}

pub(crate) async fn answers_as_the_grammar_says(home: &Home, all: &[Made], asked: Vec<Asked>) {
    for made in all {
        make(home, made).await;
    }
    let every = home.store.runs(Search::new()).await.unwrap().items;
    assert_eq!(every.len(), all.len());
    for (conditions, order_by, size) in asked {
        let filter = conditions.join(" AND ");
        let tree = Filter::parse(List::Runs, &filter).unwrap();
        let order = Order::parse(List::Runs, &order_by).unwrap();
        let mut wanted: Vec<&Run> = every.iter().filter(|run| tree.matches(*run)).collect();
        wanted.sort_by(|left, right| order.compare(*left, *right));
        let mut search = Search::new().with_filter(&filter);
        search.order_by = order_by;
        let found = all_pages(home, &search, size).await;
        let ids = |runs: &[&Run]| runs.iter().map(|run| run.id).collect::<Vec<_>>();
        assert_eq!(ids(&found.iter().collect::<Vec<_>>()), ids(&wanted), "{search:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_database_answers_as_the_grammar_says(
        all in prop::collection::vec(made(), 1..16),
        asked in asked(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            answers_as_the_grammar_says(&Home::new().await, &all, asked).await;
        });
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_named() {
    names_what_cannot_be_asked(&Home::new().await).await;
}

pub(crate) async fn names_what_cannot_be_asked(home: &Home) {
    for (search, says) in [
        (Search::new().with_filter("metrics.loss < 'low'"), "number"),
        (Search::new().with_order_by("metrics.loss SIDEWAYS"), "order_by"),
        (Search::new().with_max_results(0), "max_results"),
        (Search::new().with_page(Some("5b5d".to_owned())), "page"),
        (Search::new().with_page(Some("nonsense".to_owned())), "page"),
    ] {
        let error = home.store.runs(search).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn long_searches_are_answered_or_named() {
    let home = Home::new().await;
    let run = home.run("one").await;
    let metric = |number: i64| Metric::new(format!("m{number}"), 1.0, number, Timestamp::default());
    let batch = Batch::new().with_metrics((0..100).map(metric).collect());
    home.store.log_batch(&run.id, batch.with_params(vec![("p".into(), "1".into())])).await.unwrap();
    let all = |first: &str| {
        let metrics = (0..99).map(|number| format!("metrics.m{number} = 1"));
        let conditions = [first.to_owned()].into_iter().chain(metrics).collect::<Vec<_>>();
        let mut search = Search::new().with_filter(conditions.join(" AND "));
        search.order_by = (68..100).map(|number| format!("metrics.m{number} ASC")).collect();
        search
    };
    for (first, found) in [("params.p = '1'", 1), ("params.p = '2'", 0), ("metrics.m99 > 0", 1)] {
        let page = home.store.runs(all(first)).await.unwrap();
        assert_eq!(page.items.len(), found, "{first}");
    }
    let pattern = format!("params.p LIKE '{}'", "*".repeat(20_000));
    let error = home.store.runs(Search::new().with_filter(pattern)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
}

#[tokio::test]
async fn a_search_begins_with_what_is_rare() {
    let home = Home::new().await;
    // Of 40 runs, parameter p is the same in all, q in every fourth, and the metric rises.
    for number in 0..40_i32 {
        let run = home.run(&format!("e{number}")).await;
        let params = [("p", "1".to_owned()), ("q", (number % 4).to_string())];
        let batch = Batch::new()
            .with_metrics(vec![Metric::new("m", f64::from(number), 0, Timestamp::default())])
            .with_params(params.map(|(key, value)| (key.to_owned(), value)).to_vec());
        home.store.log_batch(&run.id, batch).await.unwrap();
    }
    let every = home.store.runs(Search::new()).await.unwrap().items;
    for filter in [
        "params.p = '1' AND metrics.m < 3",
        "params.p = '1' AND params.q = '2' AND metrics.m >= 20",
        "metrics.m > 2 AND params.q = '3' AND metrics.m < 36 AND params.p != '2'",
        "params.q = '1' AND attributes.status = 'RUNNING' AND metrics.m != 5",
        "tags.t = 'x' AND metrics.m < 3",
    ] {
        for order in [None, Some("metrics.m DESC"), Some("params.q ASC")] {
            let mut search = Search::new().with_filter(filter);
            search.order_by = order.into_iter().map(Into::into).collect();
            let tree = Filter::parse(List::Runs, filter).unwrap();
            let by = Order::parse(List::Runs, &search.order_by).unwrap();
            let mut wanted: Vec<&Run> = every.iter().filter(|run| tree.matches(*run)).collect();
            wanted.sort_by(|left, right| by.compare(*left, *right));
            let found = all_pages(&home, &search, 3).await;
            let ids = |runs: Vec<&Run>| runs.iter().map(|run| run.id).collect::<Vec<_>>();
            assert_eq!(ids(found.iter().collect()), ids(wanted), "{search:?}");
        }
    }
}

#[tokio::test]
async fn views_hide_what_is_deleted() {
    hides_what_is_deleted(&Home::new().await).await;
}

pub(crate) async fn hides_what_is_deleted(home: &Home) {
    let (kept, gone) = (home.run("kept").await, home.run("gone").await);
    let delete = RunChange::default().with_lifecycle(Lifecycle::Deleted);
    home.store.update_run(&gone.id, delete).await.unwrap();
    for (view, wanted) in [
        (View::Active, vec![kept.id]),
        (View::Deleted, vec![gone.id]),
        (View::All, vec![gone.id, kept.id]),
    ] {
        let search = Search::new().with_view(view);
        let found = home.store.runs(search.clone()).await.unwrap().items;
        let mut ids: Vec<_> = found.iter().map(|run| run.id).collect();
        ids.sort_by_key(|id| *id != gone.id);
        assert_eq!(ids, wanted, "{view:?}");
        let one = search.with_experiment(kept.experiment.clone());
        let found = home.store.runs(one).await.unwrap().items;
        assert_eq!(found.len(), usize::from(view != View::Deleted));
    }
}

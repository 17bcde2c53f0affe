//! Every promise of a tracker and a registry that a plain `mlflow server` lets a client keep.
//!
//! `scripts/interop` starts the server and names it: `MLOPS_MLFLOW_URL`, and `MLOPS_MLFLOW_RESET`, a command
//! that empties its database, which is run before each check. `MLOPS_MLFLOW_ARTIFACTS` is the folder where it
//! keeps artifacts. Without them, as in `scripts/test`, nothing is checked here.
#![expect(clippy::print_stdout, reason = "what runs for minutes says how far it is")]

use mlops_core::conformance::{registry, tracker};
use mlops_registry::{RestConfig, RestStore};
use std::{
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    process::Command,
    time::Duration,
};

/// What MLflow cannot do, and why.
const TRACKER: &[(&str, &str)] = &[
    ("a_lease_runs_out", "MLflow knows no leases"),
    (
        "a_batch_is_all_or_nothing",
        "MLflow writes a batch table by table, and inputs by a request of their own",
    ),
    ("numbers_that_are_none_are_kept", "MLflow's SQLite keeps -0 as 0"),
    ("damage_is_found_on_reading", "MLflow keeps no digests of artifacts"),
];
const REGISTRY: &[(&str, &str)] = &[
    ("moves_and_refusals_are_in_the_history", "MLflow keeps no history"),
    ("a_conflict_names_who_moved", "MLflow does not know who moved an alias"),
    ("a_move_undoes_a_move", "MLflow keeps no history"),
    ("rollbacks_go_back_one_by_one", "MLflow keeps no history"),
];

/// Each check of a suite, by name.
macro_rules! checks {
    ($module:ident: $($check:ident)*) => {
        &[$((stringify!($check), |subject| Box::pin($module::$check(subject)))),*]
    };
}

type Check<S> = (&'static str, fn(S) -> std::pin::Pin<Box<dyn Future<Output = ()>>>);

const TRACKER_CHECKS: &[Check<tracker::Subject>] = checks! { tracker:
    the_default_experiment_is_there experiment_names_are_taken_once
    a_changed_experiment_is_given_back a_deleted_experiment_is_hidden
    experiments_come_newest_first a_run_needs_a_live_experiment a_run_is_created_once_a_key
    a_changed_run_is_given_back an_ended_run_stays_ended runs_come_last_started_first
    filters_find_what_they_ask_for a_filter_sees_the_latest_metric runs_are_ordered_by_any_key
    paging_visits_every_run_once a_bad_filter_says_where a_lease_runs_out
    a_batch_is_all_or_nothing a_batch_again_changes_nothing a_parameter_keeps_its_first_value
    a_tag_keeps_its_last_value numbers_that_are_none_are_kept a_batch_needs_a_live_run
    history_is_in_order an_artifact_is_read_back an_artifact_is_written_again
    damage_is_found_on_reading artifacts_are_listed
};

const REGISTRY_CHECKS: &[Check<registry::Subject>] = checks! { registry:
    a_model_name_is_taken_once a_changed_model_is_given_back a_renamed_model_keeps_its_versions
    a_deleted_model_is_gone models_come_by_name version_numbers_never_come_again
    a_model_is_made_by_its_first_version a_version_is_created_once_a_key
    a_folder_that_is_no_package_spends_no_number a_version_keeps_what_it_is_made_of
    a_changed_version_is_given_back a_version_under_an_alias_stays versions_come_newest_first
    a_uri_means_one_version an_unknown_uri_is_named a_move_is_compared_and_swapped
    of_racing_moves_one_wins a_conflict_names_who_moved unmet_gates_refuse
    a_promotion_lists_every_unmet_condition a_gate_may_call_the_registry
    gates_judge_what_is_there_at_last metrics_logged_later_change_no_version
    moves_and_refusals_are_in_the_history a_move_needs_model_and_version an_alias_is_removed
    a_move_undoes_a_move rollbacks_go_back_one_by_one every_byte_is_fetched
    damaged_bytes_are_never_fetched a_folder_that_is_there_stays
    an_abandoned_fetch_leaves_all_or_nothing a_watch_begins_with_what_is a_watch_sees_each_move
};

/// A server that this test may empty.
struct Server {
    url: String,
    reset: String,
    artifacts: PathBuf,
}

impl Server {
    fn named() -> Option<Self> {
        let url = env::var("MLOPS_MLFLOW_URL").ok()?;
        let reset = env::var("MLOPS_MLFLOW_RESET").expect("a command that empties the server");
        let artifacts = env::var_os("MLOPS_MLFLOW_ARTIFACTS").expect("the folder of its artifacts");
        Some(Self { url, reset, artifacts: artifacts.into() })
    }

    /// Emptied.
    async fn store(&self) -> RestStore {
        let emptied = Command::new("sh").args(["-c", &self.reset]).status().unwrap();
        assert!(emptied.success(), "{}", self.reset);
        let config = RestConfig::default().with_poll_interval(Duration::from_millis(50));
        RestStore::connect(&self.url, config).await.unwrap()
    }

    async fn tracker(&self) -> tracker::Subject {
        tracker::Subject::new(self.store().await)
    }

    async fn registry(&self) -> registry::Subject {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = self.artifacts.clone();
        let store = self.store().await;
        registry::Subject::new(store.clone(), folder.path())
            .with_tracker(store)
            .with_damage(move |_, file| damage(&artifacts, file.as_str()))
            .keeping(folder)
    }
}

/// Changes a byte of every file below a folder whose path ends so.
fn damage(folder: &PathBuf, path: &str) {
    for entry in fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        if file.is_dir() {
            damage(&file, path);
        } else if file.ends_with(path) {
            let mut bytes = fs::read(&file).unwrap();
            bytes[0] ^= 1;
            fs::write(&file, bytes).unwrap();
        }
    }
}

/// Runs every check that is not skipped; gives the names of those that failed.
fn run<S>(
    suite: &str,
    known: &[&str],
    checks: &[Check<S>],
    skipped: &[(&str, &str)],
    make: impl AsyncFn() -> S,
) -> Vec<String> {
    let names: Vec<&str> = checks.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, known, "every check of the suite is in the list");
    assert!(
        skipped.iter().all(|(name, _)| names.contains(name)),
        "a check that is none is skipped"
    );
    let only = env::var("MLOPS_CHECK").unwrap_or_default();
    let mut failed = Vec::new();
    for (name, check) in checks.iter().filter(|(name, _)| name.contains(&only)) {
        let body = async { check(make().await).await };
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            mlops_core::conformance::run(name, skipped, body);
        }));
        println!("{suite}::{name}: {}", if outcome.is_ok() { "ok" } else { "FAILED" });
        if outcome.is_err() {
            failed.push(format!("{suite}::{name}"));
        }
    }
    failed
}

#[test]
fn a_plain_mlflow_server_keeps_what_it_can() {
    let Some(server) = Server::named() else {
        println!("skipped: MLOPS_MLFLOW_URL names no server; scripts/interop starts one");
        return;
    };
    let make = async || server.tracker().await;
    let mut failed = run("tracker", tracker::CHECKS, TRACKER_CHECKS, TRACKER, make);
    let make = async || server.registry().await;
    failed.extend(run("registry", registry::CHECKS, REGISTRY_CHECKS, REGISTRY, make));
    assert!(failed.is_empty(), "{failed:#?}");
}

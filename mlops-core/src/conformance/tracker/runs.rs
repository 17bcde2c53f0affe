//! What a tracker promises about runs.

use super::{NOBODY, Subject, check, default_experiment, kind, params, time};
use crate::{
    ErrorKind, ExperimentId,
    page::{Search, View},
    tracker::{Batch, CreateRun, ExperimentChange, Lifecycle, RunChange, RunStatus},
};

check! {
    "an unknown or deleted experiment is `NotFound`";
    async fn a_run_needs_a_live_experiment(subject: Subject) {
        let unknown = CreateRun::new(ExperimentId::new("404").expect("a decimal number"));
        assert_eq!(kind(subject.tracker.create_run(unknown).await), ErrorKind::NotFound);
        let made = subject.experiment("trees").await;
        let gone = ExperimentChange::default().with_lifecycle(Lifecycle::Deleted);
        subject.tracker.update_experiment(&made.id, gone).await.expect("it is deleted");
        let run = CreateRun::new(made.id.clone());
        assert_eq!(kind(subject.tracker.create_run(run).await), ErrorKind::NotFound);
        assert!(subject.found(Search::new().with_view(View::All)).await.is_empty());
    }
}

check! {
    "the same idempotency key again gives the same run and makes no other";
    async fn a_run_is_created_once_a_key(subject: Subject) {
        let new = |key: &str| {
            CreateRun::new(default_experiment()).with_name("first".into()).with_idempotency_key(key.into())
        };
        let first = subject.tracker.create_run(new("k1")).await.expect("a run");
        assert_eq!((first.status, first.name.as_ref()), (RunStatus::Running, "first"));
        let again = subject.tracker.create_run(new("k1")).await.expect("the same run");
        assert_eq!(again.id, first.id);
        assert_eq!(subject.found(Search::new()).await, [first.id]);
        let other = subject.tracker.create_run(new("k2")).await.expect("another run");
        assert_ne!(other.id, first.id);
    }
}

check! {
    "gives the run as it is afterwards; an unknown one is `NotFound`";
    async fn a_changed_run_is_given_back(subject: Subject) {
        let id = subject.run().await;
        subject.log(&id, Batch::new().with_tags(params(&[("a", "1"), ("b", "2")]))).await;
        let change = RunChange::default()
            .with_name("renamed".into())
            .with_status(RunStatus::Finished)
            .with_ended(time(9))
            .with_remove_tags(vec!["a".to_owned()]);
        let run = subject.tracker.update_run(&id, change.clone()).await.expect("a change");
        assert_eq!((run.name.as_ref(), run.status, run.ended), ("renamed", RunStatus::Finished, Some(time(9))));
        assert!(!run.tags.contains_key("a") && run.tags.contains_key("b"));
        assert_eq!(subject.read(&id).await, run);
        assert_eq!(kind(subject.tracker.update_run(&NOBODY, change).await), ErrorKind::NotFound);
        let gone = RunChange::default().with_lifecycle(Lifecycle::Deleted);
        let run = subject.tracker.update_run(&id, gone).await.expect("it is deleted");
        assert_eq!(run.lifecycle, Lifecycle::Deleted);
        assert!(subject.found(Search::new()).await.is_empty(), "a deleted run is among live ones");
    }
}

check! {
    "a run that ended stays ended: another status is `Conflict`, the same one changes nothing";
    async fn an_ended_run_stays_ended(subject: Subject) {
        for last in [RunStatus::Finished, RunStatus::Failed, RunStatus::Killed] {
            let id = subject.run().await;
            let change = |to| RunChange::default().with_status(to);
            let ended = subject.tracker.update_run(&id, change(last)).await.expect("it ends");
            assert!(ended.ended.is_some());
            subject.pass(1).await;
            for other in [RunStatus::Running, RunStatus::Finished, RunStatus::Failed, RunStatus::Killed] {
                let result = subject.tracker.update_run(&id, change(other)).await;
                if other == last {
                    assert_eq!(result.expect("the same status is no error"), ended);
                } else {
                    assert_eq!(kind(result), ErrorKind::Conflict, "{last:?} became {other:?}");
                }
                assert_eq!(subject.read(&id).await, ended);
            }
        }
    }
}

check! {
    "a run whose lease ran out is `Failed`, with the reason as a tag";
    async fn a_lease_runs_out(subject: Subject) {
        let (lost, alive, without) = (subject.run().await, subject.run().await, subject.run().await);
        let tags = subject.read(&lost).await.tags;
        let renew = async |id| {
            let lasts = subject.tenth() * 10;
            subject.tracker.renew_lease(id, lasts).await
        };
        renew(&lost).await.expect("a lease");
        renew(&alive).await.expect("a lease");
        subject.pass(6).await;
        renew(&alive).await.expect("a longer lease");
        assert_eq!(subject.read(&lost).await.status, RunStatus::Running);
        subject.pass(6).await;
        let failed = subject.found(Search::new().with_filter("status = 'FAILED'")).await;
        assert_eq!(failed, [lost]);
        let run = subject.read(&lost).await;
        assert!(run.ended.is_some() && run.tags.len() > tags.len(), "no reason in {run:?}");
        for id in [alive, without] {
            assert_eq!(subject.read(&id).await.status, RunStatus::Running);
        }
        assert_eq!(kind(renew(&NOBODY).await), ErrorKind::NotFound);
    }
}

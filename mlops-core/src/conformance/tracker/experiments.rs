//! What a tracker promises about experiments.

use super::{Subject, check, default_experiment, kind};
use crate::{
    ErrorKind, ExperimentId,
    page::{Search, View},
    tracker::{CreateExperiment, ExperimentChange, Lifecycle},
};

check! {
    "experiment `0`, named `Default`, is there from the beginning";
    async fn the_default_experiment_is_there(subject: Subject) {
        let all = subject.tracker.experiments(Search::new()).await.expect("a search").items;
        let all: Vec<_> = all.iter().map(|own| (own.id.as_str(), own.name.as_ref())).collect();
        assert_eq!(all, [("0", "Default")]);
        let run = subject.run().await;
        assert_eq!(subject.read(&run).await.experiment, default_experiment());
    }
}

check! {
    "a name that a live or deleted experiment has is `AlreadyExists`";
    async fn experiment_names_are_taken_once(subject: Subject) {
        let first = subject.experiment("trees").await;
        let again = || subject.tracker.create_experiment(CreateExperiment::new("trees"));
        assert_eq!(kind(again().await), ErrorKind::AlreadyExists);
        let gone = ExperimentChange::default().with_lifecycle(Lifecycle::Deleted);
        subject.tracker.update_experiment(&first.id, gone).await.expect("it is deleted");
        assert_eq!(kind(again().await), ErrorKind::AlreadyExists);
        let other = subject.experiment("nets").await;
        assert_ne!(other.id, first.id);
    }
}

check! {
    "gives the experiment as it is afterwards, changed now unless only its tags are new; an unknown \
     one is `NotFound`";
    async fn a_changed_experiment_is_given_back(subject: Subject) {
        let made = subject.experiment("trees").await;
        subject.pass(1).await;
        let mut change = ExperimentChange::default().with_name("forests".into());
        change.tags.insert("team".to_owned(), Some("risk".to_owned()));
        let changed = subject.tracker.update_experiment(&made.id, change).await.expect("a change");
        assert_eq!((&changed.id, changed.name.as_ref()), (&made.id, "forests"));
        assert_eq!(changed.tags.get("team").map(String::as_str), Some("risk"));
        let search = Search::new().with_filter("name = 'forests' AND tags.team = 'risk'");
        let found = subject.tracker.experiments(search).await.expect("a search").items;
        let renamed = changed.updated;
        assert!(renamed > made.updated && found == [changed], "{found:?}");
        subject.pass(1).await;
        let mut removal = ExperimentChange::default();
        removal.tags.insert("team".to_owned(), None);
        let changed = subject.tracker.update_experiment(&made.id, removal).await.expect("a change");
        assert!(changed.tags.is_empty() && changed.name.as_ref() == "forests");
        assert_eq!(changed.updated, renamed, "a tag is no change of the experiment");
        let unknown = ExperimentId::new("404").expect("a decimal number");
        let change = ExperimentChange::default().with_name("x".into());
        assert_eq!(kind(subject.tracker.update_experiment(&unknown, change).await), ErrorKind::NotFound);
    }
}

check! {
    "deleting keeps its name taken and hides it from a search for live ones";
    async fn a_deleted_experiment_is_hidden(subject: Subject) {
        let made = subject.experiment("trees").await;
        let change = |to| ExperimentChange::default().with_lifecycle(to);
        let names = async |view| -> Vec<String> {
            let search = Search::new().with_view(view).with_filter("name = 'trees'");
            let page = subject.tracker.experiments(search).await.expect("a search");
            page.items.iter().map(|own| own.name.to_string()).collect()
        };
        let gone = change(Lifecycle::Deleted);
        let gone = subject.tracker.update_experiment(&made.id, gone).await.expect("it is deleted");
        assert_eq!(gone.lifecycle, Lifecycle::Deleted);
        assert!(names(View::Active).await.is_empty(), "a deleted experiment is among live ones");
        assert_eq!((names(View::Deleted).await.len(), names(View::All).await.len()), (1, 1));
        let again = subject.tracker.create_experiment(CreateExperiment::new("trees")).await;
        assert_eq!(kind(again), ErrorKind::AlreadyExists);
        let back = change(Lifecycle::Active);
        subject.tracker.update_experiment(&made.id, back).await.expect("it is restored");
        assert_eq!((names(View::Active).await.len(), names(View::Deleted).await.len()), (1, 0));
    }
}

check! {
    "experiments that a search finds, the newest first if it names no order";
    async fn experiments_come_newest_first(subject: Subject) {
        for name in ["b", "a", "c"] {
            subject.pass(1).await;
            subject.experiment(name).await;
        }
        let names = async |search: Search| -> Vec<String> {
            let page = subject.tracker.experiments(search).await.expect("a search");
            page.items.iter().map(|own| own.name.to_string()).collect()
        };
        assert_eq!(names(Search::new()).await, ["c", "a", "b", "Default"]);
        assert_eq!(names(Search::new().with_order_by("name DESC")).await, ["c", "b", "a", "Default"]);
        assert_eq!(names(Search::new().with_filter("attribute.name ILIKE 'D%'")).await, ["Default"]);
        assert_eq!(names(Search::new().with_filter("experiment_id = '0'")).await, ["Default"]);
        for filter in ["attributes.name = 'a'", "experiment_id LIKE '0'"] {
            let refused = subject.tracker.experiments(Search::new().with_filter(filter)).await;
            assert_eq!(kind(refused), ErrorKind::InvalidInput, "{filter}");
        }
    }
}

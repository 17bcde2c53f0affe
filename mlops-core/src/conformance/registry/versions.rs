//! What a registry promises about versions.

use super::{Subject, alias, check, name, refused, to_champion, uri_of};
use crate::{
    Digest, ErrorKind, RunId, VersionId,
    artifact::Manifest,
    page::Search,
    registry::{CreateVersion, VersionChange},
};
use std::collections::BTreeMap;

check! {
    "numbers are 1, 2, 3 … and never come again, not after a deletion either";
    async fn version_numbers_never_come_again(subject: Subject) {
        for number in 1..=3 {
            assert_eq!(subject.create("risk").await.id, VersionId::new(name("risk"), number));
        }
        assert_eq!(subject.create("other").await.id.version, 1, "each model counts for itself");
        for number in [3, 2] {
            let id = VersionId::new(name("risk"), number);
            subject.registry.delete_version(&id).await.expect("it is deleted");
        }
        assert_eq!(subject.create("risk").await.id.version, 4);
    }
}

check! {
    "the model is created if it is not there";
    async fn a_model_is_made_by_its_first_version(subject: Subject) {
        let version = subject.create("risk").await;
        let models = subject.registry.models(Search::new()).await.expect("a search").items;
        assert_eq!(models.len(), 1);
        assert_eq!(models[0].name, version.id.model);
    }
}

check! {
    "the same idempotency key again gives the same version";
    async fn a_version_is_created_once_a_key(subject: Subject) {
        let new = |key: &str| subject.new_version("risk", "weights").with_idempotency_key(key.into());
        let first = subject.registry.create_version(new("k1")).await.expect("a version");
        let again = subject.registry.create_version(new("k1")).await.expect("the same version");
        assert_eq!(again, first);
        let other = subject.registry.create_version(new("k2")).await.expect("another version");
        assert_eq!(other.id.version, 2);
        assert_eq!(subject.versions(Search::new()).await.len(), 2);
    }
}

check! {
    "a folder that is no package is an error, and no number is spent";
    async fn a_folder_that_is_no_package_spends_no_number(subject: Subject) {
        subject.create("risk").await;
        let (missing, empty) = (subject.path(), subject.path());
        std::fs::create_dir(&empty).expect("a folder is made");
        for folder in [missing, empty] {
            let new = CreateVersion::new(name("risk"), &folder);
            subject.registry.create_version(new).await.expect_err("no package");
            let new = CreateVersion::new(name("never"), &folder);
            subject.registry.create_version(new).await.expect_err("no package");
        }
        assert_eq!(subject.create("risk").await.id.version, 2);
        let models = subject.registry.models(Search::new()).await.expect("a search").items;
        assert_eq!(models.len(), 1, "a refused version left a model");
    }
}

check! {
    "a version keeps what it is made of, whatever becomes of the folder";
    async fn a_version_keeps_what_it_is_made_of(subject: Subject) {
        let tags = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
        let metrics = BTreeMap::from([("auc".to_owned(), 0.5), ("inf".to_owned(), f64::INFINITY)]);
        let (run, data) = (RunId::from_u128(7), Digest::of("rows"));
        let new = subject.new_version("risk", "weights");
        let manifest = Manifest::of_dir(&new.package).expect("files");
        let folder = new.package.clone();
        let new = new.with_run(run).with_dataset(data).with_metrics(metrics.clone()).with_tags(tags.clone());
        let made = subject.registry.create_version(new).await.expect("a version");
        // What became of the folder afterwards is nothing to the version.
        std::fs::remove_dir_all(folder).expect("the folder is removed");
        let found = subject.registry.resolve(&uri_of("models:/risk/1")).await.expect("it is there");
        assert_eq!(found, made);
        assert_eq!((found.run, found.dataset, &found.manifest), (Some(run), Some(data), &manifest));
        assert_eq!((found.metrics, found.tags), (metrics, tags));
        for filter in [format!("run_id = '{run}'"), "run_id != ''".to_owned()] {
            let of_the_run = subject.versions(Search::new().with_filter(filter)).await;
            assert_eq!(of_the_run, std::slice::from_ref(&found.id));
        }
    }
}

check! {
    "tags a version; gives it as it is afterwards; an unknown one is `NotFound`";
    async fn a_changed_version_is_given_back(subject: Subject) {
        let made = subject.create("risk").await;
        let set = |value: Option<&str>| {
            let tags = BTreeMap::from([("team".to_owned(), value.map(str::to_owned))]);
            VersionChange::default().with_tags(tags)
        };
        for value in [Some("a"), Some("b"), None] {
            let changed = subject.registry.update_version(&made.id, set(value)).await.expect("a change");
            assert_eq!(changed.tags.get("team").map(String::as_str), value);
            let found = subject.registry.resolve(&uri_of("models:/risk/1")).await;
            assert_eq!(found.expect("it is there"), changed);
        }
        let unknown = VersionId::new(name("risk"), 404);
        refused(subject.registry.update_version(&unknown, set(None)).await, ErrorKind::NotFound, &["404"]);
    }
}

check! {
    "one that an alias points at is `Conflict` and names the alias";
    async fn a_version_under_an_alias_stays(subject: Subject) {
        let made = subject.create("risk").await;
        let other = subject.create("risk").await;
        subject.move_to(1).await;
        refused(subject.registry.delete_version(&made.id).await, ErrorKind::Conflict, &["champion"]);
        assert_eq!(subject.resolve("models:/risk@champion").await.expect("it stayed"), 1);
        subject.move_to(2).await;
        subject.registry.delete_version(&made.id).await.expect("no alias points at it");
        assert_eq!(subject.versions(Search::new()).await, [other.id]);
        refused(subject.registry.delete_version(&made.id).await, ErrorKind::NotFound, &["risk/1"]);
        refused(subject.resolve("models:/risk/1").await, ErrorKind::NotFound, &["1"]);
    }
}

check! {
    "versions that a search finds, the newest first";
    async fn versions_come_newest_first(subject: Subject) {
        for _ in 0..5 {
            subject.create("risk").await;
        }
        subject.create("other").await;
        let search = || Search::new().with_filter("name = 'risk'");
        let numbers = async |search: Search| -> Vec<u64> {
            subject.versions(search).await.iter().map(|id| id.version).collect()
        };
        assert_eq!(numbers(search()).await, [5, 4, 3, 2, 1]);
        assert_eq!(numbers(Search::new().with_filter("name = 'risk' AND version_number > 3")).await, [5, 4]);
        // A number may be quoted, and who was made by no run has the empty text for one.
        assert_eq!(numbers(Search::new().with_filter("version_number = '4' AND run_id = ''")).await, [4]);
        let of_a_run = Search::new().with_filter("run_id != '' AND run_id LIKE '%'");
        assert_eq!(numbers(of_a_run).await, [0_u64; 0]);
        let of_another = format!("name = 'risk' AND run_id != '{}'", RunId::from_u128(7));
        assert_eq!(numbers(Search::new().with_filter(of_another)).await, [5, 4, 3, 2, 1]);
        assert_eq!(numbers(search().with_order_by("version_number ASC")).await, [1, 2, 3, 4, 5]);
        let (mut seen, mut next) = (Vec::new(), None);
        while seen.len() < 9 {
            let page = subject.registry.versions(search().with_max_results(2).with_page(next)).await;
            let page = page.expect("a page");
            assert!(page.items.len() <= 2, "a page is longer than asked");
            seen.extend(page.items.iter().map(|version| version.id.version));
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(seen, [5, 4, 3, 2, 1]);
        let bad = subject.registry.versions(Search::new().with_filter("params.a = 'b'")).await;
        refused(bad, ErrorKind::InvalidInput, &["byte 0"]);
    }
}

check! {
    "the version that a URI means now";
    async fn a_uri_means_one_version(subject: Subject) {
        for _ in 0..3 {
            subject.create("risk").await;
        }
        subject.move_to(2).await;
        for (uri, version) in [("1", 1), ("3", 3), ("latest", 3)] {
            let uri = format!("models:/risk/{uri}");
            assert_eq!(subject.resolve(&uri).await.expect("it is there"), version, "{uri}");
        }
        let found = subject.registry.resolve(&uri_of("models:/risk@champion")).await.expect("it is there");
        assert_eq!((found.id.version, found.aliases), (2, vec![alias("champion")]));
        subject.registry.delete_version(&VersionId::new(name("risk"), 3)).await.expect("it is deleted");
        assert_eq!(subject.resolve("models:/risk/latest").await.expect("it is there"), 2);
    }
}

check! {
    "an unknown model, version or alias is `NotFound` and is named";
    async fn an_unknown_uri_is_named(subject: Subject) {
        subject.create("risk").await;
        for (uri, named) in [
            ("models:/nobody/1", "nobody"),
            ("models:/nobody@champion", "nobody"),
            ("models:/nobody/latest", "nobody"),
            ("models:/risk/404", "404"),
            ("models:/risk/18446744073709551615", "18446744073709551615"),
            ("models:/risk@challenger", "challenger"),
        ] {
            refused(subject.resolve(uri).await, ErrorKind::NotFound, &[named]);
        }
        subject.move_to(1).await;
        let gone = subject.registry.move_alias(to_champion(1).removing()).await;
        gone.expect("it is removed");
        refused(subject.resolve("models:/risk@champion").await, ErrorKind::NotFound, &["champion"]);
    }
}

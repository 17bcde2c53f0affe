//! What a registry promises about models.

use super::{Subject, check, name, refused, to_champion, uri_of};
use crate::{
    ErrorKind,
    page::Search,
    registry::{CreateModel, ModelChange, RegisteredModel},
};
use std::collections::BTreeMap;

async fn models(subject: &Subject, search: Search) -> Vec<RegisteredModel> {
    subject.registry.models(search).await.expect("a valid search").items
}

async fn names(subject: &Subject, search: Search) -> Vec<String> {
    models(subject, search).await.iter().map(|model| model.name.to_string()).collect()
}

check! {
    "a name that is taken is `AlreadyExists`";
    async fn a_model_name_is_taken_once(subject: Subject) {
        let new = || CreateModel::new(name("risk")).with_description("for loans".into());
        let made = subject.registry.create_model(new()).await.expect("a model");
        assert_eq!((made.name.as_str(), made.description.as_deref()), ("risk", Some("for loans")));
        refused(subject.registry.create_model(new()).await, ErrorKind::AlreadyExists, &["risk"]);
        subject.create("by version").await;
        let taken = CreateModel::new(name("by version"));
        refused(subject.registry.create_model(taken).await, ErrorKind::AlreadyExists, &["by version"]);
        assert_eq!(names(&subject, Search::new()).await, ["by version", "risk"]);
    }
}

check! {
    "gives the model as it is afterwards; an unknown model is `NotFound`";
    async fn a_changed_model_is_given_back(subject: Subject) {
        let tags = BTreeMap::from([("team".to_owned(), "a".to_owned()), ("old".to_owned(), "b".to_owned())]);
        let new = CreateModel::new(name("risk")).with_tags(tags);
        subject.registry.create_model(new).await.expect("a model");
        let tags = BTreeMap::from([("team".to_owned(), Some("c".to_owned())), ("old".to_owned(), None)]);
        let change = ModelChange::default().with_description("for loans".into()).with_tags(tags);
        let changed = subject.registry.update_model(&name("risk"), change).await.expect("a change");
        assert_eq!(changed.description.as_deref(), Some("for loans"));
        assert_eq!(changed.tags, BTreeMap::from([("team".to_owned(), "c".to_owned())]));
        assert_eq!(models(&subject, Search::new()).await, [changed]);
        let change = ModelChange::default().with_description("x".into());
        refused(subject.registry.update_model(&name("other"), change).await, ErrorKind::NotFound, &["other"]);
    }
}

check! {
    "renaming carries versions and aliases along; a name that is taken is `AlreadyExists`";
    async fn a_renamed_model_keeps_its_versions(subject: Subject) {
        let made = [subject.create("risk").await, subject.create("risk").await];
        subject.move_to(1).await;
        subject.registry.create_model(CreateModel::new(name("taken"))).await.expect("a model");
        let to = |new: &str| ModelChange::default().with_name(name(new));
        let taken = subject.registry.update_model(&name("risk"), to("taken")).await;
        refused(taken, ErrorKind::AlreadyExists, &["taken"]);
        let renamed = subject.registry.update_model(&name("risk"), to("hazard")).await.expect("a change");
        assert_eq!((renamed.name.as_str(), renamed.aliases.len()), ("hazard", 1));
        for version in &made {
            let uri = uri_of(&format!("models:/hazard/{}", version.id.version));
            let found = subject.registry.resolve(&uri).await.expect("it came along");
            assert_eq!((found.id.model.as_str(), &found.manifest), ("hazard", &version.manifest));
        }
        assert_eq!(subject.resolve("models:/hazard@champion").await.expect("it came along"), 1);
        refused(subject.resolve("models:/risk/1").await, ErrorKind::NotFound, &["risk"]);
        assert_eq!(subject.create("hazard").await.id.version, 3);
    }
}

check! {
    "deletes a model with all versions and aliases; an unknown model is `NotFound`";
    async fn a_deleted_model_is_gone(subject: Subject) {
        subject.create("risk").await;
        subject.move_to(1).await;
        let other = subject.create("other").await;
        subject.registry.delete_model(&name("risk")).await.expect("it is deleted");
        assert_eq!(names(&subject, Search::new()).await, ["other"]);
        assert_eq!(subject.versions(Search::new()).await, [other.id]);
        for uri in ["models:/risk/1", "models:/risk@champion", "models:/risk/latest"] {
            refused(subject.resolve(uri).await, ErrorKind::NotFound, &["risk"]);
        }
        refused(subject.registry.delete_model(&name("risk")).await, ErrorKind::NotFound, &["risk"]);
        refused(subject.registry.move_alias(to_champion(1)).await, ErrorKind::NotFound, &["risk"]);
    }
}

check! {
    "models that a search finds, in the order of their names";
    async fn models_come_by_name(subject: Subject) {
        for (model, team) in [("b", "x"), ("a", "y"), ("d", "x"), ("c", "x")] {
            let tags = BTreeMap::from([("team".to_owned(), team.to_owned())]);
            let new = CreateModel::new(name(model)).with_tags(tags);
            subject.registry.create_model(new).await.expect("a model");
        }
        assert_eq!(names(&subject, Search::new()).await, ["a", "b", "c", "d"]);
        let search = Search::new().with_filter("tags.team = 'x' AND name LIKE '%'");
        assert_eq!(names(&subject, search).await, ["b", "c", "d"]);
        assert_eq!(names(&subject, Search::new().with_order_by("name DESC")).await, ["d", "c", "b", "a"]);
        let (mut seen, mut next) = (Vec::new(), None);
        while seen.len() < 9 {
            let search = Search::new().with_max_results(3).with_page(next);
            let page = subject.registry.models(search).await.expect("a page");
            assert!(page.items.len() <= 3, "a page is longer than asked");
            seen.extend(page.items.iter().map(|model| model.name.to_string()));
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(seen, ["a", "b", "c", "d"]);
        let bad = subject.registry.models(Search::new().with_filter("metrics.a > 1")).await;
        refused(bad, ErrorKind::InvalidInput, &["byte 0"]);
    }
}

//! `mlops models`, on a file and through a running server.

use super::Place;
use mlops::{
    ModelName, Registry,
    model::ModelPackage,
    registry::CreateVersion,
    store::{SqlStore, StoreConfig},
};
use serde_json::{Value, json};

/// Two versions of one model, which measured 0.8 and 0.9.
fn record(place: &Place) {
    let packages = ["logistic", "mlp"].map(|model| place.package(model, model));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = SqlStore::open(place.path("mlops.db"), StoreConfig::default()).await.unwrap();
        for (package, auc) in packages.iter().zip([0.8, 0.9]) {
            let new = CreateVersion::new(ModelName::new("risk").unwrap(), package.folder());
            let new = new.with_metrics([("auc".to_owned(), auc)].into());
            store.create_version(new).await.unwrap();
        }
    });
}

/// Does it on the file, then through a server.
fn everywhere(check: impl Fn(&Place, &[&str])) {
    let place = Place::new();
    record(&place);
    check(&place, &[]);
    let place = Place::new();
    record(&place);
    let server = place.start("server", &[]);
    check(&place, &["--backend-store-uri", &server.url]);
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn an_alias_is_moved_taken_back_and_explained() {
    everywhere(|place, at| {
        let models = |words: &[&str]| place.run(&[&["models"], words, at].concat());
        let first = ["promote", "risk", "1", "champion", "--expect", "none", "--reason", "first"];
        assert_eq!(models(&first).ok(), "risk@champion nowhere -> 1\n");
        models(&first).failed(75, "1");
        let better =
            ["promote", "risk", "latest", "champion", "--reason", "better", "--expect", "1"];
        let refused =
            models(&[&better[..], &["--at-least", "auc=0.95", "--at-most", "loss=1"]].concat());
        refused.failed(1, "auc at least 0.95: 0.9");
        refused.failed(1, "loss at most 1: not measured");
        let moved = models(&[&better[..], &["--at-least", "auc=0.85", "--json"]].concat()).ok();
        let moved: Value = serde_json::from_str(&moved).unwrap();
        assert_eq!(moved, json!({ "moved": { "from": 1, "to": 2 } }));
        models(&["promote", "risk", "@champion", "shadow", "--reason", "beside"]).ok();
        models(&["promote", "risk", "7", "champion", "--reason", "?"]).failed(66, "risk");
        models(&["promote", "risk", "1", "champion"]).failed(2, "--reason");
        models(&["promote", "risk", "one", "champion", "--reason", "?"]).failed(2, "@ALIAS");
        models(&[&better[..], &["--at-least", "auc=much"]].concat()).failed(2, "no finite number");

        let back = ["rollback", "risk", "champion", "--reason", "complaint 4711"];
        assert_eq!(models(&back).ok(), "risk@champion 2 -> 1\n");
        models(&back).failed(66, "nothing to go back to");
        let out = models(&["history", "risk", "--alias", "champion"]).ok();
        assert!(out.contains("alias.refused") && out.contains("complaint 4711"), "{out}");
        let events = models(&["history", "risk", "--kind", "alias.moved", "--json"]).ok();
        let events: Vec<Value> =
            events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let reasons: Vec<&Value> = events.iter().map(|event| &event["reason"]).collect();
        assert_eq!(reasons, ["first", "better", "beside", "complaint 4711"]);
        models(&["history", "nobody"]).failed(66, "nobody");
    });
}

#[test]
fn models_are_listed_shown_downloaded_and_thinned() {
    everywhere(|place, at| {
        let models = |words: &[&str]| place.run(&[&["models"], words, at].concat());
        models(&["promote", "risk", "2", "champion", "--reason", "best"]).ok();
        let out = models(&["list", "--filter", "name LIKE 'ri%'"]).ok();
        assert!(out.contains("champion -> 2"), "{out}");
        assert_eq!(models(&["list", "--filter", "name = 'x'", "--json"]).ok(), "");

        let whole: Value = serde_json::from_str(&models(&["show", "risk", "--json"]).ok()).unwrap();
        let digest = ModelPackage::open(place.path("mlp")).unwrap().manifest().digest().to_string();
        let newest = &whole["versions"][0];
        assert_eq!((&newest["version"], &newest["digest"]), (&json!(2), &json!(digest)));
        assert_eq!(
            (&newest["metrics"]["auc"], &newest["aliases"]),
            (&json!(0.9), &json!(["champion"]))
        );
        let out = models(&["show", "risk"]).ok();
        assert!(out.contains(&digest) && out.contains("champion -> 2"), "{out}");
        models(&["show", "nobody"]).failed(66, "nobody");

        let download = ["download", "models:/risk@champion", "--to", "fetched/risk"];
        let out = models(&download).ok();
        assert!(out.contains("version risk/2") || out.contains("version risk 2"), "{out}");
        let fetched = ModelPackage::open(place.path("fetched/risk")).unwrap();
        assert_eq!(fetched.manifest().digest().to_string(), digest);
        models(&download).failed(73, "risk");
        models(&["download", "models:/risk@nobody", "--to", "x"]).failed(66, "nobody");
        models(&["download", "risk", "--to", "x"]).failed(2, "models:/NAME@ALIAS");

        models(&["delete-version", "risk", "2"]).failed(75, "champion");
        let remove = ["remove-alias", "risk", "champion", "--reason", "old", "--expect"];
        models(&[&remove[..], &["1"]].concat()).failed(75, "2");
        assert_eq!(models(&[&remove[..], &["2"]].concat()).ok(), "risk@champion 2 -> nowhere\n");
        models(&["delete-version", "risk", "2"]).ok();
        assert!(!models(&["show", "risk"]).ok().contains(&digest));
    });
}

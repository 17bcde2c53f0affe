//! One backend, one feature, one line in a conformance test.

use super::workspace::{crates, read, root, shown, sources};
use std::{collections::BTreeMap, path::Path};

/// Traits that backends implement, each with the suite that says whether they keep its promises. An
/// engine's promises are those of what it loads.
const SUITES: &[(&str, &str)] = &[
    ("Tracker", "tracker_conformance!"),
    ("Registry", "registry_conformance!"),
    ("EventLog", "event_log_conformance!"),
    ("Pipeline", "pipeline_conformance!"),
    ("OnlineStore", "online_store_conformance!"),
    ("Predictor", "predictor_conformance!"),
    ("Engine", "predictor_conformance!"),
    ("DriftDetector", "drift_conformance!"),
];

/// Hardware features need their vendor's libraries: not in `full`.
const HARDWARE: &[&str] = &["cuda", "metal", "tensorrt"];

/// A type that implements one of the traits.
struct Backend {
    of: &'static str,
    suite: &'static str,
    name: String,
    /// The feature that its module is behind.
    feature: Option<String>,
}

/// The program's own wrappers are not for others, and are tested as the program.
fn libraries() -> impl Iterator<Item = String> {
    crates().into_iter().filter(|name| name != "mlops")
}

#[test]
fn every_backend_is_named_beside_an_invocation_of_its_suite() {
    let mut found = 0;
    for own in libraries() {
        let tests: Vec<String> =
            sources(&format!("{own}/tests")).iter().map(|path| read(path)).collect();
        for backend in backends(&own) {
            let Backend { of, suite, name, .. } = &backend;
            let tested = |text: &&String| text.contains(suite) && has_word(text, name);
            assert!(
                tests.iter().any(|text| tested(&text)),
                "{own}: no test with {suite} names {name}, which implements {of}"
            );
            found += 1;
        }
    }
    assert!(found >= 10, "only {found} backends were seen: this test looks in the wrong place");
}

#[test]
fn every_backend_behind_a_feature_is_in_full() {
    for own in libraries() {
        let features = features(&own);
        let full = closure(&features, "full");
        for Backend { name, feature, .. } in backends(&own) {
            let Some(feature) = feature else { continue };
            assert!(features.contains_key(&feature), "{own}: {name} is behind an unknown feature");
            let reached = full.contains(&feature) || HARDWARE.contains(&feature.as_str());
            assert!(reached, "{own}: {name} is behind {feature:?}, which is not in \"full\"");
        }
    }
}

#[test]
fn every_feature_is_named_where_people_read() {
    let architecture = read(&root().join("ARCHITECTURE.md"));
    for own in crates() {
        let readme = read(&root().join(&own).join("README.md"));
        for feature in features(&own).keys() {
            if ["default", "full"].contains(&feature.as_str()) {
                continue;
            }
            let named = format!("`{feature}`");
            assert!(
                readme.contains(&named) || architecture.contains(&named),
                "{own}: feature {named} is neither in its README nor in ARCHITECTURE.md"
            );
        }
    }
}

/// Every implementation of a trait in [`SUITES`] by a public type of the crate.
fn backends(own: &str) -> Vec<Backend> {
    let mut found = Vec::new();
    let gates = gates(own);
    for path in sources(&format!("{own}/src")) {
        let text = read(&path);
        for line in text.lines() {
            for (of, suite) in SUITES {
                let Some(name) = implementor(line, of) else { continue };
                if is_private(&text, name) {
                    continue;
                }
                let feature = gate(&gates, &shown(&path));
                found.push(Backend { of, suite, name: name.to_owned(), feature });
            }
        }
    }
    found
}

/// Whether a file declares a type that its crate keeps to itself: that is tested as what it is a part of.
fn is_private(text: &str, name: &str) -> bool {
    let declared = text.lines().find(|line| {
        let words = line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '(' && c != ')');
        line.contains("struct ") && words.skip_while(|word| *word != "struct").nth(1) == Some(name)
    });
    declared.is_some_and(|line| !line.starts_with("pub struct "))
}

/// `X` of `impl Trait for X`, unless `X` stands for any implementation, such as `Arc`.
fn implementor<'a>(line: &'a str, of: &str) -> Option<&'a str> {
    let (head, name) = line.strip_prefix("impl")?.split_once(&format!(" {of} for "))?;
    // `impl Trait for X`, or `impl<…> Trait for X`.
    let simple = head.is_empty() || head.ends_with('>');
    let name = name.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    (simple && name != "Arc" && name != "Box").then_some(name)
}

/// Modules behind a feature: where their sources lie, and the feature.
fn gates(own: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in sources(&format!("{own}/src")) {
        let text = read(&path);
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2) {
            // Of several features that each suffice the first stands for all.
            let gate = pair[0].strip_prefix("#[cfg(any(").or(pair[0].strip_prefix("#[cfg("));
            let feature = gate.and_then(|gate| gate.strip_prefix("feature = \""));
            let Some(feature) = feature.and_then(|rest| rest.split('"').next()) else {
                continue;
            };
            let module = pair[1].strip_prefix("pub ").unwrap_or(pair[1]).strip_prefix("mod ");
            let Some(module) = module.and_then(|rest| rest.strip_suffix(';')) else { continue };
            found.push((shown(&inside(&path).join(module)), feature.to_owned()));
        }
    }
    found
}

/// The folder in which the modules of a source lie.
fn inside(path: &Path) -> std::path::PathBuf {
    let is_root = ["lib.rs", "mod.rs"].iter().any(|name| path.ends_with(name));
    if is_root { path.with_file_name("") } else { path.with_extension("") }
}

/// The feature of the innermost module that is behind one.
fn gate(gates: &[(String, String)], path: &str) -> Option<String> {
    let behind = |module: &str| {
        path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    };
    let around = gates.iter().filter(|(module, _)| behind(module));
    around.max_by_key(|(module, _)| module.len()).map(|(_, feature)| feature.clone())
}

/// Features of a crate, each with what it turns on.
fn features(own: &str) -> BTreeMap<String, Vec<String>> {
    let manifest = read(&root().join(own).join("Cargo.toml"));
    let section = manifest.split("\n[features]\n").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let code: String = section.lines().filter(|line| !line.starts_with('#')).collect();
    let mut found = BTreeMap::new();
    for entry in code.split(']').filter(|entry| entry.contains('[')) {
        let (name, list) = entry.split_once('=').expect("a feature is `name = [list`");
        let list = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
        found.insert(name.trim().to_owned(), list);
    }
    found
}

/// All that a feature turns on, at however many removes.
fn closure(features: &BTreeMap<String, Vec<String>>, from: &str) -> Vec<String> {
    let mut reached = vec![from.to_owned()];
    let mut at = 0;
    while at < reached.len() {
        let next = features.get(&reached[at]).cloned().unwrap_or_default();
        reached.extend(next.into_iter().filter(|name| !reached.contains(name)).collect::<Vec<_>>());
        at += 1;
    }
    reached
}

fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part)
    })
}

/// The checks above can fail.
mod seeing {
    use super::*;

    #[test]
    fn implementors_are_seen() {
        let seen = |line| implementor(line, "Registry");
        assert_eq!(seen("impl Registry for SqlStore {"), Some("SqlStore"));
        assert_eq!(seen("impl<T: Clock> Registry for Cached<T> {"), Some("Cached"));
        assert_eq!(seen("impl<R: Registry + ?Sized> Registry for Arc<R> {"), None);
        assert_eq!(seen("impl fmt::Debug for Registry {"), None);
        let serve = backends("mlops-serve");
        let engine = serve.iter().find(|backend| backend.name == "CandleEngine").unwrap();
        assert_eq!((engine.of, engine.feature.as_deref()), ("Engine", Some("candle")));
        let registry = backends("mlops-registry");
        let of = |name| registry.iter().find(|backend| backend.name == name).unwrap();
        assert_eq!(of("SqlStore").feature.as_deref(), Some("sqlite"));
        assert_eq!(of("RestStore").feature.as_deref(), Some("mlflow"));
    }

    #[test]
    fn features_are_seen() {
        let core = features("mlops-core");
        assert!(core["data"].contains(&"dep:csv".to_owned()), "{core:?}");
        assert!(closure(&core, "full").contains(&"tokio/rt".to_owned()), "{core:?}");
        assert!(features("mlops")["cli"].contains(&"dep:clap".to_owned()));
        assert!(has_word("of MemoryStore::new()", "MemoryStore"));
        assert!(!has_word("of MemoryStores", "MemoryStore"));
    }
}

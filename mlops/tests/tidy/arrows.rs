//! Who may depend on whom.

use super::workspace::{crates, read, root, shown, sources};

/// Siblings meet in a host, through core.
#[test]
fn siblings_do_not_depend_on_each_other() {
    let siblings = ["mlops-registry", "mlops-serve", "mlops-drift"];
    for own in siblings {
        let manifest = root().join(own).join("Cargo.toml");
        if !manifest.exists() {
            continue;
        }
        let text = read(&manifest);
        for other in siblings.iter().filter(|other| **other != own) {
            assert!(!text.contains(other), "{own} depends on {other}");
        }
    }
}

/// Rooms of core, each with the rooms that it may use beside the vocabulary.
const ROOMS: &[(&str, &[&str])] = &[
    ("stats", &[]),
    ("report", &["stats"]),
    ("model", &[]),
    ("data", &["stats", "report", "model"]),
    ("features", &["stats", "report", "model", "data"]),
    ("evaluation", &["stats", "data"]),
    ("pipeline", &[]),
];

/// The vocabulary may use only the rooms that have no feature: statistics and the model package.
#[test]
fn arrows_inside_core_point_one_way() {
    let core = root().join("mlops-core/src");
    for path in sources("mlops-core/src") {
        let below = path.strip_prefix(&core).expect("a source of core");
        let first = below.components().next().expect("a path has a part").as_os_str();
        let room = first.to_string_lossy().trim_end_matches(".rs").to_owned();
        if ["lib", "conformance", "testing"].contains(&room.as_str()) {
            continue;
        }
        let allowed: &[&str] = ROOMS
            .iter()
            .find(|(own, _)| *own == room)
            .map_or(&["stats", "model"], |(_, uses)| *uses);
        let text = read(&path);
        for (other, _) in
            ROOMS.iter().filter(|(other, _)| *other != room && !allowed.contains(other))
        {
            let names = [format!("crate::{other}::"), format!("crate::{other};")];
            let used =
                text.lines().any(|line| names.iter().any(|name| line.contains(name.as_str())));
            assert!(!used, "{}: room {room:?} may not use room {other:?}", shown(&path));
        }
    }
}

/// Types of other people's engines and servers stay out of what siblings share.
#[test]
fn foreign_types_stay_out_of_core() {
    let manifest = read(&root().join("mlops-core/Cargo.toml"));
    for foreign in ["ort", "candle-core", "ndarray", "sqlx", "axum", "tonic", "datafusion"] {
        let line = |line: &str| {
            line.starts_with(foreign) && line[foreign.len()..].starts_with([' ', '.', '='])
        };
        assert!(!manifest.lines().any(line), "mlops-core depends on {foreign}");
    }
}

/// A feature only adds: none may be named after the absence of something.
#[test]
fn every_crate_has_full_and_documents_its_features() {
    for name in crates() {
        let text = read(&root().join(&name).join("Cargo.toml"));
        assert!(text.contains("\nfull = ["), "{name} has no feature `full`");
        assert!(text.contains("[package.metadata.docs.rs]"), "{name} says nothing to docs.rs");
        assert!(
            text.contains("[lints]\nworkspace = true"),
            "{name} does not take the workspace's lints"
        );
        assert!(!text.contains("\nno-"), "{name} has a feature that takes something away");
    }
}

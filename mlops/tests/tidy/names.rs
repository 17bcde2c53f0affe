//! Documents name things that exist.

use super::workspace::{crates, read, root, sources};

/// Every name in backquotes in ARCHITECTURE.md is a path, a crate, a feature, or occurs in a source.
#[test]
fn names_in_the_architecture_exist() {
    let text = read(&root().join("ARCHITECTURE.md"));
    let mut all: String = sources("").iter().map(|path| read(path)).collect();
    for name in crates() {
        all += &read(&root().join(name).join("Cargo.toml"));
    }
    all += &read(&root().join("Cargo.toml"));
    all += &read(&root().join("scripts/test"));
    let missing: Vec<&str> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| !root().join(name).exists() && !all.contains(last_part(name)))
        .collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names what does not exist: {missing:?}");
}

/// Whoever looks for a crate, or for what a part of the repository is, finds it there.
#[test]
fn the_architecture_names_every_crate() {
    let text = read(&root().join("ARCHITECTURE.md"));
    let parts = ["examples", "fuzz", "mlops/tests/host"].map(str::to_owned);
    for name in crates().into_iter().chain(parts) {
        assert!(text.contains(&format!("`{name}`")), "ARCHITECTURE.md does not name {name}");
        assert!(root().join(&name).join("Cargo.toml").exists(), "{name} holds no crate");
    }
}

/// `tensor::Tensor` is found by its last part.
fn last_part(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name).trim_end_matches("()")
}

/// What a reader expects to find in the root.
#[test]
fn the_root_has_the_usual_files() {
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "deny.toml",
        "rustfmt.toml",
        "clippy.toml",
        "Cargo.lock",
        "scripts/test",
        ".ci/run",
    ] {
        assert!(root().join(name).exists(), "{name} is missing");
    }
}

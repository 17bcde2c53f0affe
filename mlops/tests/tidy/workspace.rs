//! Finding and reading the workspace's files.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The repository's root.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the root").to_owned()
}

/// Every Rust source below a folder of the root, in the order of their paths; none if it is absent.
pub(super) fn sources(below: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(&root().join(below), &mut found);
    found.sort();
    found
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                walk(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// A file's text.
pub(super) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()))
}

/// A path as people write it: below the root.
pub(super) fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// The published crates: members of the workspace whose names begin as the family's do.
pub(super) fn crates() -> Vec<String> {
    let manifest = read(&root().join("Cargo.toml"));
    let members = manifest.split("members = [").nth(1).expect("a list of members");
    let members = members.split(']').next().expect("the list ends");
    members.split('"').filter(|name| name.starts_with("mlops")).map(str::to_owned).collect()
}

/// The names of the crates that a build of `package` compiles, without itself.
pub(super) fn tree(package: &str, features: &[&str], kinds: &str) -> Vec<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .current_dir(root())
        .args(["tree", "--package", package, "--edges", kinds, "--prefix", "none"])
        .args(["--format", "{p}", "--no-default-features", "--features", &features.join(",")])
        .output()
        .expect("cargo is there, it runs this test");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree --package {package}: {error}");
    let text = String::from_utf8_lossy(&output.stdout);
    let name = |line: &str| line.split_whitespace().next().map(str::to_owned);
    let version = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
    let mut crates: Vec<(String, String)> =
        text.lines().filter_map(|line| Some((name(line)?, version(line)?))).collect();
    crates.sort();
    crates.dedup();
    crates.into_iter().map(|(name, _)| name).filter(|name| name != package).collect()
}

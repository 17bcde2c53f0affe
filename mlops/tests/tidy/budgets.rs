//! What a host has to build when it takes one of the crates.

use super::workspace::{crates, tree};

/// Crates, without the one asked for: normal and build dependencies, as a host compiles them.
fn assert_at_most(limit: usize, package: &str, features: &[&str]) {
    let compiled = tree(package, features, "normal,build");
    let count = compiled.len();
    println!("{package} with {features:?}: {count} crates of {limit}");
    assert!(
        count <= limit,
        "{package} with {features:?} compiles {count} crates, over {limit}: {compiled:?}"
    );
}

#[test]
fn core_is_small_to_carry() {
    assert_at_most(70, "mlops-core", &[]);
}

#[test]
fn serve_with_tabular_is_small_to_carry_and_needs_no_c_compiler() {
    if !crates().contains(&"mlops-serve".to_owned()) {
        println!("skipped: mlops-serve is not there");
        return;
    }
    assert_at_most(80, "mlops-serve", &["tabular"]);
    let compiled = tree("mlops-serve", &["tabular"], "normal,build");
    let c = |name: &&String| *name == "cc" || *name == "cmake" || name.ends_with("-sys");
    let needs_c: Vec<&String> = compiled.iter().filter(c).collect();
    assert!(needs_c.is_empty(), "these call a C compiler: {needs_c:?}");
}

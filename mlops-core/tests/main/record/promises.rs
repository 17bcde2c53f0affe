//! Each promise in the docs of a trait is the promise of a check. That each check has a saboteur is said
//! beside the saboteurs.

/// The docs of a trait, and the files in which its checks are.
const TRAITS: [(&str, &str, &[&str]); 3] = [
    (
        "Tracker",
        include_str!("../../../src/tracker/mod.rs"),
        &[
            include_str!("../../../src/conformance/tracker/artifacts.rs"),
            include_str!("../../../src/conformance/tracker/batch.rs"),
            include_str!("../../../src/conformance/tracker/experiments.rs"),
            include_str!("../../../src/conformance/tracker/runs.rs"),
            include_str!("../../../src/conformance/tracker/search.rs"),
        ],
    ),
    (
        "Registry",
        include_str!("../../../src/registry/mod.rs"),
        &[
            include_str!("../../../src/conformance/registry/aliases.rs"),
            include_str!("../../../src/conformance/registry/bytes.rs"),
            include_str!("../../../src/conformance/registry/gates.rs"),
            include_str!("../../../src/conformance/registry/models.rs"),
            include_str!("../../../src/conformance/registry/versions.rs"),
        ],
    ),
    (
        "EventLog",
        include_str!("../../../src/event.rs"),
        &[include_str!("../../../src/conformance/event.rs")],
    ),
];

#[test]
fn each_promise_of_the_docs_is_checked() {
    for (name, docs, checks) in TRAITS {
        let promises = promises(docs);
        assert!(promises.len() > 4, "{name} promises something");
        let checks: Vec<String> = checks.iter().map(|text| in_one_line(text)).collect();
        for promise in promises {
            let checked = checks.iter().any(|text| text.contains(&promise));
            assert!(checked, "{name} has no check of: {promise}");
        }
    }
}

/// The bullets of the docs, each in one line.
fn promises(source: &str) -> Vec<String> {
    let (mut bullets, mut within) = (Vec::<String>::new(), false);
    for line in source.lines() {
        let text = line.trim().strip_prefix("///").map(str::trim);
        let bullet = text.and_then(|text| text.strip_prefix("- "));
        match (bullet, text, bullets.last_mut()) {
            (Some(bullet), ..) => bullets.push(bullet.to_owned()),
            (None, Some(more), Some(last)) if within && !more.is_empty() => {
                last.push(' ');
                last.push_str(more);
            }
            _ => {}
        }
        within = bullet.is_some() || within && text.is_some_and(|text| !text.is_empty());
    }
    bullets
}

/// A text in a source may go on after a `\` in the next line.
fn in_one_line(source: &str) -> String {
    source.replace("\\\n", "").split_whitespace().collect::<Vec<_>>().join(" ")
}

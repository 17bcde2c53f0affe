//! Files and functions stay short enough to read. A ratchet: what is longer today is listed, and
//! may only shrink.

use super::workspace::{read, shown, sources};
use std::path::Path;

const MAX_FILE: usize = 600;
const MAX_FUNCTION: usize = 70;
const MAX_EXAMPLE: usize = 120;
/// The quickstart is a story; each of its acts is a module.
const MAX_ACT: usize = 250;

/// Longer than the cap, with the length that they may have at most.
const LONG_FILES: &[(&str, usize)] = &[];
const LONG_FUNCTIONS: &[(&str, usize)] = &[];

#[test]
fn files_are_short() {
    for path in code() {
        let text = read(&path);
        let lines = before_tests(&text).lines().count();
        let cap = match shown(&path) {
            act if act.starts_with("examples/quickstart/") => MAX_ACT,
            example if example.starts_with("examples") => MAX_EXAMPLE,
            _ => MAX_FILE,
        };
        assert!(
            lines <= allowed(LONG_FILES, &shown(&path), cap),
            "{}: {lines} lines",
            shown(&path)
        );
    }
}

#[test]
fn functions_are_short() {
    for path in code() {
        let text = read(&path);
        for (name, lines) in functions(&text) {
            let full = format!("{}::{name}", shown(&path));
            assert!(lines <= allowed(LONG_FUNCTIONS, &full, MAX_FUNCTION), "{full}: {lines} lines");
        }
    }
}

#[test]
fn nothing_is_ignored_without_a_reason() {
    for path in sources("") {
        if path.ends_with("tidy/sizes.rs") {
            continue;
        }
        let text = read(&path);
        assert!(
            !text.contains("#[ignore]"),
            "{}: a test is ignored without a reason",
            shown(&path)
        );
        assert!(!text.contains("```ignore"), "{}: a doctest is ignored", shown(&path));
    }
}

fn code() -> Vec<std::path::PathBuf> {
    let own = |path: &std::path::PathBuf| !is_test(path);
    sources("").into_iter().filter(own).collect()
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests")
        // The drift crate has a room for two-sample tests of that name.
        && !shown(path).starts_with("mlops-drift/src")
}

fn before_tests(text: &str) -> &str {
    text.find("\n#[cfg(test)]").map_or(text, |end| &text[..end])
}

fn allowed(list: &[(&str, usize)], name: &str, cap: usize) -> usize {
    list.iter().find(|(own, _)| *own == name).map_or(cap, |(_, lines)| *lines)
}

/// Name and length of each function: from its `fn` to the brace that closes at the same indent,
/// which is where rustfmt puts it.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let close = format!("{}}}", " ".repeat(indent));
        // A declaration without a body ends in a semicolon, perhaps some lines on; a short one in a brace.
        let head = lines[start..].iter().find(|line| line.ends_with(['{', ';', '}']));
        if head.is_none_or(|line| !line.ends_with('{')) {
            continue;
        }
        let end = lines[start..].iter().position(|line| *line == close);
        found.push((name.to_owned(), end.map_or(0, |end| end + 1)));
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    for word in ["pub(crate) ", "pub(super) ", "pub ", "const ", "async ", "unsafe "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    let rest = rest.strip_prefix("fn ")?;
    Some(rest.split(['(', '<']).next().unwrap_or(rest))
}

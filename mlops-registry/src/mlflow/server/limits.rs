//! What MLflow takes as a name, and how long names and values may be.

use super::args::invalid;
use mlops_core::{Error, Result};

/// The longest key of a metric, parameter or tag, in characters.
pub(super) const KEY: usize = 250;
/// The longest value of a parameter; what is longer is cut.
pub(super) const PARAM: usize = 6000;
/// The longest value of a run's tag; what is longer is cut.
pub(super) const TAG: usize = 8000;
/// The longest name of an experiment.
pub(super) const EXPERIMENT: usize = 500;
/// The longest value of an experiment's tag.
pub(super) const EXPERIMENT_TAG: usize = 20_000;
/// The most metrics of a batch, and the most entries of it in all.
pub(super) const BATCH: usize = 1000;
/// The most parameters of a batch, and the most tags.
pub(super) const BATCH_TEXTS: usize = 100;

/// Refuses a key that MLflow refuses: it may become the path of a file. `place` is the parameter that
/// the error names.
pub(super) fn key(key: &str, place: &str) -> Result<()> {
    let known = |c: char| c.is_alphanumeric() || matches!(c, '_' | '/' | '.' | '-' | ' ' | ':');
    if !key.chars().all(known) {
        let why = "a name has only letters, digits, _ - . / : and spaces";
        return Err(invalid(&quoted(key), place, why));
    }
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    if key.starts_with("..") || !key.split('/').all(plain) {
        let why = "read as a path, the name is another one";
        return Err(invalid(&quoted(key), place, why));
    }
    within(key, place, KEY)
}

/// Refuses a text of more characters.
pub(super) fn within(text: &str, what: &str, most: usize) -> Result<()> {
    if text.len() > most && text.chars().count() > most {
        return Err(Error::invalid(format!("'{what}' has more than {most} characters")));
    }
    Ok(())
}

/// So many characters of a text.
pub(super) fn cut(mut text: String, most: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
    }
    text
}

/// Refuses more entries of a batch.
pub(super) fn count(what: &str, count: usize, most: usize) -> Result<()> {
    if count > most {
        return Err(Error::invalid(format!(
            "a batch has at most {most} {what}, and this one {count}: send several"
        )));
    }
    Ok(())
}

fn quoted(text: &str) -> serde_json::Value {
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_that_name_one_place() {
        for good in ["loss", "a/b c.d-e_f:9", "é", "val/loss.1", "x/..y"] {
            assert!(key(good, "key").is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "../x", "..a", "/root", "a/../b", "a//b", "a/", "a?b", "a\tb"] {
            assert!(key(bad, "key").is_err(), "{bad}");
        }
        assert!(key(&"é".repeat(250), "key").is_ok() && key(&"é".repeat(251), "key").is_err());
        assert_eq!(cut("ééé".to_owned(), 2), "éé");
    }
}

//! Paths as clients send them.

use mlops_core::{Error, Result, artifact::ArtifactPath};
use percent_encoding::percent_decode_str;

/// How often something may be encoded before it is called an attempt at something else.
const ENCODED: usize = 8;

/// The path of an artifact in a URL that has been decoded once. `InvalidInput` if it leaves its folder, also
/// if it would only once somebody decodes it again.
pub fn artifact_path(path: &str) -> Result<ArtifactPath> {
    if path.starts_with('/') {
        return Err(invalid());
    }
    // What is judged is what will be used: without its dot, `./%2fetc` begins with an encoded slash.
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    let path = parts.collect::<Vec<_>>().join("/");
    let mut seen = path.clone();
    for _ in 0..ENCODED {
        if !stays(&seen) {
            return Err(invalid());
        }
        let again = percent_decode_str(&seen).decode_utf8_lossy();
        if again == seen {
            return ArtifactPath::new(path).map_err(|_| invalid());
        }
        seen = again.into_owned();
    }
    Err(invalid())
}

fn stays(path: &str) -> bool {
    let strange = |c: char| c.is_control() || matches!(c, '\\' | '#');
    !path.starts_with('/') && !path.contains(strange) && path.split('/').all(|part| part != "..")
}

fn invalid() -> Error {
    // Without the path: whoever sends such a one knows it.
    Error::invalid("Invalid path")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_stay_below_their_root() {
        for (sent, path) in [
            ("1/r/artifacts/a.txt", "1/r/artifacts/a.txt"),
            ("a//b/./c/", "a/b/c"),
            ("a b é%.csv", "a b é%.csv"),
            ("at 10:30.csv", "at 10:30.csv"),
            ("", ""),
        ] {
            assert_eq!(artifact_path(sent).unwrap().as_str(), path, "{sent}");
        }
        for sent in [
            "..",
            "a/../b",
            "/etc/passwd",
            "a\\b",
            "a\0b",
            "a#b",
            "%2e%2e/x",
            "%252e%252e/x",
            "a/..%2f..%2fb",
            "%2fetc",
            "./%2fetc",
            "a%5c..%5cb",
            "a%00",
            "%25252e%25252e%25252f",
            "c:/x",
            "a\nb",
        ] {
            assert!(artifact_path(sent).is_err(), "{sent:?}");
        }
    }

    proptest! {
        #[test]
        fn no_path_escapes(path in "([a./\\\\:%#]|%2e|%2f|%25|%5c|\\.\\.|/){0,10}") {
            if let Ok(found) = artifact_path(&path) {
                let mut seen = found.as_str().to_owned();
                for _ in 0..12 {
                    prop_assert!(!seen.starts_with('/') && !seen.contains(['\\', '\0']), "{}", seen);
                    prop_assert!(seen.split('/').all(|part| part != ".."), "{}", seen);
                    seen = percent_decode_str(&seen).decode_utf8_lossy().into_owned();
                }
            }
        }
    }
}

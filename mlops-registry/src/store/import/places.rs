//! Where on this machine a source's artifacts lie.

use super::{ImportOptions, found::FoundExperiment};
use mlops_core::{Result, artifact::ArtifactPath};
use percent_encoding::percent_decode_str;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What places mean here.
pub(super) struct Places {
    moved: Vec<(String, PathBuf)>,
    /// Whether a path that the source names is one of this machine. What a server names never is: it would
    /// choose what is read here.
    own: bool,
    /// Folders of experiments that are here.
    experiments: Vec<PathBuf>,
}

impl Places {
    pub(super) fn new(options: &ImportOptions, own: bool, found: &[FoundExperiment]) -> Self {
        let mut places = Self { moved: options.moved.clone(), own, experiments: Vec::new() };
        let folders = found.iter().filter_map(|found| places.folder(&found.place).ok().flatten());
        places.experiments = folders.filter(|folder| folder.is_dir()).collect();
        places
    }

    /// The folder of this machine that a place means; nothing if it lies elsewhere, and an error if it leaves
    /// the folder that its beginning was moved to.
    pub(super) fn folder(&self, place: &str) -> Result<Option<PathBuf>> {
        for (from, to) in &self.moved {
            if let Some(rest) = place.strip_prefix(from.as_str()) {
                let rest = decoded(rest);
                let parts: Vec<_> = rest.split('/').filter(|part| !part.is_empty()).collect();
                return Ok(Some(ArtifactPath::new(parts.join("/"))?.under(to)));
            }
        }
        Ok(match place.split_once(':') {
            _ if !self.own || place.is_empty() => None,
            Some(("file", rest)) => {
                let path = rest.strip_prefix("//localhost").or(rest.strip_prefix("//"));
                Some(PathBuf::from(decoded(path.unwrap_or(rest))))
            }
            Some((scheme, _)) if scheme.len() > 1 => None,
            _ => Some(PathBuf::from(place)),
        })
    }

    /// Whether a folder `…/artifacts` is not there because nothing was ever logged into it: MLflow makes it,
    /// and that of the experiment, with the first file. So either the experiment's folder, so many levels up,
    /// is there, or the one around it, which has another experiment's or nothing at all.
    pub(super) fn nothing_logged(&self, folder: &Path, levels: usize) -> bool {
        if !folder.ends_with("artifacts") {
            return false;
        }
        let Some(experiment) = folder.ancestors().nth(levels) else { return false };
        if experiment.is_dir() {
            return true;
        }
        let Some(around) = experiment.parent() else { return false };
        let empty = || fs::read_dir(around).is_ok_and(|mut entries| entries.next().is_none());
        self.experiments.iter().any(|other| other.parent() == Some(around)) || empty()
    }
}

/// `%20` is a space: places are URIs.
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_folders_of_this_machine_or_none() {
        let options = ImportOptions::default().with_moved("mlflow-artifacts:/", "/data");
        let (own, server) = (Places::new(&options, true, &[]), Places::new(&options, false, &[]));
        for (place, folder, of_server) in [
            ("file:///a/b%20c", Some("/a/b c"), None),
            ("file:/a", Some("/a"), None),
            ("/a/b", Some("/a/b"), None),
            ("mlflow-artifacts:/1//r/artifacts/", Some("/data/1/r/artifacts"), Some(())),
            ("mlflow-artifacts:/", Some("/data"), Some(())),
            ("s3://bucket/a", None, None),
            ("", None, None),
        ] {
            let folder = folder.map(PathBuf::from);
            assert_eq!(own.folder(place).unwrap(), folder, "{place}");
            let of_server = of_server.and(folder);
            assert_eq!(server.folder(place).unwrap(), of_server, "{place}");
        }
        for place in ["mlflow-artifacts:/../etc", "mlflow-artifacts:/1/%2e%2e/%2E%2E/etc"] {
            assert!(own.folder(place).is_err() && server.folder(place).is_err(), "{place}");
        }
    }

    #[test]
    fn what_was_never_logged_is_told_from_what_lies_elsewhere() {
        let home = tempfile::tempdir().unwrap();
        let place = |name: &str| home.path().join(name);
        let empty = Places::new(&ImportOptions::default(), true, &[]);
        assert!(empty.nothing_logged(&place("1/run/artifacts"), 2));
        fs::create_dir_all(place("1/models")).unwrap();
        for (name, levels) in [("1/run/artifacts", 2), ("1/models/m-1/artifacts", 3)] {
            assert!(empty.nothing_logged(&place(name), levels), "{name}");
        }
        // No folder of this source is beside it: perhaps another's.
        assert!(!empty.nothing_logged(&place("2/run/artifacts"), 2));
        let one = Places { moved: Vec::new(), own: true, experiments: vec![place("1")] };
        assert!(one.nothing_logged(&place("2/run/artifacts"), 2));
        for name in ["there/2/run/artifacts", "1/run/bytes"] {
            assert!(!one.nothing_logged(&place(name), 2), "{name}");
        }
    }
}

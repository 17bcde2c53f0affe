//! Bytes with a digest, and folders of them.

use crate::{Digest, Error, Result};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, path::Path, pin::Pin, str::FromStr, sync::Arc};

/// Bytes that arrive in pieces.
pub type ByteStream = Pin<Box<dyn futures_core::Stream<Item = Result<bytes::Bytes>> + Send>>;

/// Some bytes: what they hash to and how many they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ArtifactRef {
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
}

impl ArtifactRef {
    /// What refers to these bytes.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        Self { digest: Digest::of(bytes), size: bytes.len() as u64 }
    }
}

/// A relative path with `/` between its parts that stays below where it starts; empty is the root.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ArtifactPath(Arc<str>);

impl ArtifactPath {
    /// Checks the path; `InvalidInput` says which part is not allowed.
    ///
    /// ```
    /// use mlops_core::artifact::ArtifactPath;
    ///
    /// assert!(ArtifactPath::new("model/weights.safetensors").is_ok());
    /// assert!(ArtifactPath::new("../etc/passwd").is_err());
    /// ```
    pub fn new(path: impl Into<Arc<str>>) -> Result<Self> {
        let path = path.into();
        let bad = |why: &str| Error::invalid(format!("artifact path {path:?} {why}"));
        if path.is_empty() {
            return Ok(Self(path));
        }
        for part in path.split('/') {
            match part {
                "" => return Err(bad("has an empty part")),
                "." | ".." => return Err(bad("leaves its folder")),
                // Backslashes and drives lead elsewhere on other systems; a record moves between them.
                _ if part.contains(['\\', '\0']) || is_drive(part) => {
                    return Err(bad("has a part with '\\', NUL or a drive's letter and ':'"));
                }
                _ => {}
            }
        }
        Ok(Self(path))
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path below a folder of this machine.
    pub fn under(&self, folder: &Path) -> std::path::PathBuf {
        let mut path = folder.to_owned();
        path.extend(self.0.split('/').filter(|part| !part.is_empty()));
        path
    }
}

/// Whether it begins as `C:` does; in the name of a file (`at 10:30.csv`) a colon is one character of many.
fn is_drive(part: &str) -> bool {
    let mut chars = part.chars();
    chars.next().is_some_and(|letter| letter.is_ascii_alphabetic()) && chars.next() == Some(':')
}

impl fmt::Display for ArtifactPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ArtifactPath {
    type Err = Error;
    fn from_str(path: &str) -> Result<Self> {
        Self::new(path)
    }
}

impl TryFrom<String> for ArtifactPath {
    type Error = Error;
    fn try_from(path: String) -> Result<Self> {
        Self::new(path)
    }
}

impl From<ArtifactPath> for String {
    fn from(path: ArtifactPath) -> Self {
        path.0.as_ref().to_owned()
    }
}

/// Path to bytes. Its digest, the SHA-256 of its canonical JSON, names a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Manifest {
    entries: BTreeMap<ArtifactPath, ArtifactRef>,
}

impl Manifest {
    /// Describes every file below a folder; a symbolic link is `InvalidInput`, since what it
    /// points to is not part of the folder.
    pub fn of_dir(folder: &Path) -> Result<Self> {
        let mut manifest = Self::default();
        manifest.add_dir(folder, "")?;
        Ok(manifest)
    }

    fn add_dir(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        let failed = |source| Error::io(folder.display(), source);
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
            let name = entry.file_name();
            let name = name
                .to_str()
                .ok_or_else(|| Error::invalid(format!("{}: not a UTF-8 name", path.display())))?;
            let below =
                if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
            if kind.is_dir() {
                self.add_dir(&path, &below)?;
            } else if kind.is_file() {
                let size = entry.metadata().map_err(failed)?.len();
                let digest = Digest::of_file(&path)?;
                self.insert(ArtifactPath::new(below)?, ArtifactRef { digest, size });
            } else {
                return Err(Error::invalid(format!("{}: neither file nor folder", path.display())));
            }
        }
        Ok(())
    }

    /// Adds or replaces an entry.
    pub fn insert(&mut self, path: ArtifactPath, artifact: ArtifactRef) {
        self.entries.insert(path, artifact);
    }

    /// What lies at a path.
    pub fn get(&self, path: &ArtifactPath) -> Option<&ArtifactRef> {
        self.entries.get(path)
    }

    /// Entries in the order of their paths.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&ArtifactPath, &ArtifactRef)> {
        self.entries.iter()
    }

    /// The bytes of all entries.
    pub fn size(&self) -> u64 {
        self.entries.values().map(|entry| entry.size).sum()
    }

    /// Sorted keys and no white space: the same folder gives the same bytes everywhere.
    pub fn to_canonical_json(&self) -> String {
        serde_json::to_string(self).expect("a map of text to text and numbers is valid JSON")
    }

    /// Names the folder.
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_canonical_json())
    }

    /// Whether a folder holds exactly this; `Corrupt` names the first path that differs.
    pub fn verify_dir(&self, folder: &Path) -> Result<()> {
        let found = Self::of_dir(folder)?;
        for (path, wanted) in self.iter() {
            match found.get(path) {
                Some(found) if found == wanted => {}
                Some(found) => {
                    let (wanted, found) = (wanted.digest, found.digest);
                    return Err(Error::corrupt(format!(
                        "{path}: expected {wanted}, found {found}"
                    )));
                }
                None => return Err(Error::corrupt(format!("{path}: missing"))),
            }
        }
        match found.iter().find(|(path, _)| self.get(path).is_none()) {
            Some((path, _)) => Err(Error::corrupt(format!("{path}: not in the manifest"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_accepted_path_stays_below(path in "[a./\\\\:]{0,8}") {
            if let Ok(path) = ArtifactPath::new(path) {
                prop_assert!(path.under(Path::new("/root/x")).starts_with("/root/x"));
                prop_assert!(path.as_str().split('/').all(|part| part != ".."));
            }
        }
    }

    #[test]
    fn a_colon_is_part_of_a_name_and_a_drive_is_not() {
        for path in ["at 10:30.csv", "2026-11-21T10:30:00/a", ":", "1:2", "ab:c", "é:"] {
            assert_eq!(ArtifactPath::new(path).unwrap().as_str(), path);
        }
        for path in ["C:", "c:x", "a/D:/x", "a/d:"] {
            let error = ArtifactPath::new(path).unwrap_err();
            assert!(error.to_string().contains("a drive's letter"), "{error}");
        }
    }

    #[test]
    fn a_folder_is_verified_to_the_byte() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        std::fs::write(folder.path().join("a"), "alpha").unwrap();
        std::fs::write(folder.path().join("sub/b"), "beta").unwrap();
        let manifest = Manifest::of_dir(folder.path()).unwrap();
        assert_eq!((manifest.iter().len(), manifest.size()), (2, 9));
        manifest.verify_dir(folder.path()).unwrap();

        std::fs::write(folder.path().join("sub/b"), "bet4").unwrap();
        let error = manifest.verify_dir(folder.path()).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Corrupt);
        assert!(error.to_string().starts_with("sub/b: expected sha256:"));
        std::fs::remove_file(folder.path().join("sub/b")).unwrap();
        assert_eq!(manifest.verify_dir(folder.path()).unwrap_err().to_string(), "sub/b: missing");
    }
}

//! Where artifacts are kept, as people write it.

use mlops_core::{Error, Result};
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

/// Where the bytes of a record are kept.
///
/// Read from `s3://BUCKET/PREFIX`, `file:///FOLDER` or the path of a folder; what it shows never holds a
/// credential, and a text that does hold one is refused without repeating it.
///
/// ```
/// use mlops_registry::ArtifactPlace;
///
/// let place: ArtifactPlace = "s3://models/team/risk".parse()?;
/// assert_eq!(place.to_string(), "s3://models/team/risk");
/// let place: ArtifactPlace = "file:///var/lib/artifacts".parse()?;
/// assert_eq!(place.to_string(), "/var/lib/artifacts");
/// assert!("s3://key:s3cret@models".parse::<ArtifactPlace>().is_err());
/// # Ok::<(), mlops_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArtifactPlace {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket; needs the feature `s3`.
    Bucket(Bucket),
}

impl FromStr for ArtifactPlace {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once("://") {
            None if text.is_empty() => Err(Error::invalid("artifacts need a folder or a bucket")),
            None => Ok(Self::Folder(PathBuf::from(text))),
            Some(("file", path)) if path.starts_with('/') => Ok(Self::Folder(PathBuf::from(path))),
            Some(("file", _)) => Err(Error::invalid("not a folder: give file:///FOLDER")),
            Some(("s3", rest)) => Bucket::parse(rest).map(Self::Bucket),
            // The rest may hold a password.
            Some((scheme, _)) => Err(Error::unsupported(format!(
                "no artifacts are kept at {scheme:?} URIs: give a folder or s3://BUCKET/PREFIX"
            ))),
        }
    }
}

impl fmt::Display for ArtifactPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

impl From<PathBuf> for ArtifactPlace {
    fn from(folder: PathBuf) -> Self {
        Self::Folder(folder)
    }
}

impl From<&Path> for ArtifactPlace {
    fn from(folder: &Path) -> Self {
        Self::Folder(folder.to_owned())
    }
}

impl From<Bucket> for ArtifactPlace {
    fn from(bucket: Bucket) -> Self {
        Self::Bucket(bucket)
    }
}

/// A bucket, and the prefix that all names in it begin with.
#[derive(Clone, PartialEq, Eq)]
pub struct Bucket {
    name: Arc<str>,
    prefix: Arc<str>,
}

impl Bucket {
    /// A bucket's name is 3 to 255 of `a-z`, `A-Z`, `0-9`, `.`, `_` and `-`; a prefix is parts with a `/`
    /// between them, none of them empty, `.` or `..`, or it is empty.
    pub fn new(name: &str, prefix: &str) -> Result<Self> {
        // Neither is repeated: people paste credentials into addresses.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !(3..=255).contains(&name.len()) || !name.chars().all(plain) || name.contains("..") {
            return Err(Error::invalid("not a bucket: give s3://BUCKET/PREFIX and nothing else"));
        }
        let odd = |c: char| c.is_control() || matches!(c, '?' | '#' | '%' | '\\' | '@' | ':');
        let bad = |part: &str| matches!(part, "" | "." | "..") || part.contains(odd);
        if !prefix.is_empty() && (prefix.len() > 512 || prefix.split('/').any(bad)) {
            return Err(Error::invalid(format!("bucket {name}: not a prefix: give PART/PART…")));
        }
        Ok(Self { name: name.into(), prefix: prefix.into() })
    }

    fn parse(text: &str) -> Result<Self> {
        let (name, prefix) = text.split_once('/').unwrap_or((text, ""));
        Self::new(name, prefix.strip_suffix('/').unwrap_or(prefix))
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What all names in it begin with; may be empty.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix() {
            "" => write!(f, "s3://{}", self.name),
            prefix => write!(f, "s3://{}/{prefix}", self.name),
        }
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places_are_read_and_shown() {
        for (text, shown) in [
            ("artifacts", "artifacts"),
            ("/var/lib/artifacts", "/var/lib/artifacts"),
            ("file:///var/lib", "/var/lib"),
            ("s3://models", "s3://models"),
            ("s3://models/", "s3://models"),
            ("s3://My_models.eu/team a/b/", "s3://My_models.eu/team a/b"),
        ] {
            assert_eq!(text.parse::<ArtifactPlace>().unwrap().to_string(), shown);
        }
        for text in
            ["", "file://host/x", "gs://models/a", "s3://", "s3://ab", "s3:///a", "s3://abc//d"]
        {
            assert!(text.parse::<ArtifactPlace>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_credential_is_taken_or_repeated(secret in "[a-zA-Z0-9]{12,30}", at in 0_usize..4) {
            let text = [
                format!("s3://key:{secret}@models/a"),
                format!("s3://models/a@{secret}"),
                format!("s3://models/a?X-Amz-Signature={secret}"),
                format!("https://key:{secret}@models/a"),
            ];
            let error = text[at].parse::<ArtifactPlace>().unwrap_err();
            let shown = format!("{error:?} {error}");
            prop_assert!(!shown.contains(&secret), "{}", shown);
        }
    }
}

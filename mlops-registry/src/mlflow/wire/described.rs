//! What a version is, in tags: so that any server keeps it, and every byte can be verified.
//!
//! | tag | holds |
//! |---|---|
//! | `mlops.digest` | the digest of the manifest |
//! | `mlops.manifest` | its canonical JSON |
//! | `mlops.signature` | JSON of the signature, if there is one |
//! | `mlops.dataset` | the digest of the data that it was trained on |
//! | `mlops.metrics` | JSON of what it measured; NaN and infinities as texts |
//!
//! A value longer than 4,000 bytes goes on in `mlops.manifest.2`, `mlops.manifest.3` … : older servers
//! take no more than 5,000.

use super::{Double, Pair, reserved};
use mlops_core::{
    Digest, Error, Result, artifact::Manifest, registry::ModelVersion, signature::ModelSignature,
};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// The most bytes of one tag.
const PIECE: usize = 4_000;

/// What a version is made of, beside its number.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Described {
    pub(crate) manifest: Manifest,
    pub(crate) signature: Option<ModelSignature>,
    pub(crate) dataset: Option<Digest>,
    pub(crate) metrics: BTreeMap<String, f64>,
}

impl Described {
    /// As tags.
    pub(crate) fn to_tags(&self) -> Result<Vec<Pair>> {
        let mut tags = vec![Pair::new(reserved::DIGEST, self.manifest.digest().to_string())];
        add(&mut tags, reserved::MANIFEST, &self.manifest.to_canonical_json());
        if let Some(signature) = &self.signature {
            add(&mut tags, reserved::SIGNATURE, &json(signature)?);
        }
        if let Some(dataset) = &self.dataset {
            tags.push(Pair::new(reserved::DATASET, dataset.to_string()));
        }
        if !self.metrics.is_empty() {
            let metrics: BTreeMap<&str, Double> =
                self.metrics.iter().map(|(name, value)| (name.as_str(), Double(*value))).collect();
            add(&mut tags, reserved::METRICS, &json(&metrics)?);
        }
        Ok(tags)
    }

    /// From the tags of a version; `None` if nobody has described it. Tags that contradict each other
    /// are `Corrupt`: somebody has changed them.
    pub(crate) fn from_tags(tags: &[Pair]) -> Result<Option<Self>> {
        let Some(digest) = text(tags, reserved::DIGEST) else { return Ok(None) };
        let manifest: Manifest = parsed(tags, reserved::MANIFEST)?.unwrap_or_default();
        let digest: Digest = digest.parse().map_err(|cause| bad(reserved::DIGEST, cause))?;
        if manifest.digest() != digest {
            let found = manifest.digest();
            return Err(Error::corrupt(format!("a manifest of {digest} has the digest {found}")));
        }
        let dataset = text(tags, reserved::DATASET).map(|text| text.parse()).transpose();
        let metrics: BTreeMap<String, Double> =
            parsed(tags, reserved::METRICS)?.unwrap_or_default();
        Ok(Some(Self {
            manifest,
            signature: parsed(tags, reserved::SIGNATURE)?,
            dataset: dataset.map_err(|cause| bad(reserved::DATASET, cause))?,
            metrics: metrics.into_iter().map(|(name, value)| (name, value.0)).collect(),
        }))
    }

    /// Fills in a version.
    pub(crate) fn fill(self, version: &mut ModelVersion) {
        version.manifest = self.manifest;
        version.signature = self.signature;
        version.dataset = self.dataset;
        version.metrics = self.metrics;
    }
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|cause| Error::internal("a version's description is no JSON").with_source(cause))
}

/// Adds a text, in pieces that end between characters.
fn add(tags: &mut Vec<Pair>, name: &str, mut rest: &str) {
    for number in 1.. {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
        let key = if number == 1 { name.to_owned() } else { format!("{name}.{number}") };
        tags.push(Pair::new(key, piece));
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
}

fn find<'a>(tags: &'a [Pair], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.as_str())
}

/// A text, put together again.
fn text(tags: &[Pair], name: &str) -> Option<String> {
    let mut text = find(tags, name)?.to_owned();
    for number in 2_usize.. {
        match find(tags, &format!("{name}.{number}")) {
            Some(piece) => text.push_str(piece),
            None => break,
        }
    }
    Some(text)
}

fn parsed<T: DeserializeOwned>(tags: &[Pair], name: &str) -> Result<Option<T>> {
    let text = text(tags, name);
    text.map(|text| serde_json::from_str(&text)).transpose().map_err(|cause| bad(name, cause))
}

fn bad(tag: &str, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::corrupt(format!("a version's tag {tag} is not what was written")).with_source(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlops_core::artifact::{ArtifactPath, ArtifactRef};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_description_comes_back_as_it_went(
            files in proptest::collection::btree_map("[a-z\u{e9}]{1,60}", any::<u64>(), 0..90),
            metrics in proptest::collection::btree_map(".{0,9}", any::<f64>(), 0..9),
            dataset: Option<u64>,
        ) {
            let mut described = Described::default();
            for (path, content) in files {
                let file = ArtifactRef::of(content.to_le_bytes());
                described.manifest.insert(ArtifactPath::new(path).unwrap(), file);
            }
            described.metrics = metrics;
            described.dataset = dataset.map(|content| Digest::of(content.to_le_bytes()));
            let tags = described.to_tags().unwrap();
            prop_assert!(tags.iter().all(|tag| tag.value.len() <= PIECE && reserved::of_version(&tag.key)));
            prop_assert_eq!(Described::from_tags(&tags).unwrap(), Some(described));
        }
    }

    #[test]
    fn a_changed_manifest_is_found_out() {
        let mut described = Described::default();
        described.manifest.insert(ArtifactPath::new("a").unwrap(), ArtifactRef::of("a"));
        let mut tags = described.to_tags().unwrap();
        tags[1].value = "{}".to_owned();
        let error = Described::from_tags(&tags).unwrap_err();
        assert_eq!(error.kind(), mlops_core::ErrorKind::Corrupt);
        assert_eq!(Described::from_tags(&[]).unwrap(), None);
    }
}

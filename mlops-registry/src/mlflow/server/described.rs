//! What a version is, in tags, for our own clients: they ask for no more than MLflow's answers hold.
//!
//! `mlops.digest`, `mlops.manifest`, `mlops.signature`, `mlops.dataset` and `mlops.metrics`; what is longer
//! than 4,000 bytes goes on in `mlops.manifest.2` and so on. The record keeps what they say where it keeps
//! it of any version; no other client sees them.

use mlops_core::{Digest, Error, Result, registry::ModelVersion, tracker::Tags};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The most bytes of one tag.
const PIECE: usize = 4_000;
const DIGEST: &str = "mlops.digest";
const DATASET: &str = "mlops.dataset";
const METRICS: &str = "mlops.metrics";
const SIGNATURE: &str = "mlops.signature";
const MANIFEST: &str = "mlops.manifest";

/// What a registrar says of a version.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Said {
    /// What its files hash to.
    pub(super) digest: Option<Digest>,
    pub(super) dataset: Option<Digest>,
    pub(super) metrics: BTreeMap<String, f64>,
}

/// Takes the tags that describe a version out of those of a call.
pub(super) fn take(tags: &mut Tags) -> Result<Said> {
    let own: Tags = tags.extract_if(.., |key, _| describes(key)).collect();
    let digest = |key: &str| own.get(key).map(|text| text.parse::<Digest>()).transpose();
    let mut metrics = BTreeMap::new();
    if let Some(text) = whole(&own, METRICS) {
        let odd = || Error::invalid(format!("the tag {METRICS} does not hold numbers"));
        let found: Map<String, Value> = serde_json::from_str(&text).map_err(|_| odd())?;
        for (name, value) in found {
            // NaN and infinities come as texts.
            let number = match &value {
                Value::String(text) => text.parse().ok(),
                other => other.as_f64(),
            };
            metrics.insert(name, number.ok_or_else(odd)?);
        }
    }
    Ok(Said { digest: digest(DIGEST)?, dataset: digest(DATASET)?, metrics })
}

fn describes(key: &str) -> bool {
    let piece = |name: &&str| {
        let rest = key.strip_prefix(name).map(|rest| rest.strip_prefix('.').unwrap_or(rest));
        rest.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    [DIGEST, DATASET, METRICS, SIGNATURE, MANIFEST].iter().any(piece)
}

fn whole(tags: &Tags, name: &str) -> Option<String> {
    let mut text = tags.get(name)?.clone();
    for number in 2_usize.. {
        match tags.get(&format!("{name}.{number}")) {
            Some(piece) => text.push_str(piece),
            None => break,
        }
    }
    Some(text)
}

/// The tags that describe a version.
pub(super) fn tags(version: &ModelVersion) -> Result<Tags> {
    let mut tags = Tags::new();
    tags.insert(DIGEST.to_owned(), version.digest().to_string());
    add(&mut tags, MANIFEST, &version.manifest.to_canonical_json());
    if let Some(signature) = &version.signature {
        let text = serde_json::to_string(signature);
        let failed = |cause| Error::internal("a signature has no JSON").with_source(cause);
        add(&mut tags, SIGNATURE, &text.map_err(failed)?);
    }
    tags.extend(version.dataset.map(|dataset| (DATASET.to_owned(), dataset.to_string())));
    if !version.metrics.is_empty() {
        let number = |value: f64| match value {
            _ if value.is_finite() => json!(value),
            _ if value.is_nan() => json!("NaN"),
            _ => json!(if value > 0.0 { "Infinity" } else { "-Infinity" }),
        };
        let all = version.metrics.iter().map(|(name, value)| (name.clone(), number(*value)));
        add(&mut tags, METRICS, &Value::Object(all.collect()).to_string());
    }
    Ok(tags)
}

/// Adds a text, in pieces that end between characters.
fn add(tags: &mut Tags, name: &str, mut rest: &str) {
    for number in 1.. {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
        let key = if number == 1 { name.to_owned() } else { format!("{name}.{number}") };
        tags.insert(key, piece.to_owned());
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
}

//! What a composition is made of and how, as it is written.

use super::super::{
    Away, BranchRule, CachedConfig, EnsembleConfig, FallbackConfig, LookupConfig, Missing,
    ReplicasConfig, ShadowConfig,
};
use mlops_core::{ErrorKind, predictor::Parameter};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    marker::PhantomData,
    sync::Arc,
    time::Duration,
};

/// One composition: `[compose.NAME]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are those of the configurations of each kind")]
pub enum Composition {
    /// One after another: [`Chain`](crate::compose::Chain).
    Chain { steps: Vec<StepDefinition>, version: Option<Arc<str>> },
    /// All together: [`Ensemble`](crate::compose::Ensemble).
    Ensemble {
        rule: EnsembleRule,
        of: Vec<ArmDefinition>,
        outputs: Option<Vec<Arc<str>>>,
        quorum: Option<usize>,
        last: Option<String>,
        version: Option<Arc<str>>,
    },
    /// The one that the request names: [`Branch`](crate::compose::Branch).
    Branch {
        by: BranchBy,
        of: Vec<ArmDefinition>,
        default: Option<String>,
        version: Option<Arc<str>>,
    },
    /// Each its share: [`Split`](crate::compose::Split).
    Split { of: Vec<ArmDefinition>, salt: Option<Arc<str>>, version: Option<Arc<str>> },
    /// The first that answers: [`Fallback`](crate::compose::Fallback).
    Fallback {
        of: Vec<ArmDefinition>,
        kinds: Option<Vec<String>>,
        patience_ms: Option<u64>,
        version: Option<Arc<str>>,
    },
    /// Of the same, whichever has least to do: [`Replicas`](crate::compose::Replicas).
    Replicas {
        of: Vec<String>,
        failures: Option<u32>,
        cool_down_ms: Option<u64>,
        ready_for_ms: Option<u64>,
    },
    /// One that answers, and one that is tried: [`Shadow`](crate::compose::Shadow).
    Shadow {
        of: String,
        shadow: String,
        fraction: Option<f64>,
        queue: Option<usize>,
        at_once: Option<usize>,
    },
    /// Answers that are kept: [`Cached`](crate::compose::Cached).
    Cache { of: String, entries: Option<usize>, bytes: Option<usize>, ttl_ms: Option<u64> },
    /// Features from a store: [`Lookup`](crate::compose::Lookup). The view has the store's name unless
    /// another is said.
    Lookup {
        of: String,
        store: String,
        view: Option<Arc<str>>,
        features: Option<Vec<Arc<str>>>,
        timeout_ms: Option<u64>,
        #[serde(default)]
        missing: BTreeMap<Arc<str>, MissingDefinition>,
        otherwise: Option<MissingDefinition>,
        max_age_ms: Option<u64>,
        away: Option<AwayDefinition>,
    },
}

/// A step of a chain: a name, or a table.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum StepDefinition {
    /// A model or composition, some of whose inputs may have other names in what flows.
    Model {
        /// Its name.
        model: String,
        /// `input = "there"`.
        names: BTreeMap<String, Arc<str>>,
    },
    /// Rows to rows: what a host's loader makes of this source.
    Transform(String),
}

/// An arm of a composition: a name, or a table.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ArmTable {
    /// What it is: a model or a composition.
    pub model: String,
    /// Its share or its say; 1 unless it is said.
    pub weight: Option<f64>,
    /// Its own name; what it is unless it is said.
    pub arm: Option<Arc<str>>,
}

/// An arm of a composition, however it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmDefinition(pub ArmTable);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepTable {
    model: Option<String>,
    #[serde(default)]
    names: BTreeMap<String, Arc<str>>,
    transform: Option<String>,
}

impl<'de> Deserialize<'de> for ArmDefinition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = deserializer.deserialize_any(TextOr::<ArmTable>(PhantomData))?;
        Ok(Self(match written {
            Written::Text(model) => ArmTable { model, weight: None, arm: None },
            Written::Table(table) => table,
        }))
    }
}

impl<'de> Deserialize<'de> for StepDefinition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(TextOr::<StepTable>(PhantomData))? {
            Written::Text(model) => Ok(Self::Model { model, names: BTreeMap::new() }),
            Written::Table(StepTable { model: Some(model), names, transform: None }) => {
                Ok(Self::Model { model, names })
            }
            Written::Table(StepTable { model: None, names, transform: Some(transform) })
                if names.is_empty() =>
            {
                Ok(Self::Transform(transform))
            }
            Written::Table(_) => {
                Err(D::Error::custom("a step is a name, { model, names } or { transform }"))
            }
        }
    }
}

/// A text, or a table whose unknown keys are named: what serde calls untagged names none.
struct TextOr<T>(PhantomData<T>);

enum Written<T> {
    Text(String),
    Table(T),
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for TextOr<T> {
    type Value = Written<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name or a table")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Written::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Written::Table)
    }
}

/// How answers become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EnsembleRule {
    /// The mean by weights.
    Mean,
    /// The mean of probabilities, and its largest.
    SoftVote,
    /// The label with the largest sum of weights.
    Vote,
    /// A last predictor, whose input is what the others give.
    Stack,
}

/// What in a request names its arm.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BranchBy {
    /// The key.
    Key,
    /// The parameter of this name.
    Parameter(Arc<str>),
}

/// What stands in for a feature that is not known.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MissingDefinition {
    /// Nothing.
    Fail,
    /// A null, or NaN.
    Null,
    /// This value.
    Value(Parameter),
}

/// What happens where the store cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AwayDefinition {
    /// The request fails.
    Fail,
    /// Nothing is known.
    Missing,
}

impl Composition {
    /// The names of what it is made of.
    pub fn parts(&self) -> Vec<&str> {
        match self {
            Self::Chain { steps, .. } => steps.iter().filter_map(StepDefinition::part).collect(),
            Self::Ensemble { of, last, .. } => {
                of.iter().map(ArmDefinition::part).chain(last.as_deref()).collect()
            }
            Self::Branch { of, .. } | Self::Split { of, .. } | Self::Fallback { of, .. } => {
                of.iter().map(ArmDefinition::part).collect()
            }
            Self::Replicas { of, .. } => of.iter().map(String::as_str).collect(),
            Self::Shadow { of, shadow, .. } => vec![of, shadow],
            Self::Cache { of, .. } | Self::Lookup { of, .. } => vec![of],
        }
    }

    /// The name of the store that it asks.
    pub(super) fn store(&self) -> Option<&str> {
        match self {
            Self::Lookup { store, .. } => Some(store),
            _ => None,
        }
    }
}

impl StepDefinition {
    fn part(&self) -> Option<&str> {
        match self {
            Self::Model { model, .. } => Some(model),
            Self::Transform(_) => None,
        }
    }
}

impl ArmDefinition {
    fn part(&self) -> &str {
        &self.0.model
    }
}

impl BranchBy {
    pub(super) fn rule(&self) -> BranchRule {
        match self {
            Self::Key => BranchRule::key(),
            Self::Parameter(name) => BranchRule::parameter(Arc::clone(name)),
        }
    }
}

impl MissingDefinition {
    fn rule(&self) -> Missing {
        match self {
            Self::Fail => Missing::Fail,
            Self::Null => Missing::Null,
            Self::Value(value) => Missing::Value(value.clone()),
        }
    }
}

fn millis(ms: Option<u64>, otherwise: Duration) -> Duration {
    ms.map_or(otherwise, Duration::from_millis)
}

pub(super) fn ensemble(outputs: Option<&Vec<Arc<str>>>, quorum: Option<usize>) -> EnsembleConfig {
    let config = EnsembleConfig::default().with_quorum(quorum);
    outputs.map_or(config.clone(), |outputs| config.with_outputs(outputs.iter().cloned()))
}

pub(super) fn fallback(
    kinds: Option<BTreeSet<ErrorKind>>,
    patience_ms: Option<u64>,
) -> FallbackConfig {
    let config = FallbackConfig::default().with_patience(patience_ms.map(Duration::from_millis));
    kinds.map_or(config.clone(), |kinds| config.with_kinds(kinds))
}

pub(super) fn replicas(
    failures: Option<u32>,
    cool_down_ms: Option<u64>,
    ready_for_ms: Option<u64>,
) -> ReplicasConfig {
    let config = ReplicasConfig::default();
    let (failures, cool_down) = (failures.unwrap_or(config.failures), config.cool_down);
    let ready_for = millis(ready_for_ms, config.ready_for);
    config
        .with_failures(failures)
        .with_cool_down(millis(cool_down_ms, cool_down))
        .with_ready_for(ready_for)
}

pub(super) fn shadow(
    fraction: Option<f64>,
    queue: Option<usize>,
    at_once: Option<usize>,
) -> ShadowConfig {
    let config = ShadowConfig::default();
    let (own_queue, own_at_once) = (config.queue, config.at_once);
    config
        .with_fraction(fraction.unwrap_or(1.0))
        .with_queue(queue.unwrap_or(own_queue))
        .with_at_once(at_once.unwrap_or(own_at_once))
}

pub(super) fn cache(
    entries: Option<usize>,
    bytes: Option<usize>,
    ttl_ms: Option<u64>,
) -> CachedConfig {
    let config = CachedConfig::default();
    let (own_entries, own_bytes, ttl) = (config.entries, config.bytes, config.ttl);
    config
        .with_entries(entries.unwrap_or(own_entries))
        .with_bytes(bytes.unwrap_or(own_bytes))
        .with_ttl(ttl_ms.map(Duration::from_millis).or(ttl))
}

/// Of a definition that is a look-up; `None` of any other.
pub(super) fn lookup(definition: &Composition) -> Option<LookupConfig> {
    let Composition::Lookup {
        store,
        view,
        features,
        timeout_ms,
        missing,
        otherwise,
        max_age_ms,
        away,
        ..
    } = definition
    else {
        return None;
    };
    let mut config = LookupConfig::new(view.clone().unwrap_or_else(|| store.as_str().into()));
    config.features.clone_from(features);
    config.timeout = millis(*timeout_ms, config.timeout);
    config.missing = missing.iter().map(|(name, rule)| (Arc::clone(name), rule.rule())).collect();
    config.otherwise = otherwise.as_ref().map_or(Missing::Fail, MissingDefinition::rule);
    config.max_age = max_age_ms.map(Duration::from_millis);
    config.away = match away {
        Some(AwayDefinition::Missing) => Away::Missing,
        _ => Away::Fail,
    };
    Some(config)
}

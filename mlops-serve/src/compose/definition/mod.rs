//! Compositions by their definitions: what a configuration file says, as data.
//!
//! ```toml
//! [models.trees]
//! source = "trees.txt"
//!
//! [models.network]
//! source = "https://models.example/v2/models/network"
//! remote = { timeout_ms = 200, api_key = { env = "NETWORK_KEY" } }
//!
//! [stores.customers]
//! source = "customers.parquet"
//! keys = ["customer"]
//!
//! [compose.both]
//! kind = "ensemble"
//! rule = "mean"
//! of = ["trees", { model = "network", weight = 2.0 }]
//!
//! [compose.risk]
//! kind = "lookup"
//! of = "both"
//! store = "customers"
//! timeout_ms = 3
//! missing = { income = "null", orders = { value = 0 } }
//! ```
//!
//! | table | needs | may have |
//! |---|---|---|
//! | `[models.NAME]` | `source` | `threads` that compute, `queue` (requests that wait for one), `max_batch_rows` (gathers those that wait), `candle_device` (which candle alone then loads it for), `remote` |
//! | `remote` of a model, for one of another server | | `connect_timeout_ms`, `timeout_ms`, `max_in_flight`, `queue`, `attempts`, `retry_unanswered`, `failures`, `cool_down_ms`, `binary`, `api_key`, `headers` |
//! | `[stores.NAME]` | `source` | `keys` (the columns that name an entity), `types` (of columns, for a source that does not say them) |
//! | `[compose.NAME]` | `kind` and what it needs | what it may have |
//!
//! | `kind` | needs | may have |
//! |---|---|---|
//! | `chain` | `steps`: a name, `{ model, names }`, or `{ transform }` | `version` |
//! | `ensemble` | `of`, `rule`: `mean`, `soft_vote`, `vote` or `stack` | `outputs`, `quorum`, `last` (of a stack), `version` |
//! | `branch` | `of`, `by`: `"key"` or `{ parameter = "…" }` | `default`, `version` |
//! | `split` | `of` | `salt`, `version` |
//! | `fallback` | `of` | `kinds`, `patience_ms`, `version` |
//! | `replicas` | `of` | `failures`, `cool_down_ms`, `ready_for_ms` |
//! | `shadow` | `of`, `shadow` | `fraction`, `queue`, `at_once` |
//! | `cache` | `of` | `entries`, `bytes`, `ttl_ms` |
//! | `lookup` | `of`, `store` | `view`, `features`, `timeout_ms`, `missing`, `otherwise`, `max_age_ms`, `away` |
//!
//! An arm is a name, or `{ model, weight, arm }`: its own name is that of what it is made of unless `arm`
//! says another. A model or composition may be part of several others, and is loaded once.

mod build;
mod kinds;
mod order;

pub use build::{Composed, Counting, Loader, build};
pub use kinds::{
    ArmDefinition, ArmTable, AwayDefinition, BranchBy, Composition, EnsembleRule,
    MissingDefinition, StepDefinition,
};

use mlops_core::{Result, config::Config, tensor::DType};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};

/// Everything that a configuration says of models: what is loaded, and what is made of it.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Definitions {
    /// What is loaded, by name: `[models.NAME]`.
    pub models: BTreeMap<String, ModelDefinition>,
    /// Where features come from, by name: `[stores.NAME]`.
    pub stores: BTreeMap<String, StoreDefinition>,
    /// What is made of models and of other compositions, by name: `[compose.NAME]`.
    pub compose: BTreeMap<String, Composition>,
}

/// A model to load: `[models.NAME]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ModelDefinition {
    /// Where it is: what a host's loader makes of it.
    pub source: String,
    /// How it is asked, if it is a model of another server.
    pub remote: Option<RemoteDefinition>,
    /// Threads that compute.
    pub threads: Option<usize>,
    /// Requests that wait for a thread; more are refused.
    pub queue: Option<usize>,
    /// Requests that wait are gathered, up to so many rows.
    pub max_batch_rows: Option<usize>,
    /// Where the engine `candle` computes it: `cpu`, `cuda:0`, `metal:0`.
    pub candle_device: Option<String>,
}

/// How a model of another server is asked; what is absent is as
/// `RemoteConfig` has it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RemoteDefinition {
    /// How long a connection may take to come about.
    pub connect_timeout_ms: Option<u64>,
    /// How long an answer may take, with all that is tried again.
    pub timeout_ms: Option<u64>,
    /// Requests that the server has to answer at a time.
    pub max_in_flight: Option<usize>,
    /// Requests that wait for their turn.
    pub queue: Option<usize>,
    /// How often a request is sent at most.
    pub attempts: Option<u32>,
    /// Whether a request that the server may have computed is sent again.
    pub retry_unanswered: Option<bool>,
    /// So many failures in a row and the server is left alone.
    pub failures: Option<u32>,
    /// For how long it is.
    pub cool_down_ms: Option<u64>,
    /// Whether tensors travel as raw bytes over HTTP.
    pub binary: Option<bool>,
    /// The key that is presented.
    pub api_key: Option<mlops_core::config::Secret>,
    /// Headers of every request, by name.
    pub headers: BTreeMap<String, mlops_core::config::Secret>,
}

/// Where features come from: `[stores.NAME]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StoreDefinition {
    /// Where it is: what a host's loader makes of it.
    pub source: String,
    /// The columns that together name an entity, of a source that does not say it itself.
    #[serde(default)]
    pub keys: Vec<Arc<str>>,
    /// Types of columns, of a source that does not say them itself: `float32`, `int64`, `str` …
    #[serde(default)]
    pub types: BTreeMap<Arc<str>, DType>,
}

impl Definitions {
    /// The sections of a configuration that this reads.
    pub const SECTIONS: [&'static str; 3] = ["models", "stores", "compose"];

    /// What a configuration says; `InvalidInput` names an entry, a key in it, and the nearest that is known.
    ///
    /// ```
    /// use mlops_core::config::Config;
    /// use mlops_serve::compose::definition::Definitions;
    ///
    /// let file = "[models.a]\nsource = \"a.onnx\"\n[compose.b]\nkind = \"cache\"\nof = \"a\"\nttl = 5";
    /// let config = Config::new().with_toml("serve.toml", file)?;
    /// let error = Definitions::of(&config).unwrap_err().to_string();
    /// assert!(error.starts_with("configuration [compose.b] (from serve.toml): unknown field `ttl`"), "{error}");
    /// # Ok::<(), mlops_core::Error>(())
    /// ```
    pub fn of(config: &Config) -> Result<Self> {
        let [models, stores, compose] = Self::SECTIONS;
        Ok(Self {
            models: config.entries(models)?,
            stores: config.entries(stores)?,
            compose: config.entries(compose)?,
        })
    }

    /// Adds a model.
    #[must_use]
    pub fn with_model(mut self, name: impl Into<String>, model: ModelDefinition) -> Self {
        self.models.insert(name.into(), model);
        self
    }

    /// Adds a composition.
    #[must_use]
    pub fn with_composition(mut self, name: impl Into<String>, made: Composition) -> Self {
        self.compose.insert(name.into(), made);
        self
    }

    /// The models and compositions that no other is made of: what a server serves if nobody says.
    pub fn outermost(&self) -> Vec<&str> {
        let inside: Vec<&str> = self.compose.values().flat_map(Composition::parts).collect();
        let names = self.models.keys().chain(self.compose.keys()).map(String::as_str);
        names.filter(|name| !inside.contains(name)).collect()
    }
}

impl ModelDefinition {
    /// A model from this source.
    pub fn new(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            remote: None,
            threads: None,
            queue: None,
            max_batch_rows: None,
            candle_device: None,
        }
    }
}

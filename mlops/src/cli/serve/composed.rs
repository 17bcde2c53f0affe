//! What is served: models of the flags and of the configuration, and what is made of them.

use super::{Serve, Served, logged::Keeper, stores};
use crate::{
    Error, OnlineStore, Predictor, Result, ResultExt, Transform,
    cli::{Console, source::Source},
    config::{Config, nearest},
    data::FittedTransform,
    server::Composed,
    signature::TensorSpec,
};
use async_trait::async_trait;
use mlops_serve::{
    Endpoint,
    compose::definition::{Counting, Definitions, Loader, ModelDefinition, StoreDefinition, build},
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fmt,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// `[serve]` of a configuration: flags of these names, which win over it. Paths are as on the command line,
/// from where the server is started.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ServeSection {
    /// What is served, by name; what nothing else is made of, if it is not said.
    models: Option<Vec<String>>,
    host: Option<String>,
    port: Option<u16>,
    grpc_port: Option<u16>,
    inference_log: Option<PathBuf>,
    api_keys: Option<PathBuf>,
    rate_limit: Option<f64>,
    threads: Option<usize>,
    queue: Option<NonZeroUsize>,
    max_batch_rows: Option<usize>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
}

/// All that is known of models before one is loaded.
#[derive(Debug, Default)]
pub(super) struct Plan {
    definitions: Definitions,
    /// Sources of the flags, by the names that they get.
    flags: Vec<(Arc<str>, Source)>,
    section: ServeSection,
}

impl Serve {
    /// The same flags, and where there is none what the configuration says.
    pub(super) fn configured(&self, plan: &Plan) -> Self {
        let (mut own, section) = (self.clone(), plan.section.clone());
        own.host = own.host.or(section.host);
        own.port = own.port.or(section.port);
        own.grpc_port = own.grpc_port.or(section.grpc_port);
        own.inference_log = own.inference_log.or(section.inference_log);
        own.api_keys = own.api_keys.or(section.api_keys);
        own.rate_limit = own.rate_limit.or(section.rate_limit);
        own.threads = own.threads.or(section.threads);
        own.queue = own.queue.or(section.queue);
        own.max_batch_rows = own.max_batch_rows.or(section.max_batch_rows);
        own.tls = own.tls.or(section.tls_cert, section.tls_key);
        own
    }

    /// The file, then the environment, then the flags.
    pub(super) fn plan(&self) -> Result<Plan> {
        let mut plan = Plan::read(self.config.as_deref())?;
        for model in &self.models {
            let name = model.name.clone().unwrap_or_else(|| model.source.own_name());
            if plan.flags.iter().any(|(earlier, _)| *earlier == name) {
                return Err(Error::already_exists(format!("two models are named {name:?}")));
            }
            // The source is not looked at again: the flags keep it.
            let mut own = plan.definitions.models.remove(name.as_ref());
            let definition = own.get_or_insert_with(|| ModelDefinition::new("--model")).clone();
            plan.definitions.models.insert(name.to_string(), definition);
            plan.flags.push((name, model.source.clone()));
        }
        Ok(plan)
    }

    /// Loads what is to be served, and all that it is made of.
    pub(super) async fn open_all(
        &self,
        plan: &Plan,
        scratch: &Path,
        console: &Console,
    ) -> Result<(Vec<Served>, Vec<Composed>)> {
        let wanted = plan.wanted(self.repository.is_offered())?;
        let (opened, counting) = (Mutex::default(), Mutex::default());
        let loader = Opening { serve: self, plan, scratch, opened, counting };
        let mut made = build(&plan.definitions, &wanted, &loader).await?;
        let mut opened = loader.opened.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut served = Vec::with_capacity(wanted.len());
        for name in &wanted {
            let own: Arc<str> = (*name).into();
            let (endpoint, keeper) = match (opened.remove(*name), made.remove(*name)) {
                (Some(opened), _) => opened,
                (None, Some(made)) => {
                    (Endpoint::from_predictor(Arc::clone(&own), made), Keeper::elsewhere())
                }
                (None, None) => return Err(Error::internal(format!("{name:?} is not made"))),
            };
            let logged = self.logged(&own, endpoint, keeper, wanted.len(), console).await;
            served.push(logged.context(|| format!("model {name:?}"))?);
        }
        Ok((served, loader.counting.into_inner().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Plan {
    fn read(file: Option<&Path>) -> Result<Self> {
        let mut config = Config::new();
        if let Some(path) = file {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|source| Error::io(path.display(), source))?;
            config = config.with_toml(&path.display().to_string(), &text)?;
            config.check_sections(&[&Definitions::SECTIONS[..], &["serve"]].concat())?;
        }
        // Variables for other commands are none of our business, and so are no mistake.
        let variables: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let pairs = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let config = config.with_environment("MLOPS", pairs)?;
        let (definitions, section) = (Definitions::of(&config)?, config.section("serve")?);
        Ok(Self { definitions, flags: Vec::new(), section })
    }

    /// What is served, each once; nothing only where callers load models.
    fn wanted(&self, may_be_empty: bool) -> Result<Vec<&str>> {
        let mut wanted: Vec<&str> = self.flags.iter().map(|(name, _)| name.as_ref()).collect();
        let named: Vec<&str> = match &self.section.models {
            Some(names) => names.iter().map(String::as_str).collect(),
            None => self.definitions.outermost(),
        };
        for name in named {
            let Definitions { models, compose, .. } = &self.definitions;
            if !models.contains_key(name) && !compose.contains_key(name) {
                let known = models.keys().chain(compose.keys()).map(String::as_str);
                let near = nearest(name, known);
                let hint = near.map_or(String::new(), |near| format!("; is {near:?} meant?"));
                return Err(Error::invalid(format!(
                    "[serve] models: there is no model or composition {name:?}{hint}"
                )));
            }
            if !wanted.contains(&name) {
                wanted.push(name);
            }
        }
        if wanted.is_empty() && !may_be_empty {
            return Err(Error::invalid("there is nothing to serve"));
        }
        Ok(wanted)
    }
}

/// Loads the leaves, and keeps the endpoints of models for whoever serves them by themselves.
struct Opening<'a> {
    serve: &'a Serve,
    plan: &'a Plan,
    scratch: &'a Path,
    opened: Mutex<BTreeMap<String, (Endpoint, Keeper)>>,
    counting: Mutex<Vec<Composed>>,
}

impl fmt::Debug for Opening<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opening")
    }
}

#[async_trait]
impl Loader for Opening<'_> {
    async fn model(&self, name: &str, model: &ModelDefinition) -> Result<Arc<dyn Predictor>> {
        let flag = self.plan.flags.iter().find(|(own, _)| **own == *name);
        let source = match flag {
            Some((_, source)) => source.clone(),
            None => model.source.parse()?,
        };
        let folder = tempfile::tempdir_in(self.scratch).map(tempfile::TempDir::keep);
        let folder = folder.map_err(|source| Error::io(self.scratch.display(), source))?;
        let (endpoint, keeper) = self.serve.open(&name.into(), &source, model, &folder).await?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.insert(name.to_owned(), (endpoint.clone(), keeper));
        Ok(Arc::new(endpoint))
    }

    async fn store(&self, name: &str, store: &StoreDefinition) -> Result<Arc<dyn OnlineStore>> {
        stores::load(name, store).await
    }

    /// A transform that was fitted and saved: `transform.json`.
    async fn transform(&self, source: &str) -> Result<(Arc<dyn Transform>, Vec<TensorSpec>)> {
        let text = std::fs::read_to_string(source).map_err(|cause| Error::io(source, cause))?;
        let transform = FittedTransform::from_json(&text)?;
        let takes = transform.input_specs();
        Ok((Arc::new(transform), takes))
    }

    fn counts(&self, name: &str, counting: &Counting) {
        let mut all = self.counting.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Composed { name: name.into(), counting: counting.clone() });
    }
}

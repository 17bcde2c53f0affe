//! Definitions into predictors.

use super::{
    ArmDefinition, ArmTable, Composition, Definitions, EnsembleRule, ModelDefinition,
    StepDefinition, StoreDefinition,
    kinds::{self, ensemble, fallback},
    order::order,
};
use crate::compose::{
    Arm, Branch, Cached, Chain, Ensemble, Fallback, Lookup, Replicas, Shadow, ShadowObserver,
    ShadowPair, Split,
};
use async_trait::async_trait;
use mlops_core::{
    Error, ErrorKind, OnlineStore, Predictor, Result, ResultExt, Transform, config::nearest,
    signature::TensorSpec,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::Arc,
};

/// What a host loads: the leaves of its definitions.
#[async_trait]
pub trait Loader: Debug + Send + Sync {
    /// A model, ready to answer.
    async fn model(&self, name: &str, model: &ModelDefinition) -> Result<Arc<dyn Predictor>>;

    /// A store of features that has the views that look-ups name.
    async fn store(&self, name: &str, store: &StoreDefinition) -> Result<Arc<dyn OnlineStore>> {
        let StoreDefinition { source, .. } = store;
        Err(Error::unsupported(format!("store {name:?} ({source}): no stores are loaded here")))
    }

    /// A transform of rows, and what it takes.
    async fn transform(&self, source: &str) -> Result<(Arc<dyn Transform>, Vec<TensorSpec>)> {
        Err(Error::unsupported(format!("transform {source:?}: none are loaded here")))
    }

    /// Who sees what a shadow of this name would have said; nobody unless this says another.
    fn observer(&self, _shadow: &str) -> Arc<dyn ShadowObserver> {
        Arc::new(Nobody)
    }

    /// Told of what counts as it works, once it is made: whoever keeps it can read its counts.
    fn counts(&self, _name: &str, _counting: &Counting) {}
}

/// Compositions that count what they do; each has `stats`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Counting {
    /// `kind = "cache"`.
    Cache(Arc<Cached>),
    /// `kind = "lookup"`.
    Lookup(Arc<Lookup>),
    /// `kind = "shadow"`.
    Shadow(Arc<Shadow>),
}

/// What shadows say is counted, and not looked at.
#[derive(Debug)]
struct Nobody;

impl ShadowObserver for Nobody {
    fn observe(&self, _: ShadowPair<'_>) {}
}

/// Predictors by the names of their definitions.
pub type Composed = BTreeMap<Arc<str>, Arc<dyn Predictor>>;

/// Loads what is wanted and all that it is made of, each once, and puts it together.
///
/// # Behavior
/// - what is unknown, and a circle, is `InvalidInput` and named before anything is loaded
/// - names, types and shapes are checked where parts come together, as each kind does in Rust; the error
///   names the composition
/// - a composition has the name of its definition, and version 1 unless it says another; replicas have
///   that name too, and each its version; a cache, a look-up and a shadow have those of what they are of
/// - what is not wanted, and no part of what is, is not loaded
pub async fn build(
    definitions: &Definitions,
    wanted: &[&str],
    loader: &dyn Loader,
) -> Result<Composed> {
    let mut builder = Builder { loader, made: BTreeMap::new(), stores: BTreeMap::new() };
    for name in order(definitions, wanted.iter().copied())? {
        let made = match (definitions.models.get(name), definitions.compose.get(name)) {
            (Some(model), _) => {
                loader.model(name, model).await.context(|| format!("model {name:?}"))?
            }
            (None, Some(composition)) => {
                let store =
                    composition.store().and_then(|own| definitions.stores.get_key_value(own));
                let made = builder.composition(name, composition, store).await;
                made.context(|| format!("compose {name:?}"))?
            }
            (None, None) => return Err(Error::internal(format!("{name:?} was there just now"))),
        };
        builder.made.insert(name.into(), made);
    }
    Ok(builder.made)
}

struct Builder<'a> {
    loader: &'a dyn Loader,
    made: Composed,
    stores: BTreeMap<String, Arc<dyn OnlineStore>>,
}

impl Builder<'_> {
    async fn composition(
        &mut self,
        name: &str,
        definition: &Composition,
        store: Option<(&String, &StoreDefinition)>,
    ) -> Result<Arc<dyn Predictor>> {
        Ok(match definition {
            Composition::Chain { steps, version } => {
                Arc::new(self.chain(name, steps, version.as_ref()).await?)
            }
            Composition::Ensemble { .. } => Arc::new(self.ensemble(name, definition)?),
            Composition::Branch { by, of, default, version } => {
                let branch = Branch::new(name, one(version.as_ref()), by.rule(), self.arms(of)?)?;
                Arc::new(match default {
                    Some(default) => branch.with_default(default)?,
                    None => branch,
                })
            }
            Composition::Split { of, salt, version } => {
                let split = Split::new(name, one(version.as_ref()), self.arms(of)?)?;
                Arc::new(match salt {
                    Some(salt) => split.with_salt(Arc::clone(salt))?,
                    None => split,
                })
            }
            Composition::Fallback { of, kinds, patience_ms, version } => {
                let kinds = kinds.as_deref().map(error_kinds).transpose()?;
                let config = fallback(kinds, *patience_ms);
                Arc::new(Fallback::new(name, one(version.as_ref()), self.arms(of)?, config)?)
            }
            Composition::Replicas { of, failures, cool_down_ms, ready_for_ms } => {
                let config = kinds::replicas(*failures, *cool_down_ms, *ready_for_ms);
                let parts = of.iter().map(|part| self.part(part)).collect::<Result<_>>()?;
                // Its parts are called as their definitions are.
                Arc::new(Replicas::named(name, parts, config)?)
            }
            Composition::Shadow { of, shadow, fraction, queue, at_once } => {
                let (champion, tried) = (self.part(of)?, self.part(shadow)?);
                let config = kinds::shadow(*fraction, *queue, *at_once);
                let observer = self.loader.observer(name);
                let shadow = Arc::new(Shadow::open(champion, tried, observer, config)?);
                self.loader.counts(name, &Counting::Shadow(Arc::clone(&shadow)));
                shadow
            }
            Composition::Cache { of, entries, bytes, ttl_ms } => {
                let config = kinds::cache(*entries, *bytes, *ttl_ms);
                let cache = Arc::new(Cached::new(self.part(of)?, config));
                self.loader.counts(name, &Counting::Cache(Arc::clone(&cache)));
                cache
            }
            Composition::Lookup { of, .. } => {
                let missing = || Error::internal("a look-up without a store");
                let (from, store) = store.ok_or_else(missing)?;
                let (inner, store) = (self.part(of)?, self.store(from, store).await?);
                let config = kinds::lookup(definition).ok_or_else(missing)?;
                let lookup = Arc::new(Lookup::open(inner, store, config).await?);
                self.loader.counts(name, &Counting::Lookup(Arc::clone(&lookup)));
                lookup
            }
        })
    }

    async fn chain(
        &self,
        name: &str,
        steps: &[StepDefinition],
        version: Option<&Arc<str>>,
    ) -> Result<Chain> {
        let mut chain = Chain::builder(name, one(version));
        for (at, step) in steps.iter().enumerate() {
            chain = match step {
                StepDefinition::Model { model, names } => {
                    let names = names.iter().map(|(input, there)| (Arc::clone(there), input));
                    chain.then_mapped(self.part(model)?, names)
                }
                StepDefinition::Transform(source) => {
                    let loaded = self.loader.transform(source).await;
                    let (transform, takes) = loaded.context(|| format!("transform {source:?}"))?;
                    let chain = if at == 0 { chain.with_inputs(takes) } else { chain };
                    chain.transform(transform)
                }
            };
        }
        chain.build()
    }

    fn ensemble(&self, name: &str, definition: &Composition) -> Result<Ensemble> {
        let Composition::Ensemble { rule, of, outputs, quorum, last, version } = definition else {
            return Err(Error::internal("no ensemble"));
        };
        let (arms, version) = (self.arms(of)?, one(version.as_ref()));
        let config = ensemble(outputs.as_ref(), *quorum);
        match (rule, last) {
            (EnsembleRule::Stack, Some(last)) => {
                Ensemble::stack(name, version, arms, self.part(last)?, &config)
            }
            (EnsembleRule::Stack, None) => {
                Err(Error::invalid("a stack needs `last`: the model that makes one answer of all"))
            }
            (_, Some(_)) => Err(Error::invalid("`last` belongs to the rule \"stack\" alone")),
            (EnsembleRule::Mean, None) => Ensemble::mean(name, version, arms, &config),
            (EnsembleRule::SoftVote, None) => Ensemble::soft_vote(name, version, arms, &config),
            (EnsembleRule::Vote, None) => Ensemble::vote(name, version, arms, &config),
        }
    }

    /// What has been made; parts are made before what is made of them.
    fn part(&self, name: &str) -> Result<Arc<dyn Predictor>> {
        let missing = || Error::internal(format!("{name:?} is not made yet"));
        self.made.get(name).cloned().ok_or_else(missing)
    }

    fn arms(&self, of: &[ArmDefinition]) -> Result<Vec<Arm>> {
        let one = |definition: &ArmDefinition| {
            let ArmTable { model, weight, arm } = &definition.0;
            let name = arm.clone().unwrap_or_else(|| model.as_str().into());
            Ok(Arm::new(name, self.part(model)?).with_weight(weight.unwrap_or(1.0)))
        };
        of.iter().map(one).collect()
    }

    /// Loaded for the first look-up that asks it.
    async fn store(
        &mut self,
        name: &str,
        definition: &StoreDefinition,
    ) -> Result<Arc<dyn OnlineStore>> {
        if let Some(store) = self.stores.get(name) {
            return Ok(Arc::clone(store));
        }
        let store = self.loader.store(name, definition).await;
        let store = store.context(|| format!("store {name:?}"))?;
        self.stores.insert(name.to_owned(), Arc::clone(&store));
        Ok(store)
    }
}

fn one(version: Option<&Arc<str>>) -> Arc<str> {
    version.cloned().unwrap_or_else(|| "1".into())
}

/// Kinds of error by their names: `unavailable`, `timed_out`.
fn error_kinds(names: &[String]) -> Result<BTreeSet<ErrorKind>> {
    let known: Vec<(String, ErrorKind)> =
        ErrorKind::all().map(|kind| (snake(&format!("{kind:?}")), kind)).collect();
    let one = |name: &String| {
        let found = known.iter().find(|(own, _)| own == name).map(|(_, kind)| *kind);
        found.ok_or_else(|| {
            let near = nearest(name, known.iter().map(|(own, _)| own.as_str()));
            let hint = near.map_or(String::new(), |near| format!("; is {near:?} meant?"));
            Error::invalid(format!("there is no kind of error {name:?}{hint}"))
        })
    };
    names.iter().map(one).collect()
}

fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 2);
    for (at, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

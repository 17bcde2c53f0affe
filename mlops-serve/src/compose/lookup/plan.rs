//! Where each input of the model comes from, found out once.

use super::{
    LookupConfig,
    filler::{Filler, one_column},
};
use mlops_core::{
    Error, Result, ResultExt,
    features::FeatureView,
    signature::{ModelSignature, TensorSpec},
    tensor::Tensors,
};
use std::{collections::BTreeMap, sync::Arc};

/// Where each input of the model comes from.
#[derive(Debug)]
pub(super) struct Plan {
    /// What a request has: the keys, then what the store does not know.
    pub(super) inputs: Vec<TensorSpec>,
    /// What is asked of the store, in this order, and what stands in for it.
    pub(super) features: Vec<(Arc<str>, Filler)>,
    /// The model's inputs, in its order.
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    /// The request has it.
    Given(TensorSpec),
    /// It is a feature.
    Stored(TensorSpec),
    /// Some of its columns are features; the request has the rest, if there is one, packed as well.
    Packed { spec: TensorSpec, rest: Option<TensorSpec> },
}

impl Plan {
    /// `InvalidInput` names what does not fit.
    pub(super) fn new(
        signature: &ModelSignature,
        view: &FeatureView,
        config: &LookupConfig,
    ) -> Result<Self> {
        let wanted = wanted(signature, view, config)?;
        let is_wanted = |name: &Arc<str>| wanted.contains(name);
        let (mut inputs, mut parts) = (view.keys.clone(), Vec::new());
        let mut fillers = BTreeMap::new();
        for spec in &signature.inputs {
            let stored: Vec<&Arc<str>> =
                spec.features().iter().filter(|name| is_wanted(name)).collect();
            for name in &stored {
                let filler = Filler::new(view.require(name)?, spec, config.missing_of(name));
                fillers.insert(Arc::clone(name), filler.context(|| format!("feature {name:?}"))?);
            }
            let part = match (stored.is_empty(), spec.columns.is_empty()) {
                (true, _) => Part::Given(spec.clone()),
                (false, true) => Part::Stored(spec.clone()),
                (false, false) => packed(spec, is_wanted),
            };
            match &part {
                Part::Given(spec) | Part::Packed { rest: Some(spec), .. } => {
                    push(&mut inputs, spec)?;
                }
                _ => {}
            }
            parts.push(part);
        }
        let features = wanted.into_iter().filter_map(|name| {
            let filler = fillers.remove(&name)?;
            Some((name, filler))
        });
        Ok(Self { inputs, features: features.collect(), parts })
    }

    /// What the model is asked, of what the request has and of what is known, a row for each of its rows.
    pub(super) fn inputs(&self, given: &Tensors, known: &Tensors) -> Result<Tensors> {
        let mut inputs = Tensors::new();
        for part in &self.parts {
            let (spec, tensor) = match part {
                Part::Given(spec) => (spec, given.require(&spec.name)?.clone()),
                Part::Stored(spec) => {
                    let tensor = known.require(&spec.name)?.clone();
                    // A model of one column may say so: [-1, 1].
                    let shape = one_column(spec, &tensor);
                    (spec, if shape.is_empty() { tensor } else { tensor.reshape(shape)? })
                }
                Part::Packed { spec, rest } => {
                    let mut all = Tensors::new();
                    for name in spec.columns.iter().filter(|name| known.get(name).is_some()) {
                        all.push(Arc::clone(name), known.require(name)?.clone())?;
                    }
                    let mut specs = Vec::new();
                    if let Some(rest) = rest {
                        all.push(Arc::clone(&rest.name), given.require(&rest.name)?.clone())?;
                        specs.push(rest.clone());
                    }
                    let packed =
                        Tensors::from_batch(&all.to_batch(&specs)?, std::slice::from_ref(spec))?;
                    (spec, packed.require(&spec.name)?.clone())
                }
            };
            inputs.push(Arc::clone(&spec.name), tensor)?;
        }
        Ok(inputs)
    }
}

/// The features that come from the store; each is one that both have.
fn wanted(
    signature: &ModelSignature,
    view: &FeatureView,
    config: &LookupConfig,
) -> Result<Vec<Arc<str>>> {
    let takes = |name: &Arc<str>| signature.features().any(|own| own == name);
    let wanted: Vec<Arc<str>> = match &config.features {
        Some(names) => names.clone(),
        None => view.features.iter().map(|spec| Arc::clone(&spec.name)).filter(takes).collect(),
    };
    for (at, name) in wanted.iter().enumerate() {
        view.require(name)?;
        if !takes(name) || wanted[..at].contains(name) {
            return Err(Error::invalid(format!(
                "the model takes no feature {name:?}, or it is named twice"
            )));
        }
    }
    if wanted.is_empty() {
        let view = &view.name;
        return Err(Error::invalid(format!("the model takes no feature of view {view:?}")));
    }
    if let Some(name) = config.missing.keys().find(|name| !wanted.contains(name)) {
        return Err(Error::invalid(format!(
            "there is a rule for {name:?}, which is not looked up"
        )));
    }
    Ok(wanted)
}

fn packed(spec: &TensorSpec, is_wanted: impl Fn(&Arc<str>) -> bool) -> Part {
    let rest: Vec<Arc<str>> =
        spec.columns.iter().filter(|name| !is_wanted(name)).cloned().collect();
    let rest = (!rest.is_empty()).then(|| {
        TensorSpec::new(Arc::clone(&spec.name), spec.dtype, [None, Some(rest.len())])
            .with_columns(rest)
            .with_nullable(spec.nullable)
    });
    Part::Packed { spec: spec.clone(), rest }
}

/// Adds what a request has; a key that the model takes too is one input.
fn push(inputs: &mut Vec<TensorSpec>, spec: &TensorSpec) -> Result<()> {
    match inputs.iter().find(|own| own.name == spec.name) {
        None => inputs.push(spec.clone()),
        Some(key) if (key.dtype, &key.shape) == (spec.dtype, &spec.shape) => {}
        Some(key) => {
            return Err(Error::invalid(format!(
                "key {key} of the view is another input of the model: {spec}"
            )));
        }
    }
    Ok(())
}

//! The steps of a pipeline and how they are wired: data that can be shown, exported and executed.

use super::step::{ErasedStep, Ports, Step, StepContext, StepSpec};
use crate::{Digest, Error, Result};
use std::{fmt, path::Path, sync::Arc};

/// A checked graph of steps, in an order in which each comes after those that it reads.
#[derive(Clone)]
pub struct Graph {
    name: Arc<str>,
    steps: Vec<Node>,
}

#[derive(Clone)]
struct Node {
    spec: StepSpec,
    step: Arc<dyn ErasedStep>,
}

impl Graph {
    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its steps, in order.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = &StepSpec> {
        self.steps.iter().map(|node| &node.spec)
    }

    /// Names everything that decides a result but the data: steps, versions, settings, wiring.
    pub fn digest(&self) -> Digest {
        let specs: Vec<&StepSpec> = self.steps().collect();
        Digest::of(serde_json::to_vec(&specs).expect("specifications are valid JSON"))
    }

    /// Executes one step: reads its inputs from paths, writes its outputs into paths that do not
    /// exist yet. This is all that an executor, here or in another process, has to call.
    pub async fn execute_step(
        &self,
        index: usize,
        context: &StepContext,
        inputs: &[&Path],
        outputs: &[&Path],
    ) -> Result<()> {
        let unknown = || Error::not_found(format!("pipeline {:?} has no step {index}", self.name));
        let node = self.steps.get(index).ok_or_else(unknown)?;
        let (wanted, given) = (node.spec.inputs.len(), inputs.len());
        if wanted != given || node.spec.outputs.len() != outputs.len() {
            return Err(Error::internal(format!(
                "step {:?}: wrong number of paths",
                node.spec.name
            )));
        }
        let done = node.step.execute(context, inputs, outputs).await;
        done.map_err(|error| error.context(format!("step {:?}", node.spec.name)))
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.steps().map(|spec| spec.name.as_ref()).collect();
        write!(f, "Graph({} {names:?})", self.name)
    }
}

/// Wires steps together by typed handles.
pub struct GraphBuilder {
    name: Arc<str>,
    steps: Vec<Node>,
}

impl GraphBuilder {
    /// A graph without steps.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), steps: Vec::new() }
    }

    /// Adds a step that reads `input` and gives handles of what it makes.
    pub fn step<S: Step>(
        &mut self,
        name: impl Into<Arc<str>>,
        step: S,
        input: <S::Input as Ports>::Edges,
    ) -> <S::Output as Ports>::Edges {
        let spec = StepSpec {
            name: name.into(),
            kind: std::any::type_name::<S>().into(),
            version: step.version().into(),
            params: step.params(),
            outputs: S::Output::types().into_iter().map(Arc::from).collect(),
            inputs: S::Input::wires(input),
        };
        self.steps.push(Node { spec, step: Arc::new(step) });
        S::Output::edges(self.steps.len() - 1)
    }

    /// Checks the whole.
    ///
    /// # Behavior
    /// - no steps, two steps of one name, and a name that cannot be a folder are `InvalidInput`
    /// - a handle of another graph is `InvalidInput`
    pub fn build(self) -> Result<Graph> {
        let Self { name, steps } = self;
        if steps.is_empty() {
            return Err(Error::invalid(format!("pipeline {name:?} has no steps")));
        }
        for (index, node) in steps.iter().enumerate() {
            let own = &node.spec.name;
            if steps[..index].iter().any(|earlier| earlier.spec.name == *own) {
                return Err(Error::invalid(format!("pipeline {name:?} has two steps {own:?}")));
            }
            let path = crate::artifact::ArtifactPath::new(Arc::clone(own));
            if own.is_empty() || own.contains('/') || path.is_err() {
                return Err(Error::invalid(format!("step name {own:?} cannot name a folder")));
            }
            // Handles only reach backwards, so a graph cannot have a cycle; one of another graph may
            // reach anywhere.
            let known = |&(step, port): &(usize, usize)| {
                step < index && port < steps[step].spec.outputs.len()
            };
            if !node.spec.inputs.iter().all(known) {
                return Err(Error::invalid(format!(
                    "step {own:?} reads a handle of another graph"
                )));
            }
        }
        Ok(Graph { name, steps })
    }
}

impl fmt::Debug for GraphBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GraphBuilder({}, {} steps)", self.name, self.steps.len())
    }
}

//! One step of a pipeline, and the values that pass between steps.

use crate::{Result, RunId, stored::Stored};
use serde::{Deserialize, Serialize};
use std::{
    fmt::Debug,
    future::Future,
    marker::PhantomData,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// A future that a graph holds without knowing its type.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One piece of work, with typed inputs and outputs.
///
/// ```
/// use mlops_core::{Result, pipeline::{GraphBuilder, Step, StepContext, Stored}};
///
/// struct Number(f64);
/// impl Stored for Number {
///     const TYPE: &'static str = "number";
///     fn save(&self, into: &std::path::Path) -> Result<()> {
///         std::fs::write(into, self.0.to_le_bytes()).map_err(|e| mlops_core::Error::io("number", e))
///     }
///     fn load(from: &std::path::Path) -> Result<Self> {
///         let bytes = std::fs::read(from).map_err(|e| mlops_core::Error::io("number", e))?;
///         let bytes = bytes.try_into().map_err(|_| mlops_core::Error::corrupt("number"))?;
///         Ok(Self(f64::from_le_bytes(bytes)))
///     }
/// }
///
/// #[derive(Debug)]
/// struct One;
/// impl Step for One {
///     type Input = ();
///     type Output = Number;
///     fn version(&self) -> &str { "1" }
///     async fn execute(&self, _: &StepContext, (): ()) -> Result<Number> { Ok(Number(1.0)) }
/// }
///
/// #[derive(Debug)]
/// struct Twice;
/// impl Step for Twice {
///     type Input = Number;
///     type Output = Number;
///     fn version(&self) -> &str { "1" }
///     async fn execute(&self, _: &StepContext, n: Number) -> Result<Number> { Ok(Number(n.0 * 2.0)) }
/// }
///
/// let mut graph = GraphBuilder::new("sum");
/// let one = graph.step("one", One, ());
/// let two = graph.step("twice", Twice, one);
/// let _four = graph.step("again", Twice, two);
/// assert_eq!(graph.build()?.steps().len(), 3);
/// # Ok::<(), mlops_core::Error>(())
/// ```
pub trait Step: Debug + Send + Sync + 'static {
    /// What it reads: `()`, a [`Stored`] value, or a tuple of up to eight.
    type Input: Ports;
    /// What it makes.
    type Output: Ports;
    /// Changes when its code would give another result: part of the cache key.
    fn version(&self) -> &str;
    /// Its settings: part of the cache key. `Null` if it has none.
    fn params(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
    /// Does the work.
    fn execute(
        &self,
        context: &StepContext,
        input: Self::Input,
    ) -> impl Future<Output = Result<Self::Output>> + Send;
}

/// What a step may know of the execution that it is part of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StepContext {
    /// The execution.
    pub run: RunId,
    /// The step's name in the graph.
    pub step: Arc<str>,
    /// All the randomness that the step may use: derived from the run's one root and the step's name.
    pub seed: u64,
    /// An empty folder of its own that is removed afterwards.
    pub scratch: PathBuf,
    cancelled: Arc<AtomicBool>,
}

impl StepContext {
    /// The context of one step of one execution.
    pub fn new(run: RunId, step: impl Into<Arc<str>>, root_seed: u64, scratch: PathBuf) -> Self {
        let step = step.into();
        let seed = crate::seed::derive(root_seed, &step);
        Self { run, step, seed, scratch, cancelled: Arc::default() }
    }

    /// Lets whoever holds this flag tell the step to stop.
    #[must_use]
    pub fn with_cancelled(mut self, cancelled: Arc<AtomicBool>) -> Self {
        self.cancelled = cancelled;
        self
    }

    /// Whether the execution was given up. A step that waits is dropped by itself; one that
    /// computes for long asks now and then, and returns.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

/// What a graph says of one step: enough to cache it, show it, export it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepSpec {
    /// Its name, unique in the graph.
    pub name: Arc<str>,
    /// The Rust type that does the work.
    #[serde(default)]
    pub kind: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
    /// Its settings.
    pub params: serde_json::Value,
    /// The type of each output.
    pub outputs: Vec<Arc<str>>,
    /// Where each input comes from: (step, output) by their indices.
    pub inputs: Vec<(usize, usize)>,
}

/// The inputs or outputs of a step: `()`, one [`Stored`], or a tuple of up to eight.
pub trait Ports: Sized + Send + 'static {
    /// The handles that stand for them while a graph is built.
    type Edges: Copy;
    /// The type name of each.
    fn types() -> Vec<&'static str>;
    /// The handles of the outputs of a step.
    fn edges(step: usize) -> Self::Edges;
    /// (step, output) of each handle, so that the builder can keep the wiring.
    fn wires(edges: Self::Edges) -> Vec<(usize, usize)>;
    /// Reads each from its path.
    fn load(from: &[&Path]) -> Result<Self>;
    /// Writes each into its path.
    fn save(&self, into: &[&Path]) -> Result<()>;
}

/// Stands for a value that a step will make. Only a step that reads this type takes it, so wiring
/// a test split into a fit does not compile.
pub struct Edge<T> {
    step: usize,
    port: usize,
    of: PhantomData<fn() -> T>,
}

impl<T> Edge<T> {
    fn new(step: usize, port: usize) -> Self {
        Self { step, port, of: PhantomData }
    }
}

impl<T> Clone for Edge<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Edge<T> {}

impl<T> Debug for Edge<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Edge({}.{})", self.step, self.port)
    }
}

impl Ports for () {
    type Edges = ();
    fn types() -> Vec<&'static str> {
        Vec::new()
    }
    fn edges(_: usize) {}
    fn wires((): ()) -> Vec<(usize, usize)> {
        Vec::new()
    }
    fn load(_: &[&Path]) -> Result<()> {
        Ok(())
    }
    fn save(&self, _: &[&Path]) -> Result<()> {
        Ok(())
    }
}

impl<A: Stored> Ports for A {
    type Edges = Edge<A>;
    fn types() -> Vec<&'static str> {
        vec![A::TYPE]
    }
    fn edges(step: usize) -> Edge<A> {
        Edge::new(step, 0)
    }
    fn wires(edge: Edge<A>) -> Vec<(usize, usize)> {
        vec![(edge.step, edge.port)]
    }
    fn load(from: &[&Path]) -> Result<Self> {
        A::load(path(from, 0)?)
    }
    fn save(&self, into: &[&Path]) -> Result<()> {
        Stored::save(self, path(into, 0)?)
    }
}

macro_rules! tuple_ports {
    ($($stored:ident $port:tt),*) => {
        impl<$($stored: Stored),*> Ports for ($($stored,)*) {
            type Edges = ($(Edge<$stored>,)*);
            fn types() -> Vec<&'static str> {
                vec![$($stored::TYPE),*]
            }
            fn edges(step: usize) -> Self::Edges {
                ($(Edge::<$stored>::new(step, $port),)*)
            }
            fn wires(edges: Self::Edges) -> Vec<(usize, usize)> {
                vec![$((edges.$port.step, edges.$port.port)),*]
            }
            fn load(from: &[&Path]) -> Result<Self> {
                Ok(($($stored::load(path(from, $port)?)?,)*))
            }
            fn save(&self, into: &[&Path]) -> Result<()> {
                $(Stored::save(&self.$port, path(into, $port)?)?;)*
                Ok(())
            }
        }
    };
}
tuple_ports!(A 0);
tuple_ports!(A 0, B 1);
tuple_ports!(A 0, B 1, C 2);
tuple_ports!(A 0, B 1, C 2, D 3);
tuple_ports!(A 0, B 1, C 2, D 3, E 4);
tuple_ports!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple_ports!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple_ports!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

fn path<'a>(paths: &[&'a Path], port: usize) -> Result<&'a Path> {
    let missing = || crate::Error::internal(format!("an executor gave no path for port {port}"));
    paths.get(port).copied().ok_or_else(missing)
}

/// A step whose types the graph has forgotten: what another process calls.
pub(super) trait ErasedStep: Debug + Send + Sync {
    fn execute<'a>(
        &'a self,
        context: &'a StepContext,
        inputs: &'a [&'a Path],
        outputs: &'a [&'a Path],
    ) -> BoxFuture<'a, Result<()>>;
}

impl<S: Step> ErasedStep for S {
    fn execute<'a>(
        &'a self,
        context: &'a StepContext,
        inputs: &'a [&'a Path],
        outputs: &'a [&'a Path],
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let input = S::Input::load(inputs)?;
            Step::execute(self, context, input).await?.save(outputs)
        })
    }
}

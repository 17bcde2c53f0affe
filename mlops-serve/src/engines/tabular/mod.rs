//! Tree ensembles, linear models, small networks and their pre-processing, in pure Rust: what
//! scikit-learn (by skl2onnx) and LightGBM (by onnxmltools) export to ONNX, and what LightGBM (text),
//! XGBoost (JSON, UBJSON) and CatBoost (JSON) save themselves.
//!
//! An ONNX file is read into a checked graph (`onnx`), lowered once into kernels in the order in which
//! they run (`plan`, `ops`), and then run by any number of threads at once: nothing changes
//! inside. Where the ONNX specification is silent, ONNX Runtime is followed.

mod boosted;
mod budget;
mod forest;
mod onnx;
mod ops;
mod plan;
mod shapes;

use super::{Engine, InferOptions, LoadOptions, Session, SessionInfo, columns::name_columns};
use boosted::{Boosted, Loaded};
use budget::Budget;
use mlops_core::{Error, Result, ResultExt, model::ModelPackage, tensor::Tensors};
use onnx::Graph;
use plan::Plan;
use std::{fs, path::Path, sync::Arc};

/// The engine's name.
const NAME: &str = "tabular";
/// How `MLflow` marks a package that holds such a file, and what the file is called if it says nothing.
const FLAVORS: [(&str, &str); 4] = [
    (ONNX, "model.onnx"),
    ("lightgbm", "model.lgb"),
    ("xgboost", "model.ubj"),
    ("catboost", "model.json"),
];
const ONNX: &str = "onnx";
/// Where it says what the file is called.
const DATA: &str = "data";

/// Loads tabular models from ONNX, and from the formats of LightGBM, XGBoost and CatBoost.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TabularEngine;

impl TabularEngine {
    /// The engine; it holds nothing.
    pub const fn new() -> Self {
        Self
    }

    /// Loads a bare file; what format it is in shows in its bytes.
    pub fn load_file(
        &self,
        path: impl AsRef<Path>,
        options: &LoadOptions,
    ) -> Result<Arc<TabularSession>> {
        let path = path.as_ref();
        let within = || format!("loading {}", path.display());
        let facts = fs::metadata(path).map_err(|source| Error::io(path.display(), source))?;
        // Looked at before the bytes are in memory.
        options.check_size(facts.len()).context(within)?;
        let bytes = fs::read(path).map_err(|source| Error::io(path.display(), source))?;
        TabularSession::load(&bytes, options).context(within).map(Arc::new)
    }

    /// The operators that are supported, each as its domain and its name.
    pub fn operators() -> impl Iterator<Item = (&'static str, &'static str)> {
        ops::OPERATORS.iter().map(|operator| (operator.domain, operator.name))
    }
}

impl Engine for TabularEngine {
    fn name(&self) -> &'static str {
        NAME
    }

    fn recognises(&self, package: &ModelPackage) -> bool {
        model_file(package).is_some()
    }

    fn load(&self, package: &ModelPackage, options: &LoadOptions) -> Result<Arc<dyn Session>> {
        let folder = package.folder().display();
        let missing =
            || Error::invalid(format!("the model package {folder} holds no tabular model"));
        let path = model_file(package).ok_or_else(missing)?;
        let session = self.load_file(path, options)?;
        let Some(described) = package.signature() else { return Ok(session) };
        let session = Arc::try_unwrap(session);
        let mut session = session.map_err(|_| Error::internal("a new session is shared"))?;
        name_columns(&mut session.info.signature, described);
        Ok(Arc::new(session))
    }
}

/// The file that the descriptor names, or the one with the usual name. What is pickled is not one.
fn model_file(package: &ModelPackage) -> Option<std::path::PathBuf> {
    FLAVORS.iter().find_map(|(flavor, usual)| {
        let data = package.descriptor().flavor(flavor)?.get(DATA);
        let file = package.file(data.and_then(|name| name.as_str()).unwrap_or(usual))?;
        Some(file).filter(|file| file.extension().is_none_or(|ending| ending != "pkl"))
    })
}

/// A loaded model. Any number of threads may run it at once; it starts none.
#[derive(Debug)]
pub struct TabularSession {
    info: SessionInfo,
    model: Model,
    max_working_bytes: u64,
}

#[derive(Debug)]
enum Model {
    Graph(Plan),
    Boosted(Boosted, &'static str),
}

impl TabularSession {
    /// Reads the bytes of an ONNX file, or of any other format that is known, with the default bounds.
    ///
    /// # Behavior
    /// - an operator, attribute, element type or version that is not supported is `Unsupported`;
    ///   the message names it and its node
    /// - bytes that are no ONNX model, or contradict themselves, are `InvalidInput`, whoever made
    ///   them: no bytes make this panic, recurse deeply, or take much more memory than they have
    pub fn from_onnx(bytes: &[u8]) -> Result<Self> {
        Self::load(bytes, &LoadOptions::default())
    }

    /// What `MLflow` calls the format that it was read from: the flavor of a package with this file.
    pub fn flavor(&self) -> &'static str {
        match &self.model {
            Model::Graph(_) => ONNX,
            Model::Boosted(_, flavor) => flavor,
        }
    }

    /// Reads the bytes of a file in any of the formats, as [`TabularSession::from_onnx`] does, with these
    /// bounds. A model of boosted trees has an input `features`, one of texts, `categories`, if it is CatBoost's and has
    /// some, and one output, `prediction`: what its library predicts.
    pub fn load(bytes: &[u8], options: &LoadOptions) -> Result<Self> {
        options.check_size(bytes.len() as u64)?;
        match boosted::read(bytes) {
            Some(loaded) => Self::boosted(loaded?, options),
            None => Self::graph(bytes, options),
        }
    }

    fn boosted(loaded: Loaded, options: &LoadOptions) -> Result<Self> {
        let signature = loaded.signature()?;
        let info = SessionInfo::new(signature, NAME, loaded.model.weights_bytes());
        let model = Model::Boosted(loaded.model, loaded.flavor);
        Ok(Self { info, model, max_working_bytes: options.max_working_bytes })
    }

    fn graph(bytes: &[u8], options: &LoadOptions) -> Result<Self> {
        let Graph { inputs, outputs, constants, nodes } = Graph::read(bytes)?;
        let inputs = shapes::inputs(&inputs)?;
        let plan = Plan::new(constants, nodes, &inputs, &outputs)?;
        let signature = shapes::signature(inputs, &outputs, &plan)?;
        let info = SessionInfo::new(signature, NAME, plan.weights_bytes());
        let model = Model::Graph(plan);
        Ok(Self { info, model, max_working_bytes: options.max_working_bytes })
    }
}

impl Session for TabularSession {
    fn info(&self) -> &SessionInfo {
        &self.info
    }

    fn run(&self, inputs: &Tensors, options: &InferOptions<'_>) -> Result<Tensors> {
        let signature = &self.info.signature;
        signature.check_inputs(inputs)?;
        signature.check_outputs(options.outputs.unwrap_or_default())?;
        let (most, InferOptions { outputs, stop }) = (self.max_working_bytes, options);
        match &self.model {
            Model::Graph(plan) => plan.run(inputs, *outputs, stop, Budget::AtATime(most)),
            Model::Boosted(model, _) => {
                model.run(&signature.outputs[0].name, inputs, *outputs, stop, most)
            }
        }
    }
}

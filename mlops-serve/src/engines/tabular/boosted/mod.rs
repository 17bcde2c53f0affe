//! Boosted trees as the libraries that train them save them: the sum of what the trees say, and the function
//! that the objective puts over it.

mod catboost;
mod categories;
mod lightgbm;
mod linear;
mod link;
mod ubjson;
mod xgboost;

use super::{
    forest::{BLOCK, Forest, Real, Rows},
    ops::nominal_bytes,
};
use crate::engines::Stop;
use categories::Categories;
use linear::Functions;
use link::Link;
use mlops_core::{
    Error, Result,
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Element, Tensor, Tensors},
};
use serde::{Deserialize, de::IgnoredAny};
use smallvec::{SmallVec, smallvec};
use std::{collections::HashMap, sync::Arc};

/// The input of numbers: one row of features each.
const INPUT: &str = "features";
/// The input of categories, of a model that has some: as texts, one row each.
const CATEGORIES: &str = "categories";
/// The only output.
const OUTPUT: &str = "prediction";

/// A model in the number type that its library computes in.
#[derive(Debug)]
pub(super) enum Boosted {
    F32(Ensemble<f32>),
    F64(Ensemble<f64>),
    /// Rows of `f32`, computed in `f64`.
    Wide(Ensemble<f64>),
    /// Rows of `f32`, if there are any, and of categories, computed in `f64`.
    Mixed(Ensemble<f64>, Box<Categories>),
}

/// Asks the model, whichever number type it has.
macro_rules! ask {
    ($boosted:expr, $model:ident => $asked:expr) => {
        match $boosted {
            Boosted::F32($model) => $asked,
            Boosted::F64($model) => $asked,
            Boosted::Wide($model) | Boosted::Mixed($model, _) => $asked,
        }
    };
}

/// A model as it was read, and what it says of itself.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) model: Boosted,
    /// What `MLflow` calls its library.
    pub(super) flavor: &'static str,
    /// How many features it takes.
    columns: usize,
    /// Their names, or nothing.
    features: Vec<Arc<str>>,
    /// A name, which may be empty, for each category.
    categories: Vec<Arc<str>>,
}

/// Reads a model, if the bytes begin as one in a format that is known here does.
pub(super) fn read(bytes: &[u8]) -> Option<Result<Loaded>> {
    if let Some((_, what)) = REFUSED.iter().find(|(begin, _)| bytes.starts_with(begin)) {
        return Some(Err(Error::unsupported(*what)));
    }
    if lightgbm::begins(bytes) {
        return Some(lightgbm::read(bytes));
    }
    if xgboost::begins_binary(bytes) {
        return Some(xgboost::read_binary(bytes));
    }
    (bytes.trim_ascii_start().first() == Some(&b'{')).then(|| read_json(bytes))
}

/// Reads JSON of the library that its fields show: those of all libraries, so that it is read once.
fn read_json(bytes: &[u8]) -> Result<Loaded> {
    #[derive(Deserialize)]
    struct Fields {
        learner: Option<xgboost::Learner>,
        version: Option<Version>,
        features_info: Option<catboost::Features>,
        oblivious_trees: Option<Vec<catboost::Symmetric>>,
        trees: Option<Vec<catboost::Node>>,
        scale_and_bias: Option<(f64, catboost::Bias)>,
        model_info: Option<catboost::Info>,
        ctr_data: Option<HashMap<String, catboost::Counted>>,
    }
    /// XGBoost's, or what others call so.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Version {
        Numbers(Vec<u64>),
        Other(IgnoredAny),
    }
    let fields: Fields = serde_json::from_slice(bytes).map_err(|cause| {
        Error::invalid(format!("the model's JSON cannot be read: {cause}")).with_source(cause)
    })?;
    if let Some(learner) = fields.learner {
        let version = match fields.version {
            Some(Version::Numbers(numbers)) => numbers,
            Some(Version::Other(_)) | None => Vec::new(),
        };
        return xgboost::load(xgboost::Model { learner, version });
    }
    let no_model = || {
        Error::unsupported(
            "JSON that is no model of XGBoost (there is no \"learner\") and none of CatBoost (there is no \
             \"scale_and_bias\") is not supported",
        )
    };
    catboost::load(catboost::Model {
        scale_and_bias: fields.scale_and_bias.ok_or_else(no_model)?,
        features: fields.features_info,
        symmetric: fields.oblivious_trees,
        trees: fields.trees,
        info: fields.model_info,
        counted: fields.ctr_data,
    })
}

/// What other files of these libraries begin with, and what to do about them.
const REFUSED: [(&[u8], &str); 3] = [
    (
        b"CBM1",
        "CatBoost's binary format is not supported: save_model(path, format=\"json\") writes JSON",
    ),
    (
        b"binf",
        "XGBoost's old binary format is not supported: save_model(\"model.ubj\") writes UBJSON",
    ),
    (
        b"\x80",
        "a pickle is not supported, for to read one is to execute it: save the model in its library's own format, or export it to ONNX",
    ),
];

impl Loaded {
    /// An input of numbers, one of categories if the model has some, and one output, whose last axis is there if
    /// the model gives several numbers.
    pub(super) fn signature(&self) -> Result<ModelSignature> {
        let (rows, predictions) = match &self.model {
            Boosted::F32(_) => (DType::F32, DType::F32),
            Boosted::F64(_) => (DType::F64, DType::F64),
            Boosted::Wide(_) | Boosted::Mixed(..) => (DType::F32, DType::F64),
        };
        let mut inputs = Vec::with_capacity(2);
        let categories = self.categories.len();
        if self.columns > 0 || categories == 0 {
            let mut input = TensorSpec::new(INPUT, rows, [None, Some(self.columns)]);
            input.columns.clone_from(&self.features);
            inputs.push(input);
        }
        if categories > 0 {
            let mut input = TensorSpec::new(CATEGORIES, DType::Utf8, [None, Some(categories)]);
            if !self.categories.iter().any(|name| name.is_empty()) {
                input.columns.clone_from(&self.categories);
            }
            inputs.push(input);
        }
        let shape = match ask!(&self.model, model => model.outputs()) {
            1 => vec![None],
            several => vec![None, Some(several)],
        };
        ModelSignature::new(inputs, vec![TensorSpec::new(OUTPUT, predictions, shape)])
    }
}

impl Boosted {
    pub(super) fn weights_bytes(&self) -> u64 {
        let categories = if let Self::Mixed(_, categories) = self { categories.bytes() } else { 0 };
        (ask!(self, model => model.bytes()) + categories) as u64
    }

    /// The prediction for each row under this name, unless it is not among what is wanted. Inputs were checked.
    pub(super) fn run(
        &self,
        name: &Arc<str>,
        inputs: &Tensors,
        wanted: Option<&[Arc<str>]>,
        stop: &Stop,
        most_bytes: u64,
    ) -> Result<Tensors> {
        if wanted.is_some_and(<[_]>::is_empty) {
            return Ok(Tensors::new());
        }
        let rows = || inputs.require(INPUT);
        let predictions = match self {
            Self::F32(model) => model.run(rows()?.shape(), rows()?.as_slice()?, stop, most_bytes),
            Self::F64(model) => model.run(rows()?.shape(), rows()?.as_slice()?, stop, most_bytes),
            Self::Wide(model) => {
                model.run(rows()?.shape(), &wide(rows()?, most_bytes)?, stop, most_bytes)
            }
            Self::Mixed(model, categories) => {
                let texts = inputs.require(CATEGORIES)?;
                let numbers = if categories.numbers > 0 { rows()?.as_slice()? } else { &[] };
                let shape = [texts.rows(), categories.width()];
                check_room(&shape, most_bytes)?;
                model.run(&shape, &categories.rows(numbers, texts, stop)?, stop, most_bytes)
            }
        };
        Ok(Tensors::one(Arc::clone(name), predictions?))
    }
}

/// The same numbers in `f64`, all of them exactly.
fn wide(rows: &Tensor, most_bytes: u64) -> Result<Vec<f64>> {
    check_room(rows.shape(), most_bytes)?;
    Ok(rows.as_slice::<f32>()?.iter().copied().map(f64::from).collect())
}

fn check_room(shape: &[usize], most_bytes: u64) -> Result<()> {
    if nominal_bytes(shape, DType::F64).is_none_or(|bytes| bytes > most_bytes) {
        let text = format!("numbers of the shape {shape:?} need more memory than a call may use");
        return Err(Error::too_large(text));
    }
    Ok(())
}

/// A forest and what becomes of its sums.
#[derive(Debug)]
pub(super) struct Ensemble<S: Real> {
    forest: Forest<S>,
    /// How many sums there are of a row.
    sums: usize,
    /// What each begins with.
    base: Vec<S>,
    /// What each is divided by.
    divisor: S,
    link: Link,
    /// What leaves say, if they say functions: then a leaf holds the number of its own.
    functions: Option<Box<Functions<S>>>,
}

impl<S: Real + Element> Ensemble<S> {
    /// How many numbers it gives of a row.
    fn outputs(&self) -> usize {
        if self.link == Link::Largest { 1 } else { self.sums }
    }

    fn bytes(&self) -> usize {
        self.forest.bytes() + self.functions.as_ref().map_or(0, |functions| functions.bytes())
    }

    /// Adds what the trees say of each row to its sums.
    fn add_up(&self, rows: Rows<'_, S>, sums: &mut [S]) {
        let place = |row: usize, target: u32| row * self.sums + target as usize;
        if let Some(functions) = &self.functions {
            self.forest.visit(rows, |row, leaf| {
                for weight in leaf {
                    sums[place(row, weight.target)] += functions.say(weight.value, rows.row(row));
                }
            });
        } else if !self.forest.add_up(rows, self.sums, sums) {
            self.forest.visit(rows, |row, leaf| {
                for weight in leaf {
                    sums[place(row, weight.target)] += weight.value;
                }
            });
        }
    }

    fn run(&self, shape: &[usize], values: &[S], stop: &Stop, most_bytes: u64) -> Result<Tensor> {
        let &[count, columns] = shape else {
            return Err(Error::internal("the shape of an input was not checked"));
        };
        let outputs = self.outputs();
        check_room(&[count, outputs], most_bytes)?;
        let mut predictions = Vec::with_capacity(count * outputs);
        // Those of a single row take no memory of their own, most often.
        let mut sums: SmallVec<[S; 8]> = smallvec![S::default(); self.sums * BLOCK.min(count)];
        let all = Rows { values, columns, count };
        for (_, rows) in all.blocks() {
            stop.check()?;
            sums.chunks_exact_mut(self.sums).for_each(|sums| sums.copy_from_slice(&self.base));
            self.add_up(rows, &mut sums);
            for sums in sums.chunks_exact_mut(self.sums).take(rows.count) {
                for sum in &mut *sums {
                    *sum = *sum / self.divisor;
                }
                predictions.extend_from_slice(self.link.apply(sums));
            }
        }
        match outputs {
            1 => Tensor::from_vec([count], predictions),
            several => Tensor::from_vec([count, several], predictions),
        }
    }
}

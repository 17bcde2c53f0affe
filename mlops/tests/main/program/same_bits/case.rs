//! Models with rows for them, and what is computed of them in process.

use crate::program::{Place, columns, data, onnx, rows};
use mlops::{
    arrow::array::RecordBatch,
    serve::{InferOptions, LoadOptions, Session, Stop, engines::tabular::TabularEngine},
    signature::TensorSpec,
    tensor::{DType, Element, Tensor, Tensors},
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A model, and rows for it.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) name: String,
    /// Where the program finds it.
    pub(super) source: String,
    /// The engine that the program is told to use.
    pub(super) engine: Option<&'static str>,
    /// Names for the columns of an input that has none, as `mlops predict` takes them.
    pub(super) named: Option<String>,
    session: Arc<dyn Session>,
    /// The inputs; one that packs columns names them.
    pub(super) specs: Vec<TensorSpec>,
    pub(super) inputs: Tensors,
}

/// An output, and its bytes.
pub(super) type Bits = Vec<(TensorSpec, Vec<u8>)>;

/// What some roads have no word for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unsayable {
    Infinity,
    EmptyText,
}

impl Case {
    /// A bare file of a model that `tabular` computes.
    pub(super) fn tabular(file: &Path, tensor: impl Fn(&TensorSpec) -> Tensor) -> Self {
        let session = TabularEngine::new().load_file(file, &LoadOptions::default()).unwrap();
        Self::new(file.to_str().unwrap(), session, tensor)
    }

    /// A folder with an `MLmodel`.
    #[cfg(feature = "candle")]
    pub(super) fn package(
        place: &Place,
        folder: &str,
        tensor: impl Fn(&TensorSpec) -> Tensor,
    ) -> Self {
        let package = mlops::model::ModelPackage::open(place.path(folder)).unwrap();
        let session = mlops::serve::load_package(
            &package,
            &mlops::serve::engines::compiled_in(),
            &LoadOptions::default(),
        )
        .unwrap();
        Self::new(folder, session, tensor)
    }

    /// A model whose inputs are made by what it takes; packed ones get names for their columns, whose order is
    /// that of their digits: members of objects are sorted here.
    pub(super) fn new(
        source: &str,
        session: Arc<dyn Session>,
        tensor: impl Fn(&TensorSpec) -> Tensor,
    ) -> Self {
        let (mut specs, mut inputs) = (session.info().signature.inputs.clone(), Tensors::new());
        let mut named = None;
        for spec in &mut specs {
            let tensor = tensor(spec);
            if spec.columns.is_empty() && tensor.shape().len() == 2 && tensor.row_len() > 1 {
                let columns = (0..tensor.row_len()).map(|at| format!("{}{at:02}", spec.name));
                let columns: Vec<String> = columns.collect();
                named = Some(columns.join(","));
                *spec = spec.clone().with_columns(columns);
            }
            inputs.push(Arc::clone(&spec.name), tensor).unwrap();
        }
        let name = Path::new(source).file_name().unwrap().to_string_lossy().into_owned();
        Self { name, source: source.to_owned(), engine: None, named, session, specs, inputs }
    }

    /// One of the tabular engine's test data, in a package whose columns have names.
    pub(super) fn single(place: &Place, model: &str) -> Self {
        place.package(model, model);
        let rows: Vec<Vec<f32>> = rows(model, 60).into_iter().map(|(_, row)| row).collect();
        let session = TabularEngine::new().load_file(onnx(model), &LoadOptions::default()).unwrap();
        let tensor = |_: &TensorSpec| Tensor::from_vec([rows.len(), 30], rows.concat()).unwrap();
        let mut case = Self::new(model, session, tensor);
        case.specs = vec![case.specs.remove(0).with_columns(columns())];
        case.named = None;
        case
    }

    /// A model of a corpus, with the rows that its manifest has for it.
    pub(super) fn of_corpus(folder: &str, name: &str) -> Self {
        let (file, inputs) = corpus(folder, name);
        Self::tabular(&file, |spec| tensor(&inputs, spec))
    }

    /// The model with encoders of the tabular engine's test data: numbers and texts, some missing.
    pub(super) fn pipeline() -> Self {
        let table = fs::read(data("pipeline.inputs.json")).unwrap();
        let table: Value = serde_json::from_slice(&table).unwrap();
        Self::tabular(&onnx("pipeline"), |spec| {
            let cells = &table["columns"][&*spec.name].as_array().unwrap()[..60];
            #[expect(clippy::cast_possible_truncation, reason = "each is the text of an f32")]
            let single = |cell: &Value| cell.as_f64().map_or(f32::NAN, |value| value as f32);
            match spec.dtype {
                DType::F32 => Tensor::from_vec([60, 1], cells.iter().map(single).collect()),
                DType::I64 => {
                    let whole = cells.iter().map(|cell| cell.as_i64().unwrap());
                    Tensor::from_vec([60, 1], whole.collect())
                }
                _ => {
                    let texts: Vec<_> = cells.iter().map(|cell| cell.as_str().unwrap()).collect();
                    Tensor::from_strs([60, 1], &texts)
                }
            }
            .unwrap()
        })
    }

    /// Sets the engine that the program is told to use.
    #[cfg(feature = "onnx")]
    pub(super) fn with_engine(self, engine: &'static str) -> Self {
        Self { engine: Some(engine), ..self }
    }

    pub(super) fn rows(&self) -> usize {
        self.inputs.rows().unwrap()
    }

    pub(super) fn in_process(&self) -> Bits {
        let stop = Stop::new();
        let outputs = self.session.run(&self.inputs, &InferOptions::new(&stop)).unwrap();
        let output = |spec: &TensorSpec| {
            let bits = outputs.require(&spec.name).unwrap().as_bytes().unwrap().to_vec();
            assert!(!bits.is_empty());
            (spec.clone(), bits)
        };
        self.session.info().signature.outputs.iter().map(output).collect()
    }

    /// The names of all columns.
    pub(super) fn columns(&self) -> Vec<&str> {
        self.specs.iter().flat_map(TensorSpec::features).map(AsRef::as_ref).collect()
    }

    /// Every row, cell by cell; a number that JSON cannot say is its name.
    pub(super) fn table(&self) -> Vec<Vec<Value>> {
        let mut table = vec![Vec::new(); self.rows()];
        for (_, tensor) in self.inputs.iter() {
            let width = tensor.row_len();
            for (row, cells) in table.iter_mut().zip(elements(tensor).chunks(width)) {
                row.extend_from_slice(cells);
            }
        }
        table
    }

    /// The rows as columns of Arrow.
    pub(super) fn batch(&self) -> RecordBatch {
        let mut flat = Tensors::new();
        for (name, tensor) in self.inputs.iter() {
            let is_column = tensor.row_len() == 1;
            let tensor = tensor.clone();
            let rows = tensor.rows();
            let tensor = if is_column { tensor.reshape([rows]).unwrap() } else { tensor };
            flat.push(Arc::clone(name), tensor).unwrap();
        }
        flat.to_batch(&self.specs).unwrap()
    }

    /// The rows that can be said without this; `None` if all can.
    pub(super) fn without(&self, what: Unsayable) -> Option<Self> {
        let is_said = |cell: &Value| match what {
            Unsayable::Infinity => *cell != "Infinity" && *cell != "-Infinity",
            Unsayable::EmptyText => *cell != "",
        };
        let rows = self.table().into_iter().enumerate();
        let kept = rows.filter(|(_, row)| row.iter().all(is_said));
        let kept: Vec<usize> = kept.map(|(at, _)| at).collect();
        assert!(!kept.is_empty(), "{}: no row is without {what:?}", self.name);
        let inputs = || self.inputs.take_rows(&kept).unwrap();
        (kept.len() < self.rows()).then(|| Self { inputs: inputs(), ..self.clone() })
    }

    /// Whether a number is missing, a NaN, anywhere.
    pub(super) fn misses_numbers(&self) -> bool {
        self.table().concat().iter().any(|cell| *cell == "NaN")
    }

    /// Whether a row has the same bits alone and among others.
    pub(super) fn is_by_row(&self) -> bool {
        self.engine != Some("onnx")
    }
}

/// The elements of a tensor as JSON; a number that JSON cannot say is its name.
pub(super) fn elements(tensor: &Tensor) -> Vec<Value> {
    fn all<T: Element>(tensor: &Tensor, one: impl Fn(T) -> Value) -> Vec<Value> {
        tensor.as_slice::<T>().unwrap().iter().map(|value| one(*value)).collect()
    }
    match tensor.dtype() {
        DType::I64 => all(tensor, |value: i64| json!(value)),
        DType::F32 => all(tensor, |value: f32| number(value.into())),
        DType::F64 => all(tensor, number),
        DType::Utf8 => tensor.strs().unwrap().into_iter().map(Value::from).collect(),
        other => panic!("no input has type {other}"),
    }
}

fn number(value: f64) -> Value {
    match value {
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        _ if value.is_nan() => json!("NaN"),
        _ => json!(value),
    }
}

/// The file of a model of a corpus, and the inputs that the manifest has for it.
pub(super) fn corpus(folder: &str, name: &str) -> (PathBuf, Value) {
    let folder = data("..").join(folder);
    let manifest = fs::read(folder.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let mut models = manifest["models"].as_array().unwrap().iter();
    let model = models.find(|model| model["name"] == name).unwrap();
    let file = model.get("file").unwrap_or(&model["onnx"]).as_str().unwrap();
    (folder.join(file), model["inputs"].clone())
}

/// The input of this specification, as a manifest has it.
pub(super) fn tensor(inputs: &Value, spec: &TensorSpec) -> Tensor {
    let mut inputs = inputs.as_array().unwrap().iter();
    let input = inputs.find(|input| input["name"] == *spec.name).unwrap();
    let axis = |axis: &Value| usize::try_from(axis.as_u64().unwrap()).unwrap();
    let shape: Vec<usize> = input["shape"].as_array().unwrap().iter().map(axis).collect();
    if let Some(texts) = input["texts"].as_array() {
        let texts: Vec<&str> = texts.iter().map(|text| text.as_str().unwrap()).collect();
        return Tensor::from_strs(shape, &texts).unwrap();
    }
    let hex = input["bytes"].as_str().unwrap();
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
    Tensor::from_buffer(spec.dtype, shape, bytes.into()).unwrap()
}

/// Rows of numbers of one size, as numpy wrote them.
#[cfg(feature = "candle")]
pub(super) fn matrix(file: &Path, spec: &TensorSpec, width: usize, rows: usize) -> Tensor {
    let bytes = fs::read(file).unwrap();
    let size = rows * width * spec.dtype.size().unwrap();
    Tensor::from_buffer(spec.dtype, [rows, width], bytes[..size].to_vec().into()).unwrap()
}

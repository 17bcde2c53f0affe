//! The `MLmodel` descriptor, as MLflow 3 writes and reads it. Unknown keys are kept.

use crate::{
    Error, Result, Timestamp,
    signature::{ModelSignature, TensorSpec},
    tensor::DType,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// Where our own facts lie inside the descriptor's `metadata`.
const OURS: &str = "mlops";

/// The descriptor of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MlModel {
    /// How each kind of reader loads the model: `onnx`, `python_function`, `candle` …
    #[serde(default)]
    pub flavors: BTreeMap<String, Map<String, Value>>,
    /// Naive UTC time of creation, as MLflow writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utc_time_created: Option<String>,
    /// The run that made the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Inputs and outputs: JSON texts inside the YAML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<SignatureText>,
    /// Facts of the user, and ours under one key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<Map<String, Value>>,
    /// What we do not know stays as it was.
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct SignatureText {
    #[serde(default)]
    inputs: Option<String>,
    #[serde(default)]
    outputs: Option<String>,
    #[serde(default)]
    params: Option<String>,
}

impl MlModel {
    /// Reads the YAML; `InvalidInput` says where it is wrong.
    pub fn from_yaml(text: &str) -> Result<Self> {
        serde_yaml_ng::from_str(text)
            .map_err(|cause| Error::invalid(format!("MLmodel: {cause}")).with_source(cause))
    }

    /// Writes the YAML.
    pub fn to_yaml(&self) -> Result<String> {
        serde_yaml_ng::to_string(self)
            .map_err(|cause| Error::internal(format!("MLmodel: {cause}")).with_source(cause))
    }

    /// One flavour's settings.
    pub fn flavor(&self, name: &str) -> Option<&Map<String, Value>> {
        self.flavors.get(name)
    }

    /// Sets one flavour's settings, given as a JSON object.
    pub fn set_flavor(&mut self, name: &str, settings: Value) -> Result<()> {
        let Value::Object(settings) = settings else {
            return Err(Error::invalid(format!("flavor {name:?} is not an object")));
        };
        self.flavors.insert(name.to_owned(), settings);
        Ok(())
    }

    /// Sets the time of creation.
    pub fn set_created(&mut self, time: Timestamp) {
        let text = time.to_string();
        self.utc_time_created = Some(text.trim_end_matches('Z').replace('T', " "));
    }

    /// A fact of ours or the user's.
    pub fn metadata(&self, key: &str) -> Option<&Value> {
        self.metadata.as_ref()?.get(key)
    }

    /// Sets a fact.
    pub fn set_metadata(&mut self, key: &str, value: Value) {
        self.metadata.get_or_insert_default().insert(key.to_owned(), value);
    }

    /// What the model takes and gives, if it says so.
    ///
    /// # Behavior
    /// - a tensor specification is read as it is; a column specification is one value a row
    /// - a type that a tensor cannot hold (Object, Map, Array, datetime) is `Unsupported` and named
    pub fn signature(&self) -> Result<Option<ModelSignature>> {
        let Some(text) = &self.signature else { return Ok(None) };
        let side = |json: &Option<String>, side: &str| match json {
            Some(json) => specs(json, side, self.metadata(OURS)),
            None => Ok(Vec::new()),
        };
        ModelSignature::new(side(&text.inputs, "inputs")?, side(&text.outputs, "outputs")?)
            .map(Some)
    }

    /// Says what the model takes and gives. Names of packed columns and nulls, which MLflow's
    /// form has no place for, go into our part of the metadata.
    pub fn set_signature(&mut self, signature: &ModelSignature) {
        let text = |specs: &[TensorSpec]| {
            let items: Vec<Value> = specs.iter().map(mlflow_spec).collect();
            Some(Value::Array(items).to_string())
        };
        let (inputs, outputs) = (text(&signature.inputs), text(&signature.outputs));
        self.signature = Some(SignatureText { inputs, outputs, params: None });
        let ours = json!({
            "inputs": extras(&signature.inputs),
            "outputs": extras(&signature.outputs),
        });
        self.set_metadata(OURS, ours);
    }
}

fn mlflow_spec(spec: &TensorSpec) -> Value {
    let axis = |axis: &Option<usize>| axis.map_or(json!(-1), |length| json!(length));
    let shape: Vec<Value> = spec.shape.iter().map(axis).collect();
    // numpy has no name for bytes of any length but `object`; text is `str`.
    let dtype = if spec.dtype == DType::Bytes { "object" } else { spec.dtype.name() };
    json!({"name": spec.name, "type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}})
}

/// What MLflow's form cannot say, by name.
fn extras(specs: &[TensorSpec]) -> Value {
    let extra = |spec: &TensorSpec| {
        let fact = json!({"columns": spec.columns, "nullable": spec.nullable});
        (spec.name.as_ref().to_owned(), fact)
    };
    Value::Object(specs.iter().map(extra).collect())
}

fn specs(json: &str, side: &str, ours: Option<&Value>) -> Result<Vec<TensorSpec>> {
    let bad = |why: String| Error::invalid(format!("MLmodel: signature {side}: {why}"));
    let items: Vec<Value> = serde_json::from_str(json).map_err(|cause| bad(cause.to_string()))?;
    let mut specs = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let mut spec =
            one_spec(item, at, items.len(), side).map_err(|error| error.context("MLmodel"))?;
        if let Some(extra) = ours.and_then(|ours| ours.get(side)?.get(spec.name.as_ref())) {
            let columns = extra["columns"].as_array().into_iter().flatten();
            spec.columns = columns.filter_map(Value::as_str).map(Arc::from).collect();
            spec.nullable = extra["nullable"].as_bool().unwrap_or(spec.nullable);
        }
        specs.push(spec);
    }
    Ok(specs)
}

fn one_spec(item: &Value, at: usize, of: usize, side: &str) -> Result<TensorSpec> {
    // MLflow leaves a lone tensor without a name.
    let singular = side.trim_end_matches('s');
    let name = match item["name"].as_str() {
        Some(name) => Arc::from(name),
        None if of == 1 => Arc::from(singular),
        None => Arc::from(format!("{singular}_{at}")),
    };
    let kind = item["type"].as_str().unwrap_or_default();
    if kind == "tensor" {
        let spec = &item["tensor-spec"];
        let dtype = spec["dtype"].as_str().unwrap_or_default();
        let dtype = if dtype == "object" { DType::Bytes } else { numpy_dtype(dtype)? };
        let axis = |axis: &Value| axis.as_u64().and_then(|length| usize::try_from(length).ok());
        let shape: Vec<_> = spec["shape"].as_array().into_iter().flatten().map(axis).collect();
        return Ok(TensorSpec::new(name, dtype, shape));
    }
    let nullable = item["required"] == json!(false);
    column_dtype(kind)
        .map(|dtype| TensorSpec::column(Arc::clone(&name), dtype).with_nullable(nullable))
        .ok_or_else(|| Error::unsupported(format!("{singular} {name:?} has type {kind:?}")))
}

fn numpy_dtype(name: &str) -> Result<DType> {
    // `<U12` and the like: text of a fixed width.
    if name.trim_start_matches(['<', '>', '=', '|']).starts_with('U') {
        return Ok(DType::Utf8);
    }
    name.parse()
}

fn column_dtype(kind: &str) -> Option<DType> {
    Some(match kind {
        "boolean" => DType::Bool,
        "integer" => DType::I32,
        "long" => DType::I64,
        "float" => DType::F32,
        "double" => DType::F64,
        "string" => DType::Utf8,
        "binary" => DType::Bytes,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mlflow_writes_is_read_and_kept() {
        // The shape of a descriptor that MLflow 3.17 wrote for a scikit-learn model.
        let text = r#"
artifact_path: models:/m-1
flavors:
  python_function:
    loader_module: mlflow.sklearn
    python_version: 3.11.7
mlflow_version: 3.17.2
model_id: m-1
signature:
  inputs: '[{"type": "long", "name": "age", "required": true}, {"type": "double", "name": "income", "required": false}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
  params: null
"#;
        let model = MlModel::from_yaml(text).unwrap();
        let signature = model.signature().unwrap().unwrap();
        let inputs: Vec<String> = signature.inputs.iter().map(ToString::to_string).collect();
        assert_eq!(inputs, ["age: int64[-1]", "income: float64[-1]"]);
        assert!(signature.inputs[1].nullable);
        assert_eq!(signature.outputs[0].to_string(), "output: int64[-1]");
        let again = MlModel::from_yaml(&model.to_yaml().unwrap()).unwrap();
        assert_eq!(again, model);
        assert_eq!(again.other["model_id"], json!("m-1"));
    }

    #[test]
    fn our_signature_survives_the_descriptor() {
        let x = TensorSpec::new("x", DType::F32, [None, Some(2)]).with_columns(["age", "income"]);
        let state = TensorSpec::column("state", DType::Utf8).with_nullable(true);
        let p = TensorSpec::column("p", DType::F64);
        let signature = ModelSignature::new(vec![x, state], vec![p]).unwrap();
        let mut model = MlModel::default();
        model.set_signature(&signature);
        model.set_created(Timestamp::from_unix_millis(1_500_000_000_000));
        let again = MlModel::from_yaml(&model.to_yaml().unwrap()).unwrap();
        assert_eq!(again.signature().unwrap().unwrap(), signature);
        assert_eq!(again.utc_time_created.as_deref(), Some("2017-07-14 02:40:00.000000"));
    }

    #[test]
    fn an_unknown_type_is_named() {
        let text = "signature:\n  inputs: '[{\"type\": \"Object\", \"name\": \"chat\"}]'\n";
        let error = MlModel::from_yaml(text).unwrap().signature().unwrap_err();
        assert_eq!(error.to_string(), "MLmodel: input \"chat\" has type \"Object\"");
    }
}

//! JSON schemas (draft 2020-12): those of the protocol, and of one model's requests.

use mlops_core::{
    signature::{ModelSignature, TensorSpec},
    tensor::DType,
};
use serde_json::{Map, Value, json};

/// The schemas that do not depend on models.
pub(super) fn fixed() -> Map<String, Value> {
    let tensor = |data_required: &[&str]| {
        json!({
            "type": "object",
            "required": data_required,
            "properties": {
                "name": { "type": "string" },
                "shape": { "type": "array", "items": { "type": "integer", "minimum": 0 } },
                "datatype": { "enum": DATATYPES },
                "parameters": { "type": "object" },
                "data": { "type": "array", "items": {} },
            },
        })
    };
    let all = json!({
        "Error": {
            "type": "object",
            "properties": {
                "error": { "type": "string" },
                "error_code": { "type": "string", "description": "of the scoring routes alone" },
                "message": { "type": "string", "description": "of the scoring routes alone" },
            },
        },
        "InferRequest": {
            "type": "object",
            "required": ["inputs"],
            "properties": {
                "id": { "type": "string" },
                "parameters": { "type": "object" },
                "inputs": { "type": "array", "items": tensor(&["name", "shape", "datatype"]) },
                "outputs": { "type": "array", "items": wanted() },
            },
        },
        "InferResponse": {
            "type": "object",
            "required": ["model_name", "outputs"],
            "properties": {
                "model_name": { "type": "string" },
                "model_version": { "type": "string" },
                "id": { "type": "string" },
                "parameters": { "type": "object" },
                "outputs": { "type": "array", "items": tensor(&["name", "shape", "datatype"]) },
            },
        },
        "Outcomes": { "type": ["object", "array"] },
        "Index": { "type": "object", "properties": { "ready": { "type": "boolean" } } },
        "Wish": { "type": "object", "properties": { "parameters": { "type": "object" } } },
        "Load": {
            "type": "object",
            "required": ["model_name"],
            "properties": { "model_name": { "type": "string" }, "url": { "type": "string" } },
        },
        "ScoringRequest": scoring(),
    });
    match all {
        Value::Object(all) => all,
        _ => Map::new(),
    }
}

const DATATYPES: [&str; 14] = [
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16",
    "BF16", "FP32", "FP64", "BYTES",
];

fn wanted() -> Value {
    json!({
        "type": "object",
        "required": ["name"],
        "properties": { "name": { "type": "string" }, "parameters": { "type": "object" } },
    })
}

fn scoring() -> Value {
    let forms = ["dataframe_split", "dataframe_records", "instances", "inputs"];
    json!({
        "type": "object",
        "properties": {
            "dataframe_split": {
                "type": "object",
                "required": ["data"],
                "properties": {
                    "columns": { "type": "array", "items": { "type": ["string", "number"] } },
                    "index": { "type": "array", "items": {} },
                    "data": { "type": "array", "items": { "type": "array", "items": {} } },
                },
            },
            "dataframe_records": { "type": "array", "items": { "type": "object" } },
            "instances": { "type": "array", "items": {} },
            "inputs": {},
            "params": { "type": "object" },
        },
        "oneOf": forms.map(|form| json!({ "required": [form] })),
    })
}

/// What a request to a model of this signature is.
pub(super) fn request(signature: &ModelSignature) -> Value {
    let inputs: Vec<Value> = signature.inputs.iter().map(input).collect();
    let names: Vec<&str> = signature.outputs.iter().map(|spec| &*spec.name).collect();
    let mut output = wanted();
    if !names.is_empty() {
        output["properties"]["name"] = json!({ "enum": names });
    }
    let items = if inputs.is_empty() { json!({}) } else { json!({ "oneOf": inputs }) };
    let count = signature.inputs.len();
    json!({
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": { "type": "string" },
            "parameters": { "type": "object" },
            "inputs": { "type": "array", "minItems": count, "maxItems": count, "items": items },
            "outputs": { "type": "array", "items": output },
        },
    })
}

fn input(spec: &TensorSpec) -> Value {
    let axes = spec.shape.iter().map(|axis| match axis {
        Some(length) => json!({ "const": length }),
        None => json!({ "type": "integer", "minimum": 0 }),
    });
    let axes: Vec<Value> = axes.collect();
    let count = axes.len();
    let mut shape = json!({
        "type": "array", "items": { "type": "integer" }, "minItems": count, "maxItems": count,
    });
    if count > 0 {
        shape["prefixItems"] = Value::Array(axes);
    }
    let mut schema = json!({
        "type": "object",
        "required": ["name", "shape", "datatype"],
        "properties": {
            "name": { "const": spec.name },
            "shape": shape,
            "datatype": { "const": spec.dtype.oip_name() },
            "parameters": { "type": "object" },
            "data": { "type": "array", "description": "flat, row by row, or nested as the shape", "items": {} },
        },
    });
    if !spec.columns.is_empty() {
        schema["description"] =
            json!(format!("the last axis is, in this order: {}", spec.columns.join(", ")));
    }
    schema
}

/// A request about one row of nothing.
pub(super) fn example(signature: &ModelSignature) -> Value {
    let inputs: Vec<Value> = signature
        .inputs
        .iter()
        .map(|spec| {
            let shape: Vec<usize> = spec.shape.iter().map(|axis| axis.unwrap_or(1)).collect();
            let value = match spec.dtype {
                DType::Bool => json!(false),
                DType::Utf8 | DType::Bytes => json!(""),
                _ => json!(0),
            };
            // Of an input without end only the beginning is shown.
            let count = shape.iter().product::<usize>().min(1000);
            json!({
                "name": spec.name,
                "shape": shape,
                "datatype": spec.dtype.oip_name(),
                "data": vec![value; count],
            })
        })
        .collect();
    json!({ "inputs": inputs })
}

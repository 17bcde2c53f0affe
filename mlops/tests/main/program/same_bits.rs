//! The same rows have the same bits in process, over REST, gRPC and `/invocations`, and by `mlops predict`.

use super::{
    Place, columns,
    grpc::{Client, address, field, wait},
    onnx, rows,
};
use mlops::{
    serve::{InferOptions, LoadOptions, Session as _, Stop, engines::tabular::TabularEngine},
    tensor::{DType, Tensor, Tensors},
};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// A model, and rows for it.
struct Case {
    file: PathBuf,
    /// Where the program finds it.
    source: String,
    columns: Vec<String>,
    dtype: DType,
    /// Each value is one of the input's type.
    rows: Vec<Vec<f64>>,
}

/// An output: its name, its type, its bytes.
type Bits = Vec<(String, DType, Vec<u8>)>;

impl Case {
    fn single(place: &Place, model: &str) -> Self {
        place.package(model, model);
        let rows = rows(model, 60).into_iter().map(|(_, row)| row.into_iter().map(f64::from));
        Self {
            file: onnx(model),
            source: model.to_owned(),
            columns: columns(),
            dtype: DType::F32,
            rows: rows.map(Iterator::collect).collect(),
        }
    }

    fn double() -> Self {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../mlops-serve/tests/data/boosted");
        let bytes = std::fs::read(folder.join("lightgbm_regression.inputs.bin")).unwrap();
        let values = bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap()));
        let values: Vec<f64> = values.collect();
        let finite = |row: &&[f64]| row.iter().all(|value| value.is_finite());
        let file = folder.join("lightgbm_regression.txt");
        Self {
            source: file.display().to_string(),
            file,
            columns: (0..10).map(|at| format!("f{at}")).collect(),
            dtype: DType::F64,
            rows: values.chunks_exact(10).filter(finite).take(60).map(<[f64]>::to_vec).collect(),
        }
    }

    fn shape(&self) -> [usize; 2] {
        [self.rows.len(), self.columns.len()]
    }

    fn raw(&self) -> Vec<u8> {
        self.rows.concat().iter().flat_map(|value| bits(self.dtype, &json!(value))).collect()
    }

    fn in_process(&self) -> Bits {
        let session = TabularEngine::new().load_file(&self.file, &LoadOptions::default()).unwrap();
        let inputs = Tensor::from_buffer(self.dtype, self.shape(), self.raw().into()).unwrap();
        let (inputs, stop) = (Tensors::one("features", inputs), Stop::new());
        let outputs = session.run(&inputs, &InferOptions::new(&stop)).unwrap();
        let output = |name: &str| {
            let tensor = outputs.require(name).unwrap();
            (name.to_owned(), tensor.dtype(), tensor.as_bytes().unwrap().to_vec())
        };
        session.info().signature.outputs.iter().map(|spec| output(&spec.name)).collect()
    }

    /// As objects, a row each.
    fn objects(&self) -> Vec<Value> {
        let object = |row: &Vec<f64>| -> Map<String, Value> {
            self.columns.iter().cloned().zip(row.iter().map(|value| json!(value))).collect()
        };
        self.rows.iter().map(|row| Value::Object(object(row))).collect()
    }

    fn csv(&self) -> String {
        let line = |row: &Vec<f64>| row.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        let lines = std::iter::once(self.columns.join(",")).chain(self.rows.iter().map(line));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// A number of JSON as this type. Digits that were written for an `f32` are its shortest.
#[expect(clippy::cast_possible_truncation, reason = "it was an f32 before it was written")]
fn bits(dtype: DType, value: &Value) -> Vec<u8> {
    match dtype {
        DType::I64 => value.as_i64().unwrap().to_le_bytes().to_vec(),
        DType::F32 => (value.as_f64().unwrap() as f32).to_le_bytes().to_vec(),
        DType::F64 => value.as_f64().unwrap().to_le_bytes().to_vec(),
        other => panic!("no output has type {other}"),
    }
}

/// The numbers of a value that may be an array, or an array of arrays.
fn flat(value: &Value, dtype: DType) -> Vec<u8> {
    match value {
        Value::Array(items) => items.iter().flat_map(|item| flat(item, dtype)).collect(),
        number => bits(dtype, number),
    }
}

/// Outputs of objects, a row each, named as those of `wanted`.
fn of_objects(objects: &[Value], wanted: &Bits) -> Bits {
    let output = |(name, dtype, _): &(String, DType, Vec<u8>)| {
        // A model of one output may answer with bare values.
        let cell = |row: &Value| flat(row.get(name).unwrap_or(row), *dtype);
        (name.clone(), *dtype, objects.iter().flat_map(cell).collect())
    };
    wanted.iter().map(output).collect()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every road of a server.
fn served(place: &Place, case: &Case, wanted: &Bits) {
    let model = format!("risk={}", case.source);
    let server = place.serve(&["--model", &model, "--grpc-port", "0"]);
    let datatype = case.dtype.oip_name();
    let body = json!({ "inputs": [{
        "name": "features", "shape": case.shape(), "datatype": datatype, "data": case.rows.concat(),
    }]});
    let (status, answer) = server.post("/v2/models/risk/infer", &body);
    assert_eq!(status, 200, "{answer}");
    let outputs = answer["outputs"].as_array().unwrap();
    for (name, dtype, bits) in wanted {
        let output = outputs.iter().find(|output| output["name"] == *name).unwrap();
        assert_eq!(flat(&output["data"], *dtype), *bits, "{name} over REST");
    }

    let table = json!({ "columns": case.columns, "data": case.rows });
    for body in [
        json!({ "dataframe_split": table }),
        json!({ "dataframe_records": case.objects() }),
        json!({ "inputs": case.rows }),
    ] {
        let (status, answer) = server.post("/invocations", &body);
        assert_eq!(status, 200, "{answer}");
        let given = match &answer["predictions"] {
            Value::Array(rows) => of_objects(rows, wanted),
            tensors => {
                let output = |(name, dtype, _): &(String, DType, Vec<u8>)| {
                    (name.clone(), *dtype, flat(&tensors[name], *dtype))
                };
                wanted.iter().map(output).collect()
            }
        };
        assert_eq!(given, *wanted, "by /invocations");
    }

    let shape = case.shape().map(|axis| u8::try_from(axis).unwrap());
    let input = [field(1, b"features"), field(2, datatype.as_bytes()), field(3, &shape)].concat();
    let question = [field(1, b"risk"), field(5, &input), field(7, &case.raw())].concat();
    let call = async { Client::connect(address(&server)).await.call("ModelInfer", question).await };
    let (status, message) = wait(call);
    assert_eq!(status, "0");
    // The outputs as raw bytes end the message.
    let raw: Vec<u8> = wanted.iter().flat_map(|(_, _, bits)| field(6, bits)).collect();
    assert!(message.ends_with(&raw), "other bits over gRPC");
}

/// Every form of rows and of outputs of `mlops predict`.
fn predicted(place: &Place, case: &Case, wanted: &Bits) {
    place.write("rows.csv", &case.csv());
    place.write("rows.json", &Value::Array(case.objects()).to_string());
    for input in ["rows.csv", "rows.json"] {
        let predict = ["predict", "--model", &case.source, "--input", input];
        // Alone and among others.
        for more in [&["--json"][..], &["--json", "--batch-rows", "1"]] {
            let out = place.run(&[&predict[..], more].concat()).ok();
            assert_eq!(of_objects(&lines(&out), wanted), *wanted, "{input} {more:?}");
        }
        let out = place.run(&predict).ok();
        let mut reader = csv::Reader::from_reader(out.as_bytes());
        let head: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
        let cell = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let object = |record: csv::StringRecord| -> Map<String, Value> {
            head.iter().cloned().zip(record.iter().map(cell)).collect()
        };
        let objects = reader.records().map(|record| Value::Object(object(record.unwrap())));
        let objects: Vec<Value> = objects.collect();
        assert_eq!(of_objects(&objects, wanted), *wanted, "{input} to CSV");
    }
}

#[test]
fn by_every_road() {
    let place = Place::new();
    let singles = ["logistic", "lightgbm", "mlp"].map(|model| Case::single(&place, model));
    for case in singles.into_iter().chain([Case::double()]) {
        let wanted = case.in_process();
        assert!(case.rows.len() == 60 && wanted.iter().all(|(_, _, bits)| !bits.is_empty()));
        served(&place, &case, &wanted);
        predicted(&place, &case, &wanted);
    }
}

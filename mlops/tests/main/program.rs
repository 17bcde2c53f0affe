//! The program, as a user runs it: real processes, real sockets, exit codes.

#[path = "program/bench.rs"]
mod bench;
#[path = "program/bounds.rs"]
mod bounds;
#[path = "program/composed.rs"]
mod composed;
#[path = "program/conformance.rs"]
mod conformance;
#[path = "program/doctor.rs"]
mod doctor;
#[path = "program/drift.rs"]
mod drift;
#[cfg(feature = "candle")]
#[path = "program/encoder.rs"]
mod encoder;
#[path = "program/export.rs"]
mod export;
#[path = "program/grpc.rs"]
mod grpc;
#[path = "program/inspect.rs"]
mod inspect;
#[path = "program/keeping.rs"]
mod keeping;
#[path = "program/metrics.rs"]
mod metrics;
#[path = "program/models.rs"]
mod models;
#[cfg(feature = "otlp")]
#[path = "program/otlp.rs"]
mod otlp;
#[path = "program/predict.rs"]
mod predict;
#[cfg(feature = "onnx")]
#[path = "program/providers.rs"]
mod providers;
#[path = "program/record.rs"]
mod record;
#[path = "program/repository.rs"]
mod repository;
#[path = "program/runs.rs"]
mod runs;
#[path = "program/same_bits.rs"]
mod same_bits;
#[path = "program/serve.rs"]
mod serve;
#[path = "program/server.rs"]
mod server;
#[path = "program/silence.rs"]
mod silence;
#[path = "program/starting.rs"]
mod starting;
#[path = "program/swaps.rs"]
mod swaps;
#[path = "program/tls.rs"]
mod tls;
#[path = "program/why.rs"]
mod why;

use mlops::{
    model::{ModelPackage, PackageBuilder},
    signature::{ModelSignature, TensorSpec},
    tensor::DType,
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Features of the models in the tabular engine's test data.
const WIDTH: usize = 30;

/// A folder in which the program runs.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mlops"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&self.command(arguments).output().unwrap())
    }

    /// A model of the tabular engine's test data as a package whose columns have names.
    fn package(&self, model: &str, folder: &str) -> ModelPackage {
        let columns: Vec<String> = columns();
        let features = TensorSpec::new("features", DType::F32, [None, Some(WIDTH)]);
        let features = features.with_columns(columns.iter().map(String::as_str));
        let label = TensorSpec::column("label", DType::I64);
        let probabilities = TensorSpec::new("probabilities", DType::F32, [None, Some(2)]);
        let signature = ModelSignature::new(vec![features], vec![label, probabilities]).unwrap();
        PackageBuilder::new()
            .with_flavor("onnx", json!({ "data": "model.onnx" }))
            .unwrap()
            .with_signature(&signature)
            .with_file("model.onnx", std::fs::read(onnx(model)).unwrap())
            .unwrap()
            .write(self.path(folder))
            .unwrap()
    }

    /// Serves until it is dropped or ended.
    fn serve(&self, arguments: &[&str]) -> Serving {
        self.start("serve", arguments)
    }

    /// A command that announces where it listens.
    fn start(&self, command: &str, arguments: &[&str]) -> Serving {
        let arguments = [&[command, "--json", "--port", "0"], arguments].concat();
        let mut child =
            self.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let Ok(announced) = serde_json::from_str::<Value>(&first) else {
            let output = child.wait_with_output().unwrap();
            panic!("did not start: {}", String::from_utf8_lossy(&output.stderr));
        };
        let url = announced["listening"].as_str().unwrap().to_owned();
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let grpc = announced["grpc"].as_str().map(str::to_owned);
        Serving { child, url, grpc, client: config.new_agent() }
    }
}

/// What a command said, and its exit code.
struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "stdout: {}\nstderr: {}", self.out, self.err);
        self.out
    }

    /// That it failed with this code and said these words.
    #[track_caller]
    fn failed(&self, code: i32, words: &str) {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.out, self.err);
        let said = format!("{}{}", self.out, self.err);
        assert!(said.contains(words), "{said} does not say {words:?}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

/// A running server.
struct Serving {
    child: Child,
    url: String,
    grpc: Option<String>,
    client: ureq::Agent,
}

impl Serving {
    fn get(&self, path: &str) -> (u16, String) {
        let mut answer = self.client.get(format!("{}{path}", self.url)).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}{path}", self.url);
        let mut answer =
            self.client.post(url).content_type("application/json").send(body.to_string()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap())
    }

    /// Asks about rows of the test data; the answer and its prediction id.
    fn infer(&self, model: &str, rows: &[Vec<f32>]) -> (Value, String) {
        let data: Vec<f32> = rows.concat();
        let body = json!({ "inputs": [{
            "name": "features", "shape": [rows.len(), WIDTH], "datatype": "FP32", "data": data,
        }]});
        let (status, answer) = self.post(&format!("/v2/models/{model}/infer"), &body);
        assert_eq!(status, 200, "{answer}");
        let id = answer["parameters"]["prediction"].as_str().unwrap().to_owned();
        (answer, id)
    }

    /// Asks it to end, as an orchestrator does, and waits.
    fn end(mut self) -> ExitStatus {
        // Connections that are kept alive must not hold a server up: the client stays.
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let late = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < late, "the server did not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn data(file: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mlops-serve/tests/data/tabular");
    folder.join(file)
}

fn onnx(model: &str) -> PathBuf {
    data(&format!("{model}.onnx"))
}

fn columns() -> Vec<String> {
    (0..WIDTH).map(|at| format!("c{at}")).collect()
}

/// The first rows that a model of the test data was asked about, without those that CSV and JSON
/// cannot say.
fn rows(model: &str, count: usize) -> Vec<(usize, Vec<f32>)> {
    let bytes = std::fs::read(data(&format!("{model}.inputs.bin"))).unwrap();
    let values: Vec<f32> =
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let rows = values.chunks_exact(WIDTH).map(<[f32]>::to_vec).enumerate();
    rows.filter(|(_, row)| row.iter().all(|value| value.is_finite())).take(count).collect()
}

/// What ONNX Runtime answered for this row: the label and the probability of 1.
fn expected(model: &str, row: usize) -> (i64, f32) {
    let bytes = std::fs::read(data(&format!("{model}.expected.bin"))).unwrap();
    let label = &bytes[row * 8..row * 8 + 8];
    let at = 80_000 + row * 8 + 4;
    let one = f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    (i64::from_le_bytes(label.try_into().unwrap()), one)
}

/// These rows as CSV, with the names of [`columns`].
fn csv(rows: &[(usize, Vec<f32>)]) -> String {
    let line = |cells: Vec<String>| cells.join(",") + "\n";
    let body = rows.iter().map(|(_, row)| line(row.iter().map(ToString::to_string).collect()));
    line(columns()) + &body.collect::<String>()
}

//! The `onnx` engine, where a library of ONNX Runtime is found; else each test says `skipped:`.

#[path = "onnx/agreement.rs"]
mod agreement;
#[path = "onnx/choice.rs"]
mod choice;
#[path = "onnx/corpus.rs"]
mod corpus;
#[path = "onnx/hostile.rs"]
mod hostile;
#[path = "onnx/library.rs"]
mod library;
#[path = "onnx/loading.rs"]
mod loading;
#[path = "onnx/predictor.rs"]
mod predictor;
#[path = "onnx/running.rs"]
mod running;

use crate::tabular::proto::{declared_output, field, initializer, input, model};
use mlops_core::tensor::{Tensor, Tensors};
use mlops_serve::{
    LoadOptions,
    engines::onnx::{OnnxEngine, OnnxSession},
};

/// The engine; without a library it says that the test is skipped.
fn engine(test: &str) -> Option<OnnxEngine> {
    match OnnxEngine::library() {
        Ok(_) => Some(OnnxEngine::new()),
        Err(error) => {
            skipped(test, error);
            None
        }
    }
}

#[expect(clippy::print_stdout, reason = "a test says that it is skipped")]
fn skipped(test: &str, why: impl std::fmt::Display) {
    println!("skipped: {test}: {why}");
}

fn load(engine: &OnnxEngine, file: &[u8]) -> mlops_core::Result<OnnxSession> {
    engine.load_bytes(file, &LoadOptions::default())
}

/// A model of rows of 64 numbers that multiplies so often: for 4096 rows each takes about a millisecond,
/// and ONNX Runtime looks between two of them whether it is to end.
fn products(count: usize) -> Vec<u8> {
    // A rotation of the numbers: nothing grows or vanishes.
    let turned = |row: usize, column: usize| if column == (row + 1) % 64 { 1.0_f32 } else { 0.0 };
    let weights = (0..64).flat_map(|row| (0..64).map(move |column| turned(row, column)));
    let bytes: Vec<u8> = weights.flat_map(f32::to_le_bytes).collect();
    let mut parts = vec![input("x", 1, &[-1, 64]), initializer("w", 1, &[64, 64], &bytes)];
    let name = |at: usize| match at {
        0 => "x".to_owned(),
        _ if at == count => "y".to_owned(),
        _ => format!("x{at}"),
    };
    for at in 0..count {
        let ends = [field(1, name(at)), field(1, "w"), field(2, name(at + 1))];
        let named = [field(3, format!("product {at}")), field(4, "MatMul")];
        parts.push(field(1, [ends.concat(), named.concat()].concat()));
    }
    parts.push(declared_output("y", 1, &[-1, 64]));
    model(&parts)
}

/// Rows for it.
fn rows(count: usize) -> Tensors {
    Tensors::one("x", Tensor::from_vec([count, 64], vec![1.0_f32; count * 64]).unwrap())
}

//! Our side of `scripts/bench gpu`: a sentence encoder on a device and on the processor, computed by `candle` and by
//! `onnx`, turn by turn: how far the answers are apart, and how many texts a second each computes.
//!
//! Usage: `bench_gpu DEVICE FOLDER [ENCODER.onnx]`, with `cuda:0` or `metal:0`, a folder of Sentence Transformers, and
//! the same network as `scripts/peers/encoder_onnx.py` exports it. Fails where answers are too far apart.

#![allow(clippy::print_stdout, reason = "an example speaks to who runs it")]

use mlops_core::{
    Error, Result,
    tensor::{Tensor, Tensors},
};
use mlops_serve::{
    InferOptions, LoadOptions, Session, Stop,
    engines::{
        candle::{CandleDevice, CandleEngine},
        onnx::{ExecutionProvider, OnnxConfig, OnnxEngine},
    },
};
use std::{
    env,
    sync::Arc,
    time::{Duration, Instant},
};

/// Texts of one call, and words of each where they are of one length.
const CALLS: [usize; 3] = [1, 64, 512];
const WORDS: usize = 64;
/// How often each side computes a call; the first is not counted.
const TURNS: usize = 6;

/// How far a number of an embedding of length 1 may be from the processor's. Candle computes in single precision on
/// both sides and adds in another order; on the processor that makes 4e-7 beside the Python library, and this is 250
/// times as much. ONNX Runtime's products on CUDA round their factors to 10 bits (TF32) unless told otherwise: one part in 2000 of each.
const CANDLE_NEAR: f32 = 1e-4;
const ONNX_NEAR: f32 = 5e-3;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (device, folder, onnx) = match arguments.as_slice() {
        [device, folder] => (device, folder, ""),
        [device, folder, onnx] => (device, folder, onnx.as_str()),
        _ => return Err(Error::invalid("usage: bench_gpu DEVICE FOLDER [ENCODER.onnx]")),
    };
    println!(
        "{:>8} {:>8} {:>6} {:>14} {:>14} {:>8} {:>10}",
        "engine", "device", "texts", "cpu texts/s", "device texts/s", "ratio", "apart"
    );
    candle(device, folder)?;
    match (onnx, device.parse()) {
        ("", _) => println!("skipped: onnx: no file of the encoder is named"),
        (_, Err(_)) => println!("skipped: onnx: it has no provider {device}"),
        (file, Ok(provider)) => on_onnx(provider, file)?,
    }
    Ok(())
}

fn candle(device: &str, folder: &str) -> Result<()> {
    let engine = CandleEngine::new();
    let load = |engine: &CandleEngine| engine.load_encoder(folder, &LoadOptions::default());
    let here = load(&engine)?;
    let there = load(&engine.with_device(device.parse::<CandleDevice>()?))?;
    for rows in CALLS {
        let inputs = Tensors::one("text", Tensor::from_strs([rows], &texts(rows))?);
        compared(("candle", device), rows, (&*here, &*there), &inputs, CANDLE_NEAR)?;
    }
    Ok(())
}

fn on_onnx(provider: ExecutionProvider, file: &str) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let load = |providers: Vec<ExecutionProvider>| {
        let config = OnnxConfig::default().with_intra_op_threads(threads);
        let engine = OnnxEngine::new().with_config(config.with_providers(providers));
        engine.load_file(file, &LoadOptions::default())
    };
    let (here, there) = (load(Vec::new())?, load(vec![provider])?);
    for rows in CALLS {
        let inputs = words(&*here, rows)?;
        let device = provider.to_string();
        compared(("onnx", &device), rows, (&*here, &*there), &inputs, ONNX_NEAR)?;
    }
    Ok(())
}

/// Sentences of 8 to 63 words, the same each time.
fn texts(count: usize) -> Vec<String> {
    let known =
        "the quick fox opens a library where old books of every language wait for who reads them";
    let known: Vec<&str> = known.split(' ').collect();
    let text = |at: usize| {
        let words = (0..8 + at * 37 % 56).map(|word| known[(at * 31 + word * 7) % known.len()]);
        words.collect::<Vec<_>>().join(" ")
    };
    (0..count).map(text).collect()
}

/// The same number of words a text, none of which is filled up: what a tokenizer would give.
fn words(session: &dyn Session, rows: usize) -> Result<Tensors> {
    let mut inputs = Tensors::new();
    for spec in &session.info().signature.inputs {
        let number = |at: usize| match &*spec.name {
            "attention_mask" => 1,
            "token_type_ids" => 0,
            _ => i64::try_from(1000 + at * 7919 % 20_000).unwrap_or(1000),
        };
        let numbers = (0..rows * WORDS).map(number).collect();
        inputs.push(Arc::clone(&spec.name), Tensor::from_vec([rows, WORDS], numbers)?)?;
    }
    Ok(inputs)
}

/// Prints a line; `Internal` if the answers are further apart than this.
fn compared(
    (engine, device): (&str, &str),
    rows: usize,
    (here, there): (&dyn Session, &dyn Session),
    inputs: &Tensors,
    near: f32,
) -> Result<()> {
    let far = apart(&call(here, inputs)?.0, &call(there, inputs)?.0);
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for _ in 1..TURNS {
        own.push(call(here, inputs)?.1);
        others.push(call(there, inputs)?.1);
    }
    let (own, other) = (a_second(rows, own), a_second(rows, others));
    let ratio = other / own;
    println!(
        "{engine:>8} {device:>8} {rows:>6} {own:>14.1} {other:>14.1} {ratio:>8.2} {far:>10.1e}"
    );
    if far <= near {
        return Ok(());
    }
    Err(Error::internal(format!("{engine} on {device}: answers are {far:e} apart, over {near:e}")))
}

fn call(session: &dyn Session, inputs: &Tensors) -> Result<(Vec<f32>, Duration)> {
    let began = Instant::now();
    let outputs = session.run(inputs, &InferOptions::new(&Stop::new()))?;
    let took = began.elapsed();
    Ok((outputs.require("embedding")?.as_slice::<f32>()?.to_vec(), took))
}

/// The largest difference; infinite if one is no number, or there are not as many.
fn apart(one: &[f32], other: &[f32]) -> f32 {
    if one.len() != other.len() || one.iter().chain(other).any(|number| number.is_nan()) {
        return f32::INFINITY;
    }
    one.iter().zip(other).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max)
}

/// Texts a second, by the median.
#[expect(clippy::cast_precision_loss, reason = "a call has few texts")]
fn a_second(rows: usize, mut times: Vec<Duration>) -> f64 {
    times.sort();
    rows as f64 / times[times.len() / 2].as_secs_f64()
}

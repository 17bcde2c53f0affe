//! Our side of `scripts/bench tabular` and `scripts/bench trees`: the `tabular` engine on one thread.
//!
//! Usage: `bench_tabular MODEL ROWS.f32 ANSWERS`. Reads the rows (little-endian float32, as many a row
//! as the model's one input takes, which may be float64), writes what the model's last output says of
//! them, then waits for lines `BATCH MILLISECONDS` on its standard input: after each it calls the model
//! with one batch after another for that long, which is all that it does then, and says how often.

#![allow(clippy::print_stdout, reason = "an example speaks to who runs it")]

use mlops_core::{
    Error, Result,
    signature::TensorSpec,
    tensor::{DType, Tensor, Tensors},
};
use mlops_serve::{InferOptions, LoadOptions, Session, Stop, engines::tabular::TabularEngine};
use std::{
    collections::btree_map::{BTreeMap, Entry},
    env, fs,
    hint::black_box,
    io,
    time::{Duration, Instant},
};

fn main() -> Result<()> {
    let paths: Vec<String> = env::args().skip(1).collect();
    let [model, rows, answers] = paths.as_slice() else {
        return Err(Error::invalid("usage: bench_tabular MODEL ROWS.f32 ANSWERS"));
    };
    let session = TabularEngine::new().load_file(model, &LoadOptions::default())?;
    let rows = fs::read(rows).map_err(|source| Error::io(rows, source))?;
    let (values, _) = rows.as_chunks::<4>();
    let values: Vec<f32> = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();

    let all = batches(&*session, &values, usize::MAX)?;
    let outputs = session.run(&all[0], &InferOptions::new(&Stop::new()))?;
    let last = outputs.iter().last().and_then(|(_, tensor)| tensor.as_bytes());
    let last = last.ok_or_else(|| Error::unsupported("the last output is no tensor of numbers"))?;
    fs::write(answers, last).map_err(|source| Error::io(answers, source))?;

    let mut requests = BTreeMap::new();
    for line in io::stdin().lines() {
        let line = line.map_err(|source| Error::io("the standard input", source))?;
        let wrong = || Error::invalid(format!("{line:?} is not BATCH MILLISECONDS"));
        let (batch, milliseconds) = line.split_once(' ').ok_or_else(wrong)?;
        let batch = batch.parse().map_err(|_| wrong())?;
        let limit = Duration::from_millis(milliseconds.parse().map_err(|_| wrong())?);
        if let Entry::Vacant(none) = requests.entry(batch) {
            none.insert(batches(&*session, &values, batch)?);
        }
        println!("{}", measure(&*session, &requests[&batch], limit)?);
    }
    Ok(())
}

/// The rows cut into requests of `batch` rows; what is left over is left out.
fn batches(session: &dyn Session, values: &[f32], batch: usize) -> Result<Vec<Tensors>> {
    let input = &session.info().signature.inputs[0];
    let width = input.shape.last().copied().flatten();
    let width = width.ok_or_else(|| Error::unsupported("the input's rows have no fixed length"))?;
    let batch = batch.clamp(1, values.len() / width);
    let requests = values.chunks_exact(batch * width);
    let requests = requests.map(|rows| {
        let tensor = tensor(input, [batch, width], rows)?;
        Ok(Tensors::one(input.name.clone(), tensor))
    });
    requests.collect()
}

/// Rows in the number type that the model takes.
fn tensor(input: &TensorSpec, shape: [usize; 2], rows: &[f32]) -> Result<Tensor> {
    match input.dtype {
        DType::F64 => Tensor::from_vec(shape, rows.iter().copied().map(f64::from).collect()),
        _ => Tensor::from_vec(shape, rows.to_vec()),
    }
}

/// How many calls end within that time, which is looked at after every sixteenth.
fn measure(session: &dyn Session, requests: &[Tensors], limit: Duration) -> Result<u64> {
    let (began, stop, mut calls) = (Instant::now(), Stop::new(), 0);
    let mut requests = requests.iter().cycle();
    while began.elapsed() < limit {
        for request in requests.by_ref().take(16) {
            black_box(session.run(black_box(request), &InferOptions::new(&stop))?);
            calls += 1;
        }
    }
    Ok(calls)
}

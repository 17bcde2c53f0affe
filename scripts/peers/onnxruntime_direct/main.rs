//! ONNX Runtime, one thread, called from Rust with nothing in between.
//!
//! Usage: `onnxruntime-direct MODEL.onnx ROWS.f32 WIDTH LIBRARY.so`. Waits for lines `BATCH MILLISECONDS` on its
//! standard input: after each it runs the model on one batch after another for that long, and says how often.
//! A run takes the rows where they lie, and leaves the outputs where ONNX Runtime makes them.

use ort::{
    session::{Session, builder::SessionBuilder},
    value::TensorRef,
};
use std::{
    env,
    error::Error,
    fs,
    hint::black_box,
    io,
    time::{Duration, Instant},
};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [model, rows, width, library] = words.as_slice() else {
        return Err("usage: onnxruntime-direct MODEL.onnx ROWS.f32 WIDTH LIBRARY.so".into());
    };
    let width: usize = width.parse()?;
    let rows = fs::read(rows)?;
    let (rows, _) = rows.as_chunks::<4>();
    let rows: Vec<f32> = rows.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let environment = ort::init_from(library)?.build()?;
    let mut session = one_thread(Session::builder(&environment)?)?.commit_from_file(model)?;
    for line in io::stdin().lines() {
        let line = line?;
        let (batch, milliseconds) =
            line.split_once(' ').ok_or("a line is not BATCH MILLISECONDS")?;
        let limit = Duration::from_millis(milliseconds.parse()?);
        println!("{}", measure(&mut session, &rows, [batch.parse()?, width], limit)?);
    }
    Ok(())
}

fn one_thread(builder: SessionBuilder) -> Result<SessionBuilder, String> {
    let builder = builder.with_intra_threads(1).map_err(|error| error.to_string())?;
    builder.with_inter_threads(1).map_err(|error| error.to_string())
}

/// How many runs end within that time, which is looked at after every sixteenth.
fn measure(
    session: &mut Session,
    rows: &[f32],
    shape: [usize; 2],
    limit: Duration,
) -> Result<u64, ort::Error> {
    let (began, mut runs) = (Instant::now(), 0);
    let mut batches = rows.chunks_exact(shape[0] * shape[1]).cycle();
    while began.elapsed() < limit {
        for batch in batches.by_ref().take(16) {
            let batch = TensorRef::from_array_view((shape, batch))?;
            black_box(&session.run(ort::inputs![batch])?);
            runs += 1;
        }
    }
    Ok(runs)
}

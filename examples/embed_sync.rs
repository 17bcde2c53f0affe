//! A model in a service without async: a thread for each caller, a line in, a line out. Calls need no
//! runtime, share one model, and compute on the thread that asks.
//!
//! `cargo run --example embed_sync` starts it and asks it from four threads.

use mlops::predictor::PredictRequest;
use mlops::serve::engines::{LoadOptions, tabular::TabularEngine};
use mlops::serve::{LocalConfig, LocalPredictor};
use mlops::tensor::{Tensor, Tensors};
use mlops::{Error, Result};
use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::{thread, time::Duration, time::Instant};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/employment_lightgbm.onnx");

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let session = TabularEngine::new().load_file(MODEL, &LoadOptions::default())?;
    let model = LocalPredictor::open("employment", "1", session, &LocalConfig::default())?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;

    thread::scope(|scope| {
        let callers = [20, 40, 60, 80].map(|age| scope.spawn(move || ask(address, age)));
        // Yours accepts for ever; this one knows how many will come.
        for _ in &callers {
            let (stream, _) = listener.accept()?;
            scope.spawn(|| serve(&model, stream));
        }
        for caller in callers {
            println!("{}", caller.join().map_err(|_| "a caller panicked")??);
        }
        Ok(())
    })
}

/// Answers a caller's lines until it hangs up. A bad line gets its reason, and the next one is read.
fn serve(model: &LocalPredictor, stream: TcpStream) -> io::Result<()> {
    let mut answers = stream.try_clone()?;
    for line in BufReader::new(stream).lines() {
        match employed(model, &line?) {
            Ok(probability) => writeln!(answers, "{probability}")?,
            Err(refused) => writeln!(answers, "error: {refused}")?,
        }
    }
    Ok(())
}

/// The probability that whoever these sixteen codes describe has work.
fn employed(model: &LocalPredictor, line: &str) -> Result<f32> {
    let codes = line.split(',').map(|code| code.trim().parse());
    let codes: Vec<f32> = codes.collect::<Result<_, _>>().map_err(|_| Error::invalid("codes"))?;
    let person = Tensors::one("features", Tensor::from_vec([1, codes.len()], codes)?);
    // Nobody waits longer for an answer than this.
    let deadline = Instant::now() + Duration::from_millis(200);
    let answer = model.predict_now(&PredictRequest::new(person).with_deadline(deadline))?;
    let probabilities = answer.outputs.require("probabilities")?.as_slice::<f32>()?;
    probabilities.last().copied().ok_or_else(|| Error::internal("there are two probabilities"))
}

/// A caller: the same person a hundred times, who gets the same answer each time; then half of one.
fn ask(address: SocketAddr, age: u8) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let mut answers = BufReader::new(stream.try_clone()?).lines();
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        writeln!(stream, "{age}, 21, 1, 0, 2, 0, 1, 1, 4, 1, 1, 2, 2, 2, 1, 1")?;
        seen.extend(answers.next().transpose()?);
    }
    writeln!(stream, "{age}, 21")?;
    let refused = answers.next().transpose()?;
    Ok(format!("{age} years: {seen:?}, of half a person {refused:?}"))
}

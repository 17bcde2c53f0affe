//! `mlops bench`: which settings serve a model best on this machine, tried out on the model itself.

mod front;
mod load;
mod requests;
mod sweep;

use super::{
    Answer, Console,
    columns::Columns,
    engines::Engines,
    source::{DEFAULT_REGISTRY, Source},
};
use crate::{Error, Result, ResultExt, server, tensor::Tensors};
use clap::Args;
use front::{Measured, Sample};
use serde_json::json;
use std::{
    num::NonZeroUsize,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use sweep::Candidate;

/// No turn of a configuration is longer: a longer bench has more rounds.
const LONGEST_TURN: Duration = Duration::from_secs(2);
/// A median needs some.
const FEWEST_ROUNDS: u32 = 3;

/// Try out how a model is served best on this machine
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mlops bench --model risk.onnx --input loans.csv --seconds 60\n\nCallers ask one after the other answer, all at once; the settings that nothing else beats in both\nrows a second and 99th percentile are printed, with the flags for `mlops serve`. Made-up rows may\ntake less time, or more, than yours: --input gives yours."
)]
pub(super) struct Bench {
    /// A file of ONNX, LightGBM, XGBoost or CatBoost, a folder of MLmodel or Sentence Transformers, or models:/NAME@ALIAS
    #[arg(long, value_name = "SOURCE")]
    model: Source,
    /// Rows to ask about: .parquet, .csv or .json, with a column for each feature; made up if absent
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Columns of a packed input that has no named ones, in its order
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', requires = "input")]
    columns: Vec<String>,
    /// How long all measuring may take; loading comes on top, and the answers that are then on their way
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    seconds: f64,
    /// How many callers ask at once
    #[arg(long, value_name = "N", default_value = "16")]
    callers: NonZeroUsize,
    /// Rows of each request
    #[arg(long, value_name = "N", default_value = "1")]
    request_rows: NonZeroUsize,
    /// The only engine to try; by default all that load the model
    #[arg(long, value_name = "NAME")]
    engine: Option<String>,
    /// The record that models:/ names are looked up in
    #[arg(long, value_name = "URI", default_value = DEFAULT_REGISTRY)]
    registry_uri: String,
    /// Write all that was measured as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Bench {
    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        let budget = Duration::try_from_secs_f64(self.seconds)
            .ok()
            .filter(|budget| !budget.is_zero())
            .ok_or_else(|| Error::invalid("--seconds is more than 0"))?;
        let scratch = super::scratch()?;
        let opened = self.model.open(Some(&self.registry_uri), scratch.path());
        let opened = super::block_on(opened)?;
        let engines = Engines::only(self.engine.clone());
        let candidates = sweep::candidates(&opened.package, &engines, self.callers, console)?;
        let signature = candidates[0].predictor.info().signature.clone();
        let requests = match &self.input {
            None => requests::made_up(&signature, self.request_rows),
            Some(path) => requests::read(path, &signature, &self.columns, self.request_rows),
        }?;
        let requests: Arc<[Tensors]> = requests.into();
        let measured = server::block_on(self.measure(candidates, &requests, budget, console))?;
        self.say(&front::marked(measured), console)?;
        Ok(Answer::Yes)
    }

    /// Each candidate has its turn in each round, so that what the machine does beside hits all.
    async fn measure(
        &self,
        candidates: Vec<Candidate>,
        requests: &Arc<[Tensors]>,
        budget: Duration,
        console: &Console,
    ) -> Result<Vec<Measured>> {
        let end = Instant::now() + budget;
        let count = u32::try_from(candidates.len()).unwrap_or(u32::MAX);
        // A little is left for the last answer of each turn.
        let turn = (budget * 9 / (count * FEWEST_ROUNDS * 10)).min(LONGEST_TURN);
        let mut measured: Vec<Measured> = candidates.into_iter().map(Measured::new).collect();
        let interrupted = server::asked_to_end()?;
        tokio::pin!(interrupted);
        let (mut round, mut turns) = (0_u32, 0_u32);
        'rounds: while turns == 0 || Instant::now() + turn * count <= end {
            round += 1;
            for one in &mut measured {
                console
                    .progress(format_args!("round {round}: {}", one.candidate.flags().join(" ")));
                let callers = load::ask(&one.candidate.predictor, requests, self.callers, turn);
                tokio::select! {
                    sample = callers => one.samples.push(sample.context(|| self.hint())?),
                    () = &mut interrupted => {
                        console.note("interrupted: this is what was measured until now");
                        break 'rounds;
                    }
                }
                turns += 1;
            }
        }
        measured.retain(|one| !one.samples.is_empty());
        if measured.is_empty() {
            return Err(Error::new(crate::ErrorKind::Cancelled, "nothing was measured"));
        }
        Ok(measured)
    }

    fn hint(&self) -> &'static str {
        if self.input.is_none() {
            "asking about made-up rows; --input gives real ones"
        } else {
            "asking about the rows of --input"
        }
    }

    fn say(&self, all: &[(Measured, bool)], console: &Console) -> Result<()> {
        if console.json() {
            let rows = all.iter().map(|(one, best)| object(one, *best));
            return console.say_json(&json!({
                "callers": self.callers, "request_rows": self.request_rows,
                "measured": rows.collect::<Vec<_>>(),
            }));
        }
        let mut table =
            Columns::new(["rows/s", "p50 ms", "p99 ms", "rounds", "mlops serve --model SOURCE …"]);
        let best = all.iter().filter(|(_, best)| *best);
        for (one, _) in best.clone() {
            let Sample { rows_per_second, latency_ms_p50, latency_ms_p99 } = one.median();
            table.add([
                format!("{rows_per_second:.0}"),
                format!("{latency_ms_p50:.3}"),
                format!("{latency_ms_p99:.3}"),
                one.samples.len().to_string(),
                one.candidate.flags().join(" "),
            ]);
        }
        table.say(console)?;
        let (shown, all, callers) = (best.count(), all.len(), self.callers);
        console.note(format_args!(
            "{shown} of {all} configurations, the others being beaten in both by one of these; {callers} callers, medians of rounds"
        ));
        Ok(())
    }
}

fn object(one: &Measured, best: bool) -> serde_json::Value {
    let Sample { rows_per_second, latency_ms_p50, latency_ms_p99 } = one.median();
    json!({
        "flags": one.candidate.flags(), "pareto": best, "rounds": one.samples.len(),
        "rows_per_second": rows_per_second,
        "latency_ms_p50": latency_ms_p50, "latency_ms_p99": latency_ms_p99,
    })
}

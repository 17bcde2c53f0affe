//! Everything that is known of one answer, for a person or a program.

use crate::{
    Result,
    arrow::array::RecordBatch,
    cli::{
        console::{Console, visible},
        table,
    },
    inference_log::{Outcome, OutcomeValue},
    replay::Replay,
};
use mlops_core::inference_log::Record;
use serde_json::{Value, json};

/// The receipt of one row.
#[derive(Debug)]
pub(super) struct Receipt<'a> {
    record: &'a Record,
    outcomes: Vec<&'a Outcome>,
    replay: Replay,
    hide_inputs: bool,
}

impl<'a> Receipt<'a> {
    pub(super) fn new(
        record: &'a Record,
        outcomes: &'a [Outcome],
        replay: Replay,
        hide_inputs: bool,
    ) -> Self {
        let outcomes = outcomes.iter().filter(|outcome| outcome.row == record.row).collect();
        Self { record, outcomes, replay, hide_inputs }
    }

    pub(super) fn show(&self, console: &Console) -> Result<()> {
        if console.json() { console.say_json(&self.json()?) } else { self.text(console) }
    }

    fn json(&self) -> Result<Value> {
        let Record { prediction, row, time, request, key, endpoint, model, version, .. } =
            self.record;
        let shown = (!self.hide_inputs).then(|| table::object(self.record.input_row(), 0));
        let inputs = shown.transpose()?;
        let outputs = self.record.output_row().map(|row| table::object(row, 0)).transpose()?;
        Ok(json!({
            "prediction": prediction.to_string(),
            "row": row,
            "time": time.to_string(),
            "took_us": u64::try_from(self.record.took.as_micros()).unwrap_or(u64::MAX),
            "request": request,
            "key": key,
            "endpoint": endpoint,
            "model": model,
            "version": version,
            "digest": self.record.digest.map(|digest| digest.to_string()),
            "arm": self.record.arm,
            "error": self.record.error,
            "inputs": inputs,
            "outputs": outputs,
            "outcomes": self.outcomes.iter().map(|outcome| outcome_json(outcome)).collect::<Vec<_>>(),
            "replay": { "result": self.replay.word(), "text": self.replay.to_string() },
        }))
    }

    fn text(&self, console: &Console) -> Result<()> {
        let Record { prediction, row, time, model, version, endpoint, .. } = self.record;
        console.say(format_args!("prediction {prediction}, row {row}"))?;
        let took = self.record.took;
        console.say(format_args!("  asked      {time}, answered after {took:?}"))?;
        console.say(format_args!("  endpoint   {endpoint}"))?;
        console.say(format_args!("  model      {model} version {version}"))?;
        let optional = [
            ("package", self.record.digest.map(|digest| digest.to_string())),
            ("arm", self.record.arm.as_deref().map(str::to_owned)),
            ("request", self.record.request.as_deref().map(str::to_owned)),
            ("key", self.record.key.as_deref().map(str::to_owned)),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                console.say(format_args!("  {name:<10} {}", visible(&value)))?;
            }
        }
        if self.hide_inputs {
            console.say("inputs are hidden")?;
        } else {
            cells("inputs", self.record.input_row(), console)?;
        }
        if let Some(row) = self.record.output_row() {
            cells("outputs", row, console)?;
        }
        for outcome in &self.outcomes {
            let (name, value, time) = (&outcome.name, value(&outcome.value), outcome.time);
            console.say(format_args!("outcome {name} = {value}, known {time}"))?;
        }
        console.say(&self.replay)
    }
}

fn cells(title: &str, row: &RecordBatch, console: &Console) -> Result<()> {
    console.say(title)?;
    for (name, value) in table::object(row, 0)?.as_object().into_iter().flatten() {
        console.say(format_args!("  {} = {value}", visible(name)))?;
    }
    Ok(())
}

fn value(value: &OutcomeValue) -> Value {
    match value {
        OutcomeValue::Number(number) => json!(number),
        OutcomeValue::Label(label) => json!(label),
        _ => Value::Null,
    }
}

fn outcome_json(outcome: &Outcome) -> Value {
    let (name, time) = (&outcome.name, outcome.time.to_string());
    json!({ "name": name, "value": value(&outcome.value), "time": time })
}

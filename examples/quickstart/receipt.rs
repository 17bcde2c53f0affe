//! Why was this person told that? The receipt of an old answer, and the answer computed again.

use crate::{
    home::Home,
    live::Live,
    release,
    table::{Table, say},
};
use mlops::{
    Error, ModelName, PredictionId, Result, VersionId,
    inference_log::{LogReader, Outcome, OutcomeValue, Record},
    replay::Replay,
    tensor::Tensors,
};

/// Shows one row of a prediction and computes it again; an answer that differs is an error.
pub(crate) async fn why(
    home: &Home,
    live: &Live,
    prediction: PredictionId,
    row: u32,
) -> Result<()> {
    let log = LogReader::open(&live.log_folder)?;
    let record = log.find(prediction, row)?;
    let record = record.ok_or_else(|| Error::not_found(format!("prediction {prediction}")))?;
    let (outcomes, _) = log.outcomes()?;
    let outcome = outcomes.iter().find(|own| own.prediction == Some(prediction) && own.row == row);
    show(&record, outcome)?;

    // The version's bytes from the record, verified; the transform is part of them.
    let number = record.version.parse();
    let number = number.map_err(|_| Error::corrupt(format!("version {:?}", record.version)))?;
    let id = VersionId::new(ModelName::new(record.model.as_ref())?, number);
    let replay = Replay::of(&record, &release::fetch(home, &id).await?);
    say(&replay);
    say(format_args!(
        "(or: cargo run -p mlops --features cli,candle -- why {prediction} --row {row} --inference-log {} --registry-uri sqlite:///{})",
        live.log_folder.display(),
        home.folder.join("mlops.db").display(),
    ));
    if replay.is_same() { Ok(()) } else { Err(Error::internal(format!("{prediction}: {replay}"))) }
}

fn show(record: &Record, outcome: Option<&Outcome>) -> Result<()> {
    let mut table = Table::new(["of the answer", "is"]);
    let digest = record.digest.map_or_else(|| "unknown".to_owned(), |digest| digest.to_string());
    table.row(["prediction".to_owned(), format!("{} row {}", record.prediction, record.row)]);
    table.row(["asked".to_owned(), record.time.to_string()]);
    table.row(["answered by".to_owned(), format!("{} version {}", record.model, record.version)]);
    table.row(["its package".to_owned(), digest]);
    for (at, features) in given(record)?.chunks(8).enumerate() {
        let what = if at == 0 { "given" } else { "" };
        table.row([what.to_owned(), features.join(", ")]);
    }
    table.row(["said".to_owned(), said(record)?]);
    let came = outcome.map_or_else(
        || "nothing is known yet".to_owned(),
        |outcome| format!("{}, known {}", value(&outcome.value), outcome.time),
    );
    table.row(["what came of it".to_owned(), came]);
    table.print();
    Ok(())
}

fn value(value: &OutcomeValue) -> &'static str {
    match value {
        OutcomeValue::Number(number) if *number > 0.5 => "employed",
        _ => "not employed",
    }
}

/// `AGEP 41`, `SCHL 21`, …: names and numbers of the packed input.
fn given(record: &Record) -> Result<Vec<String>> {
    let inputs = record.inputs()?;
    let numbers = inputs.require("features")?.as_slice::<f32>()?;
    let pairs = record.signature.features().zip(numbers);
    Ok(pairs.map(|(name, number)| format!("{name} {number}")).collect())
}

fn said(record: &Record) -> Result<String> {
    let outputs: Tensors = record.outputs()?.unwrap_or_default();
    let probabilities = outputs.require("probabilities")?.as_slice::<f32>()?;
    Ok(match probabilities {
        [_, employed] => format!("employed with probability {employed:.4}"),
        other => format!("{other:?}"),
    })
}

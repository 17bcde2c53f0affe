//! A model on its way to the server: measured, registered, compared by a gate, promoted, taken back.

use crate::{
    census,
    home::{CHAMPION, Home, MODEL},
    table::{Table, count, say},
};
use mlops::{
    Error, ErrorKind, Registry, Result, VersionId,
    data::{Dataset, Part, Train},
    evaluation::{
        Comparison, ComparisonRule, Evaluation, EvaluationOptions, Finding, Metric, Slice,
    },
    model::ModelPackage,
    registry::{AliasMove, CreateVersion, ModelUri, ModelVersion, RegistryExt},
    serve::{InferOptions, LoadOptions, Stop, engines::compiled_in, load_package},
    store::{ChampionGate, MetricGate},
    tracker::{RunOptions, TrackerExt},
};
use std::{collections::BTreeMap, sync::Arc};

/// A package, and where it comes from.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) name: &'a str,
    pub(crate) package: &'a ModelPackage,
    pub(crate) train: &'a Dataset<Train>,
    /// The mean loss over each epoch, if we have seen it being trained.
    pub(crate) losses: &'a [f64],
}

/// The probability of `employed` for each row, by the code that serves.
pub(crate) fn scores<P: Part>(package: &ModelPackage, rows: &Dataset<P>) -> Result<Vec<f64>> {
    let session = load_package(package, &compiled_in(), &LoadOptions::default())?;
    let inputs = census::tensors(rows)?;
    let outputs = session.run(&inputs, &InferOptions::new(&Stop::new()))?;
    let probabilities = outputs.require("probabilities")?.as_slice::<f32>()?;
    Ok(probabilities.chunks_exact(2).map(|pair| f64::from(pair[1])).collect())
}

/// Measures a model on rows that it has not seen.
pub(crate) fn evaluate<P: Part>(package: &ModelPackage, rows: &Dataset<P>) -> Result<Evaluation> {
    let (labels, slices) = (census::labels(rows)?, census::slices(rows)?);
    Evaluation::binary(&labels, &scores(package, rows)?, &slices, &EvaluationOptions::default())
}

/// Records how it was measured as a run, and registers it as the next version.
pub(crate) async fn register<P: Part>(
    home: &Home,
    candidate: &Candidate<'_>,
    rows: &Dataset<P>,
) -> Result<(ModelVersion, Evaluation)> {
    let options = RunOptions::new().with_name(candidate.name).with_clock(home.clock());
    let run = home.tracker().start_run("employment", options).await?;
    run.log_input(candidate.train, "training").await?;
    run.log_input(rows, "evaluation").await?;
    for (epoch, loss) in (0_i64..).zip(candidate.losses) {
        run.log_metric("loss", *loss, epoch).await?;
    }
    let evaluation = evaluate(candidate.package, rows)?;
    let metrics: BTreeMap<String, f64> = Metric::ALL
        .into_iter()
        .filter_map(|metric| {
            Some((metric.to_string(), evaluation.get(metric, None)?.finding.value()?))
        })
        .collect();
    run.log_metrics(metrics.iter().map(|(name, value)| (name.as_str(), *value))).await?;
    run.log_model("model", candidate.package).await?;
    let id = run.id();
    run.finish().await?;

    let new = CreateVersion::new(home.model.clone(), candidate.package.folder())
        .with_run(id)
        .with_dataset(candidate.train.digest())
        .with_metrics(metrics);
    Ok((home.store.create_version(new).await?, evaluation))
}

/// How good a model is, for everybody and for each group.
pub(crate) fn show(evaluation: &Evaluation) {
    let mut table = Table::new(["rows of", "rows", "accuracy", "ROC-AUC", "log-loss", "Brier"]);
    for slice in groups(evaluation) {
        let finding = |metric| evaluation.get(metric, slice.as_ref()).map(|own| &own.finding);
        let of = |metric| finding(metric).map_or_else(String::new, value);
        let own = evaluation.get(Metric::Accuracy, slice.as_ref());
        table.row([
            slice.as_ref().map_or_else(|| "everybody".to_owned(), ToString::to_string),
            own.map_or_else(String::new, |own| count(own.rows)),
            of(Metric::Accuracy),
            of(Metric::RocAuc),
            of(Metric::LogLoss),
            of(Metric::Brier),
        ]);
    }
    table.print();
}

/// All rows, then each slice, in order.
fn groups(evaluation: &Evaluation) -> Vec<Option<Slice>> {
    let of_accuracy = evaluation.measured.iter().filter(|own| own.metric == Metric::Accuracy);
    of_accuracy.map(|own| own.slice.clone()).collect()
}

fn value(finding: &Finding) -> String {
    match finding {
        Finding::Value { value, .. } => format!("{value:.4}"),
        Finding::Undefined { .. } => "one class".to_owned(),
        _ => "too few".to_owned(),
    }
}

/// What the alias `champion` means now.
pub(crate) async fn champion(home: &Home) -> Result<ModelVersion> {
    home.store.resolve(&ModelUri::alias(home.model.clone(), home.champion.clone())).await
}

/// The bytes of a version, verified when they are fetched; what lies there from an earlier act is hashed again.
pub(crate) async fn fetch(home: &Home, id: &VersionId) -> Result<ModelPackage> {
    let folder = home.folder.join("fetched").join(id.version.to_string());
    if folder.exists() {
        return ModelPackage::open(folder);
    }
    std::fs::create_dir_all(home.folder.join("fetched"))
        .map_err(|source| Error::io("the folder of fetched models", source))?;
    home.store.fetch(id, &folder).await
}

/// What decides every promotion of the story: bounds for a first model; after that, a better area
/// under the curve on the same rows, and no group shown to be worse by more than 0.02.
pub(crate) fn gate() -> ChampionGate {
    ChampionGate::new(ComparisonRule::better_by(Metric::RocAuc).with_slice_margin(0.02))
        .with_first(MetricGate::at_least("roc_auc", 0.85))
        .with_first(MetricGate::at_most("brier", 0.16))
}

/// Holds a challenger against the champion on rows that neither was trained on; shows it by group.
pub(crate) async fn compare<P: Part>(
    home: &Home,
    challenger: &ModelVersion,
    rows: &Dataset<P>,
) -> Result<ChampionGate> {
    let champion = champion(home).await?;
    let (old, new) = (fetch(home, &champion.id).await?, fetch(home, &challenger.id).await?);
    let (labels, slices) = (census::labels(rows)?, census::slices(rows)?);
    let options = EvaluationOptions::default();
    let (before, after) = (scores(&old, rows)?, scores(&new, rows)?);
    let comparison = Comparison::binary(&labels, &before, &after, &slices, &options)?;
    let before = Evaluation::binary(&labels, &before, &slices, &options)?;
    let after = Evaluation::binary(&labels, &after, &slices, &options)?;

    let (old, new) = (champion.id.version, challenger.id.version);
    let (old, new) = (format!("AUC of {old}"), format!("AUC of {new}"));
    let mut table = Table::new(["rows of", "rows", &old, &new, "better by", "95 % together"]);
    for own in comparison.improvements.iter().filter(|own| own.metric == Metric::RocAuc) {
        let area = |of: &Evaluation| {
            of.get(Metric::RocAuc, own.slice.as_ref())
                .map_or_else(String::new, |m| value(&m.finding))
        };
        let (better, interval) = match &own.finding {
            Finding::Value { value, interval } => {
                (format!("{value:+.4}"), format!("[{:+.4}, {:+.4}]", interval.low, interval.high))
            }
            _ => ("decides nothing".to_owned(), String::new()),
        };
        let name = own.slice.as_ref().map_or_else(|| "everybody".to_owned(), ToString::to_string);
        table.row([name, count(own.rows), area(&before), area(&after), better, interval]);
    }
    table.print();
    Ok(gate().with_comparison(&champion, challenger, comparison))
}

/// Moves the alias if the gate lets it; says what was decided and whether it moved.
pub(crate) async fn promote(
    home: &Home,
    version: &ModelVersion,
    gate: ChampionGate,
    reason: &str,
) -> Result<bool> {
    say(format_args!("gate: {gate}"));
    let number = version.id.version;
    match home.store.promote(&version.id, &home.champion, vec![Arc::new(gate)], reason).await? {
        AliasMove::Moved { from, .. } => {
            let from = from.map_or_else(|| "nothing".to_owned(), |from| format!("version {from}"));
            say(format_args!("promoted: {MODEL}@{CHAMPION} goes from {from} to version {number}"));
            Ok(true)
        }
        AliasMove::Refused { unmet } => {
            say(format_args!("refused: {MODEL}@{CHAMPION} stays where it is, for"));
            for condition in unmet {
                say(format_args!("  - {condition}"));
            }
            Ok(false)
        }
        other => Err(Error::internal(format!("nobody in this story approves: {other:?}"))),
    }
}

/// Takes the last move of the alias back; `None` if there is nothing to go back to.
pub(crate) async fn roll_back(home: &Home, reason: &str) -> Result<Option<(u64, u64)>> {
    match home.store.rollback(&home.model, &home.champion, reason).await {
        Ok(AliasMove::Moved { from, to }) => Ok(from.zip(to)),
        // Being refused is an answer: whoever asks has to look.
        Ok(other) => Err(Error::conflict(format!("the champion does not go back: {other:?}"))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

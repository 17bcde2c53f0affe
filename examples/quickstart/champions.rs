//! Champions come and go: the first by absolute bounds, the next by a paired comparison, the old one back
//! by one call; and the server answers all the while.

use crate::{
    asking::{self, Load},
    census::{self, FEATURES},
    home::Home,
    live::Live,
    release::{self, Candidate},
    rows,
    table::{Table, count, say},
    training::{self, Plan, Trained},
};
use mlops::{
    Error, Registry, Result,
    evaluation::Evaluation,
    registry::{HistoryQuery, ModelUri, ModelVersion},
    store::ChampionGate,
};

/// Registers and promotes the perceptron; what it measured is what it promises.
pub(crate) async fn first_champion(home: &Home, trained: &Trained) -> Result<Evaluation> {
    let Trained { package, train, losses, .. } = trained;
    let candidate = Candidate { name: "perceptron", package, train, losses };
    let shown: Vec<String> = losses.iter().map(|loss| format!("{loss:.4}")).collect();
    say(format_args!("loss by epoch: {}", shown.join(" ")));
    let (version, evaluation) = release::register(home, &candidate, &trained.test).await?;
    release::show(&evaluation);
    if release::promote(home, &version, release::gate(), "the first one").await? {
        return Ok(evaluation);
    }
    Err(Error::invalid("the first model keeps its bounds no more: there is nothing to serve"))
}

/// Registers the challenger and lets the gate decide; the server swaps under load if it is promoted.
pub(crate) async fn challenge(
    home: &Home,
    live: &Live,
    trained: &Trained,
) -> Result<Option<Evaluation>> {
    let package = &training::lightgbm(home, &trained.train)?;
    let candidate = Candidate { name: "lightgbm", package, train: &trained.train, losses: &[] };
    let (version, evaluation) = release::register(home, &candidate, &trained.test).await?;
    let gate = release::compare(home, &version, &trained.test).await?;
    let moved = promote_live(home, live, trained, &version, gate, "better by LightGBM").await?;
    Ok(moved.then_some(evaluation))
}

/// Promotes while a client keeps asking: whoever answers, nobody is turned away.
async fn promote_live(
    home: &Home,
    live: &Live,
    trained: &Trained,
    version: &ModelVersion,
    gate: ChampionGate,
    reason: &str,
) -> Result<bool> {
    live.meet(version, &release::fetch(home, &version.id).await?)?;
    let work = async {
        let moved = release::promote(home, version, gate, reason).await?;
        if moved {
            live.answers_with(version.id.version).await?;
        }
        Ok(moved)
    };
    let (moved, load) = asking::under_load(live, somebody(trained)?, work).await?;
    show_load(&load)?;
    Ok(moved)
}

fn somebody(trained: &Trained) -> Result<Vec<f32>> {
    let tensors = census::tensors(&trained.test)?;
    Ok(tensors.require("features")?.as_slice::<f32>()?[..FEATURES.len()].to_vec())
}

fn show_load(load: &Load) -> Result<()> {
    let answered = load
        .answered
        .iter()
        .map(|(version, requests)| format!("{} by version {version}", count(*requests)));
    let answered: Vec<String> = answered.collect();
    say(format_args!(
        "meanwhile the server answered {}; {} failed",
        answered.join(", "),
        load.failed
    ));
    if load.failed > 0 {
        return Err(Error::internal(format!("{} requests failed during the swap", load.failed)));
    }
    Ok(())
}

/// Trains on newer rows and lets the same gate decide, by the survey of the year after.
pub(crate) async fn retrain(home: &Home, live: &Live) -> Result<()> {
    let again = training::execute(home, 2017, Plan { hidden: &[64, 32], epochs: 8 }).await?;
    rows::show_steps(&again);
    let unseen = census::of_year(&again.people, 2018)?;
    let Trained { package, train, losses, .. } = &again;
    let candidate = Candidate { name: "perceptron of 2017", package, train, losses };
    let (version, _) = release::register(home, &candidate, &unseen).await?;
    let gate = release::compare(home, &version, &unseen).await?;
    let moved = promote_live(home, live, &again, &version, gate, "newer rows").await?;
    say(if moved {
        "newer rows were worth a change"
    } else {
        "newer rows were not worth a change: the champion stays, and that is an answer"
    });
    Ok(())
}

/// One call, and what answered before answers again.
pub(crate) async fn roll_back(home: &Home, live: &Live, trained: &Trained) -> Result<()> {
    let work = async {
        let moved = release::roll_back(home, "complaint 4711").await?;
        if let Some((_, before)) = moved {
            live.answers_with(before).await?;
        }
        Ok(moved)
    };
    let (moved, load) = asking::under_load(live, somebody(trained)?, work).await?;
    match moved {
        Some((from, to)) => say(format_args!("the champion goes back from version {from} to {to}")),
        None => say("there was one champion only: nothing to go back to"),
    }
    show_load(&load)?;
    show_history(home).await
}

/// Who moved the alias when, and why.
async fn show_history(home: &Home) -> Result<()> {
    let uri = ModelUri::alias(home.model.clone(), home.champion.clone());
    let events = home.store.history(HistoryQuery::new(uri)).await?.items;
    let mut table = Table::new(["when", "what", "by", "why", "detail"]);
    for event in events {
        let time: String = event.time.to_string().chars().take(10).collect();
        let why = event.reason.as_deref().unwrap_or_default().to_owned();
        let detail: String = event.detail.to_string().chars().take(60).collect();
        table.row([time, event.kind.to_string(), event.actor.to_string(), why, detail]);
    }
    table.print();
    Ok(())
}

//! The whole life of a model, on real data, in one process: census rows of Massachusetts, and the
//! question whether a person is employed.
//!
//! ```text
//! cargo run --release --example quickstart
//! ```
//!
//! Nothing else is needed: no Python, no server, no download. The record, the inference log and the
//! report are in `target/quickstart` afterwards. Each act is a module of a page or two in `quickstart/`.
#![expect(clippy::print_stdout, reason = "the story is told to whoever runs it")]

#[path = "quickstart/asking.rs"]
mod asking;
#[path = "quickstart/census.rs"]
mod census;
#[path = "quickstart/champions.rs"]
mod champions;
#[path = "quickstart/home.rs"]
mod home;
#[path = "quickstart/live.rs"]
mod live;
#[path = "quickstart/receipt.rs"]
mod receipt;
#[path = "quickstart/release.rs"]
mod release;
#[path = "quickstart/replay.rs"]
mod replay;
#[path = "quickstart/rows.rs"]
mod rows;
#[path = "quickstart/table.rs"]
mod table;
#[path = "quickstart/training.rs"]
mod training;
#[path = "quickstart/watch.rs"]
mod watch;
#[path = "quickstart/windows.rs"]
mod windows;

use home::Home;
use live::Live;
use mlops::{Result, model::names, watch::Profile};
use table::Stage;
use training::Plan;

/// The years that pass while the model is served.
const YEARS: [i32; 3] = [2016, 2017, 2018];

#[tokio::main]
async fn main() -> Result<()> {
    let (mut stage, home) = (Stage::new(), Home::open().await?);

    stage.act("Ingest, split, fit, train: a pipeline of typed steps");
    let trained = training::execute(&home, 2015, Plan { hidden: &[16], epochs: 4 }).await?;
    rows::show_steps(&trained);
    stage.act("The rows beside the schema of the training rows");
    rows::show_validation(&trained)?;
    stage.act("Parts that are kept apart by their types");
    rows::show_parts(&trained)?;
    stage.act("A first champion, by absolute bounds");
    let promised = champions::first_champion(&home, &trained).await?;

    stage.act("Served over HTTP");
    let live = Live::start(&home).await?;
    let first = asking::first_answers(&live, &trained).await?;
    stage.act("A challenger from LightGBM, by a paired comparison");
    let promised = champions::challenge(&home, &live, &trained).await?.unwrap_or(promised);

    stage.act("Three years pass");
    let replayed = replay::years(&home, &live, &trained.people, &YEARS).await?;
    replay::show(&live, &replayed);
    stage.act("What the monitor says");
    let reference = Profile::from_bytes(&trained.package.read(names::PROFILE)?)?;
    let findings = watch::read(&live.log_folder, &reference, &YEARS)?;
    findings.drifts.iter().for_each(|(year, drift)| watch::show_drift(*year, drift));
    watch::alarm(&home, &findings).await?;
    watch::show_accuracy(&findings, &promised, &replayed.right)?;

    stage.act("Trained again, on 2017");
    champions::retrain(&home, &live).await?;
    stage.act("Rolled back");
    champions::roll_back(&home, &live, &trained).await?;

    stage.act("Why was that the answer?");
    receipt::why(&home, &live, first, 0).await?;
    if let Some(old) = replayed.example {
        receipt::why(&home, &live, old, 7).await?;
    }
    stage.act("The report");
    watch::report(&home, &findings, &reference, &promised)?;
    live.end().await
}

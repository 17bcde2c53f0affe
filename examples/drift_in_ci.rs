//! A gate in a pipeline: tomorrow's data beside the data that the model was trained on, before anybody
//! retrains or serves with it. A program that fails, or a test (`cargo test`); without a line of Rust it
//! is `mlops drift report REFERENCE WINDOW --check --markdown F`.
//!
//! `cargo run --example drift_in_ci`

use mlops::arrow::array::{ArrayRef, Float64Array};
use mlops::data::Dataset;
use mlops::drift::Verdict;
use mlops::watch::why::Explanation;
use mlops::watch::{Profile, ProfileDetector, ProfileDetectorConfig, ProfileOptions, Report};
use mlops::{DriftDetector, Error, Result};
use std::{path::PathBuf, sync::Arc};

const PEOPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/employment_ma.parquet");
const COLUMNS: [&str; 6] = ["AGEP", "SCHL", "MAR", "RELP", "DIS", "SEX"];

/// Your gate: a report if the window may be used, else an error that says why not.
fn gate(reference: &Profile, window: &Dataset) -> Result<Report> {
    let config = ProfileDetectorConfig::default();
    let mut detector = ProfileDetector::open(config, reference.clone())?;
    for batch in window.batches() {
        detector.update(batch)?;
    }
    let report = Report::of(&detector)?.with_title(format!("{} beside 2015", window.name()));
    match report.drift().verdict {
        // A window that is too small to judge does not pass unseen, as it does not with `--check`.
        Verdict::TooFewRows => {
            Err(Error::invalid(format!("{} rows are too few to judge", report.drift().rows)))
        }
        Verdict::Drifted => {
            let page = std::env::temp_dir().join("mlops-drift-in-ci.html");
            std::fs::write(&page, report.to_html())
                .map_err(|source| Error::io(page.display(), source))?;
            let why = report.explanations().iter().filter(|why| why.verdict == Verdict::Drifted);
            let why: Vec<String> = why.map(Explanation::sentence).collect();
            Err(Error::invalid(format!("{}\n  see {}", why.join("\n  "), page.display())))
        }
        _ => Ok(report),
    }
}

/// The profile is made once and kept with the model: `mlops drift profile train.parquet --out F`.
fn reference() -> Result<Profile> {
    let profile = Profile::fit(survey(2015)?.batches(), &ProfileOptions::default())?;
    Profile::from_bytes(&profile.to_bytes()?)
}

/// Your new data: one year of a census.
fn survey(year: i64) -> Result<Dataset> {
    let people = Dataset::open(PathBuf::from(PEOPLE))?;
    let wanted: Vec<bool> = people.i64s("year")?.iter().map(|own| *own == Some(year)).collect();
    Ok(people.filter_rows(&wanted)?.select(&COLUMNS)?.with_name(format!("survey {year}")))
}

/// What somebody changed upstream on a Friday: ages in months.
fn survey_in_months(year: i64) -> Result<Dataset> {
    let people = survey(year)?;
    let months = people.f64s("AGEP")?.into_iter().map(|age| age * 12.0);
    let months: ArrayRef = Arc::new(Float64Array::from_iter_values(months));
    let others = COLUMNS.iter().skip(1).map(|name| Ok((*name, people.column(name)?)));
    let columns = [Ok(("AGEP", months))].into_iter().chain(others).collect::<Result<Vec<_>>>()?;
    Dataset::from_columns(format!("survey {year}, in months"), columns)
}

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn main() -> Result<()> {
    let reference = reference()?;
    println!("{}", gate(&reference, &survey(2016)?)?.to_markdown());
    match gate(&reference, &survey_in_months(2016)?) {
        Err(why) => println!("stopped, as it should be:\n  {why}"),
        Ok(_) => return Err(Error::internal("ages in months passed the gate")),
    }
    Ok(())
}

#[test]
fn the_next_survey_may_be_used_and_a_broken_one_may_not() {
    let reference = reference().unwrap();
    assert!(gate(&reference, &survey(2018).unwrap()).is_ok());
    let why = gate(&reference, &survey_in_months(2018).unwrap()).unwrap_err().to_string();
    assert!(why.contains("\"AGEP\": all values look multiplied by 12"), "{why}");
}

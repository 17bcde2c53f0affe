//! Our side of the power study, `scripts/peers/drift_power`: the detectors as they are without any configuration.
//!
//! Usage: `judge_windows FOLDER profile|monitor[:ALARMS] OUT`. Reads the files that `shifts.py` wrote and writes a line of JSON for
//! each window, in order, as `study.py` says.
//!
//! - `profile`: `ProfileDetector`; each column's score is −log₁₀ of its probability, `verdict` is 2 if it says
//!   that anything drifted, 1 if it warns.
//! - `monitor`: a `Monitor` that is given the window as the table of a day; `verdict` is 1 if it raises an alarm. A new
//!   monitor spends a sixteenth of the error that it has earned on its first look, and in the long run, with a table a
//!   day, what a day earns on each. So that every window is judged as one of the long run, without thirty days before
//!   it, the promise is sixteen times as many here: sixteen a year instead of one, or of ALARMS.

use mlops_core::{
    DriftDetector, Error, Result,
    arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray},
    drift::{Drift, Evidence, Verdict},
    testing::ManualClock,
};
use mlops_drift::{
    Monitor, MonitorConfig, Profile, ProfileDetector, ProfileDetectorConfig, ProfileOptions,
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufWriter, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};

#[derive(Deserialize)]
struct Study {
    blocks: usize,
    window: usize,
    numbers: Vec<String>,
    categories: BTreeMap<String, u32>,
}

type Scores = BTreeMap<String, f64>;
type Judge = Box<dyn Fn(&Profile, &RecordBatch) -> Result<Scores>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, detector, out] = arguments.as_slice() else {
        return Err(Error::invalid("usage: judge_windows FOLDER profile|monitor[:ALARMS] OUT"));
    };
    let (detector, alarms) = detector.split_once(':').unwrap_or((detector, "1"));
    let alarms: f64 = alarms.parse().map_err(|_| Error::invalid("ALARMS is a number"))?;
    let judge: Judge = match detector {
        "profile" => Box::new(by_profile),
        "monitor" => {
            Box::new(move |reference, window| by_monitor(reference, window, 16.0 * alarms))
        }
        _ => return Err(Error::invalid(format!("no detector {detector:?}"))),
    };
    let folder = Path::new(folder);
    let path = folder.join("study.json");
    let text = fs::read(&path).map_err(|source| Error::io(path.display(), source))?;
    let study: Study = serde_json::from_slice(&text)
        .map_err(|error| Error::invalid(format!("study.json: {error}")))?;
    let wrong = |source| Error::io(out, source);
    let mut file = BufWriter::new(fs::File::create(out).map_err(wrong)?);
    for block in 0..study.blocks {
        let reference = study.read(&folder.join(format!("{block}.reference.f64")))?;
        let reference = Profile::fit(&[reference], &ProfileOptions::default())?;
        let windows = study.read(&folder.join(format!("{block}.windows.f64")))?;
        for first in (0..windows.num_rows()).step_by(study.window) {
            let scores = judge(&reference, &windows.slice(first, study.window))?;
            let line = serde_json::to_string(&scores)
                .map_err(|error| Error::invalid(error.to_string()))?;
            writeln!(file, "{line}").map_err(wrong)?;
        }
    }
    file.flush().map_err(wrong)
}

impl Study {
    /// A file of float64, column after column; categories are whole numbers there, and texts to us.
    fn read(&self, path: &Path) -> Result<RecordBatch> {
        let bytes = fs::read(path).map_err(|source| Error::io(path.display(), source))?;
        let (values, _) = bytes.as_chunks::<8>();
        // JSON's object is not in the file's order.
        let categories =
            ["plan", "city"].into_iter().filter(|name| self.categories.contains_key(*name));
        let names: Vec<&str> = self.numbers.iter().map(String::as_str).chain(categories).collect();
        let rows = values.len() / names.len();
        let columns = names.into_iter().zip(values.chunks_exact(rows)).map(|(name, values)| {
            let values = values.iter().map(|bytes| f64::from_le_bytes(*bytes));
            let array: ArrayRef = if self.categories.contains_key(name) {
                Arc::new(values.map(|code| Some(format!("{name}{code}"))).collect::<StringArray>())
            } else {
                Arc::new(
                    values
                        .map(|value| (!value.is_nan()).then_some(value))
                        .collect::<Float64Array>(),
                )
            };
            (name, array)
        });
        RecordBatch::try_from_iter(columns).map_err(|error| Error::invalid(error.to_string()))
    }
}

fn by_profile(reference: &Profile, window: &RecordBatch) -> Result<Scores> {
    let mut detector = ProfileDetector::open(ProfileDetectorConfig::default(), reference.clone())?;
    detector.update(window)?;
    let said = detector.evaluate()?;
    let mut scores: Scores =
        said.parts.iter().map(|part| (part.name.to_string(), score(part))).collect();
    let verdict = match said.verdict {
        Verdict::Drifted => 2.0,
        Verdict::Warning => 1.0,
        _ => 0.0,
    };
    scores.insert("verdict".into(), verdict);
    Ok(scores)
}

fn by_monitor(reference: &Profile, window: &RecordBatch, alarms: f64) -> Result<Scores> {
    let clock = Arc::new(ManualClock::default());
    let config =
        MonitorConfig::default().with_false_alarms_per_year(alarms).with_clock(clock.clone());
    let monitor = Monitor::new(reference.clone(), config)?;
    clock.advance(Duration::from_hours(24));
    monitor.update(window)?;
    let alarmed = monitor.status().alarms > 0;
    Ok(Scores::from([("verdict".to_owned(), f64::from(alarmed))]))
}

fn score(column: &Drift) -> f64 {
    match column.evidence {
        Evidence::P { p, .. } => -p.log10(),
        _ => 0.0,
    }
}

//! `mlops drift watch`: what comes into a folder beside a reference, with few false alarms a year.

use super::{
    profile::wanted,
    report::name_of,
    side::{Rows, Side},
};
use crate::{
    Clock, Error, Result, ResultExt, SystemClock, Timestamp,
    cli::{Answer, Console, console::visible, table},
};
use clap::Args;
use mlops_drift::{
    Monitor, MonitorConfig, Profile, Report,
    monitor::{Alarm, AlarmStream, Cause},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread::sleep,
    time::{Duration, SystemTime},
};

/// Follow a folder of .parquet and .csv files, or an inference log, and say when what comes drifts
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mlops drift watch train.profile log --prometheus drift.prom\n  \
                        mlops drift watch train.parquet days/ --once --check"
)]
pub(in crate::cli) struct Watching {
    /// What is compared against: .parquet, .csv, an MLmodel folder with a profile, or a profile
    reference: PathBuf,
    /// Where rows come in: a folder of .parquet and .csv files, looked at in the order of their
    /// times, or the folder of an inference log
    folder: PathBuf,
    /// How many alarms a year to expect while nothing changes
    #[arg(long, value_name = "COUNT", default_value_t = MonitorConfig::default().false_alarms_per_year)]
    false_alarms_per_year: f64,
    /// The largest total variation distance that is negligible
    #[arg(long, default_value_t = MonitorConfig::default().margin)]
    margin: f64,
    /// Rows after which a window ends
    #[arg(long, value_name = "ROWS", default_value_t = MonitorConfig::default().window_rows)]
    window_rows: u64,
    /// Seconds after which a window ends that has a hundred rows
    #[arg(long, value_name = "SECONDS", default_value_t = MonitorConfig::default().window_time.as_secs())]
    window_time: u64,
    /// Seconds between two looks at the folder
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    interval: u64,
    /// Looks at what is there, and ends
    #[arg(long)]
    once: bool,
    /// Ends with 1 at the first alarm
    #[arg(long)]
    check: bool,
    /// Keeps a page of the last 16 windows up to date
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Keeps gauges of the last 16 windows up to date, in Prometheus' text format
    #[arg(long, value_name = "FILE")]
    prometheus: Option<PathBuf>,
    /// A JSON object for each piece
    #[arg(long)]
    json: bool,
}

/// What came of one file, or of what was new in the log.
#[derive(Serialize)]
struct Seen<'a> {
    from: &'a str,
    rows: u64,
    windows: u64,
    alarms: Vec<Raised>,
}

#[derive(Serialize)]
struct Raised {
    column: String,
    severity: &'static str,
    drift: bool,
    since: String,
    sentence: String,
}

impl Watching {
    pub(super) fn json(&self) -> bool {
        self.json
    }

    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        let config = MonitorConfig::default()
            .with_false_alarms_per_year(self.false_alarms_per_year)
            .with_margin(self.margin)
            .with_window_rows(self.window_rows)
            .with_window_time(Duration::from_secs(self.window_time))
            .with_subject(self.folder.display().to_string());
        let monitor = Monitor::new(self.reference(console)?, config)?;
        let mut watch = Watch {
            flags: self,
            console,
            alarms: monitor.alarms(),
            monitor,
            folder: Folder::default(),
            log_rows: 0,
        };
        loop {
            let drifted = watch.look()?;
            let ended = self.once || (self.check && drifted);
            if ended {
                return Ok(if self.check && drifted { Answer::No } else { Answer::Yes });
            }
            sleep(Duration::from_secs(self.interval.max(1)));
        }
    }

    fn reference(&self, console: &Console) -> Result<Profile> {
        let name = || self.reference.display().to_string();
        match Side::open(&self.reference)? {
            Side::Profile(profile) => Ok(*profile),
            Side::Rows(rows) => {
                wanted(&rows, &[], console).and_then(|columns| rows.fit(&columns)).context(name)
            }
        }
    }
}

/// A monitor and what it has been given.
struct Watch<'a> {
    flags: &'a Watching,
    console: &'a Console,
    monitor: Monitor,
    alarms: AlarmStream,
    folder: Folder,
    /// Rows of the log that the monitor has.
    log_rows: u64,
}

impl Watch<'_> {
    /// Takes what is new; whether that drifted.
    fn look(&mut self) -> Result<bool> {
        let path = &self.flags.folder;
        if !path.is_dir() {
            return Err(Error::not_found(format!("{}: no such folder", path.display())));
        }
        // A folder may become a log's only later.
        if ["records", "outcomes"].iter().any(|part| path.join(part).is_dir()) {
            return self.look_at_log();
        }
        let mut drifted = false;
        for (file, at) in self.folder.new_files(path, self.flags.once)? {
            match self.take_file(&file, at) {
                Ok(new) => drifted |= new,
                Err(error) if self.flags.once => return Err(error),
                // One file that cannot be read does not end the watch.
                Err(error) => self.console.failed(&error),
            }
            if drifted && self.flags.check && !self.flags.once {
                break;
            }
        }
        Ok(drifted)
    }

    fn take_file(&mut self, file: &Path, at: Timestamp) -> Result<bool> {
        let shown = || file.display().to_string();
        let Side::Rows(rows) = Side::open(file)? else {
            return Err(Error::unsupported(format!("{}: a profile is no window", shown())));
        };
        let (before, mut count) = (self.monitor.status().windows, 0);
        rows.each(Some(&self.columns()), |batch| {
            count += batch.num_rows() as u64;
            self.monitor.update_at(batch, at)
        })
        .context(shown)?;
        self.say(&name_of(file), count, before)
    }

    fn look_at_log(&mut self) -> Result<bool> {
        let Side::Rows(Rows::Log(log)) = Side::open(&self.flags.folder)? else {
            return Err(Error::corrupt("a folder of records that is no log"));
        };
        let (before, already) = (self.monitor.status().windows, self.log_rows);
        let mut passed = 0;
        let taken = super::side::each_record(&log, |batch, at| {
            let rows = batch.num_rows() as u64;
            let known = already.saturating_sub(passed).min(rows);
            passed += rows;
            if known == rows {
                return Ok(());
            }
            let from = usize::try_from(known).unwrap_or(usize::MAX);
            self.monitor.update_at(&batch.slice(from, batch.num_rows() - from), at)
        });
        taken.context(|| self.flags.folder.display().to_string())?;
        self.log_rows = passed.max(already);
        self.monitor.look()?;
        let new = self.log_rows - already;
        if new == 0 && self.monitor.status().windows == before {
            return Ok(false);
        }
        self.say(&name_of(&self.flags.folder), new, before)
    }

    fn columns(&self) -> Vec<Arc<str>> {
        self.monitor.reference().spec().names().cloned().collect()
    }

    /// Says what came of it; whether there was an alarm about drift.
    fn say(&mut self, from: &str, rows: u64, windows_before: u64) -> Result<bool> {
        let windows = self.monitor.status().windows - windows_before;
        let mut alarms = Vec::new();
        while let Some(alarm) = self.alarms.try_next() {
            alarms.push(raised(&alarm));
        }
        let drifted = alarms.iter().any(|alarm| alarm.drift);
        let seen = Seen { from, rows, windows, alarms };
        if self.flags.json {
            self.console.say_json(&seen)?;
        } else {
            let (from, alarms) = (visible(from), seen.alarms.len());
            let line = format!("{from}: {rows} rows, {windows} windows ended, {alarms} alarms");
            self.console.say(line)?;
            for Raised { severity, sentence, .. } in &seen.alarms {
                self.console.say(format_args!("  {severity}: {}", visible(sentence)))?;
            }
        }
        if windows > 0 {
            self.keep()?;
        }
        Ok(drifted)
    }

    /// Writes the page and the gauges anew.
    fn keep(&self) -> Result<()> {
        if self.flags.html.is_none() && self.flags.prometheus.is_none() {
            return Ok(());
        }
        let title =
            format!("{} beside {}", name_of(&self.flags.folder), name_of(&self.flags.reference));
        let report = Report::new(self.monitor.drift()?)
            .with_title(title)
            .with_time(SystemClock.now())
            .with_reference(self.monitor.reference());
        if let Some(path) = &self.flags.html {
            table::write(path, report.to_html().as_bytes())?;
        }
        if let Some(path) = &self.flags.prometheus {
            table::write(path, report.to_prometheus(&[])?.as_bytes())?;
        }
        Ok(())
    }
}

fn raised(alarm: &Alarm) -> Raised {
    Raised {
        column: alarm.column().to_string(),
        severity: alarm.severity().as_str(),
        drift: alarm.cause() == Cause::Drift,
        since: alarm.since().to_string(),
        sentence: alarm.to_string(),
    }
}

/// Which files of a folder were taken, and which may still be growing.
#[derive(Default)]
struct Folder {
    taken: BTreeMap<PathBuf, State>,
    growing: BTreeMap<PathBuf, State>,
}

/// By which a file is seen to have changed: its time and its length.
type State = (SystemTime, u64);

impl Folder {
    /// Files that have not been taken, in the order of their times and names. One that may still be
    /// written, as it changed since the last look, waits for the next, unless there is none.
    fn new_files(&mut self, folder: &Path, last: bool) -> Result<Vec<(PathBuf, Timestamp)>> {
        let mut found = BTreeMap::new();
        let failed = |source| Error::io(folder.display(), source);
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (path, about) = (entry.path(), entry.metadata());
            let ending = path.extension().and_then(|ending| ending.to_str());
            // A file may have gone since it was listed.
            let Ok(about) = about else { continue };
            if about.is_file() && matches!(ending, Some("parquet" | "csv")) {
                found.insert(path, (about.modified().map_err(failed)?, about.len()));
            }
        }
        let is_new = |path: &PathBuf, state: &State| {
            !self.taken.contains_key(path) && (last || self.growing.get(path) == Some(state))
        };
        let mut new: Vec<(PathBuf, State)> = found
            .iter()
            .filter(|(path, state)| is_new(path, state))
            .map(|(path, state)| (path.clone(), *state))
            .collect();
        new.sort_by(|a, b| a.1.0.cmp(&b.1.0).then_with(|| a.0.cmp(&b.0)));
        // What is gone from the folder is forgotten, so that memory does not grow with time.
        self.taken.retain(|path, _| found.contains_key(path));
        self.taken.extend(new.iter().cloned());
        self.growing = found;
        Ok(new.into_iter().map(|(path, (time, _))| (path, timestamp(time))).collect())
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

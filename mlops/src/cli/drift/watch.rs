//! `mlops drift watch`: what comes into a folder beside a reference, with few false alarms a year.

use super::{
    ending::Ending,
    folder::{Folder, timestamp},
    log::Followed,
    profile::wanted,
    report::name_of,
    side::{Rows, Side, last_time},
    times::Times,
};
use crate::{
    Clock, Error, ErrorKind, Result, ResultExt, SystemClock, Timestamp,
    arrow::array::RecordBatch,
    cli::{Answer, Console, console::visible, table},
    inference_log::LogReader,
};
use clap::Args;
use mlops_drift::{
    Monitor, MonitorConfig, Profile, Report,
    monitor::{Alarm, AlarmCause, AlarmStream, Strata},
};
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

/// Follow a folder of .parquet and .csv files, or an inference log, and say when what comes drifts;
/// ctrl-c and SIGTERM end it with what it has seen said
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mlops drift watch train.profile log --prometheus drift.prom\n  \
                        mlops drift watch train.parquet days/ --once --check\n  \
                        mlops drift watch train.parquet days/ --time asked_at --season hour-of-day"
)]
pub(in crate::cli) struct Watching {
    /// What is compared against: .parquet, .csv, an MLmodel folder with a profile, or a profile
    reference: PathBuf,
    /// Where rows come in: a folder of .parquet and .csv files, looked at in the order of their
    /// times, and again, whole, when they change; or the folder of an inference log
    folder: PathBuf,
    /// How many alarms a year to expect while nothing changes
    #[arg(long, value_name = "COUNT", default_value_t = MonitorConfig::default().false_alarms_per_year)]
    false_alarms_per_year: f64,
    /// The largest total variation distance that is negligible
    #[arg(long, default_value_t = MonitorConfig::default().margin)]
    margin: f64,
    /// The largest negligible share of missing rows, or of values not listed, where the reference has
    /// none such
    #[arg(long, value_name = "SHARE", default_value_t = MonitorConfig::default().novel_margin)]
    novel_margin: f64,
    #[command(flatten)]
    times: Times,
    /// Rows after which a window ends
    #[arg(long, value_name = "ROWS", default_value_t = MonitorConfig::default().window_rows)]
    window_rows: u64,
    /// Seconds after which a window ends that has a hundred rows; where rows have times of their own
    /// it is an hour at least
    #[arg(long, value_name = "SECONDS", default_value_t = MonitorConfig::default().window_time.as_secs())]
    window_time: u64,
    /// Seconds between two looks at the folder
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    interval: u64,
    /// Looks at what is there, and ends
    #[arg(long)]
    once: bool,
    /// Ends with 1 at the first alarm, and with 65 if it ends before any window has
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
        let clock = Arc::new(Following::from(self.first_time()?));
        if !is_log(&self.folder) {
            self.times.check_files()?;
        }
        let (reference, strata) = self.reference(console)?;
        self.times.check_reference(&reference)?;
        let mut config = MonitorConfig::default()
            .with_clock(Arc::<Following>::clone(&clock))
            .with_false_alarms_per_year(self.false_alarms_per_year)
            .with_margin(self.margin)
            .with_novel_margin(self.novel_margin)
            .with_window_rows(self.window_rows)
            .with_window_time(Duration::from_secs(self.window_time))
            .with_subject(self.folder.display().to_string());
        config.strata = strata;
        let monitor = Monitor::new(reference, config)?;
        // Until here it ends at once when it is told to, and there is nothing to say.
        let ending = Ending::listen()?;
        let mut watch = Watch {
            flags: self,
            console,
            alarms: monitor.alarms(),
            monitor,
            clock,
            ending,
            folder: Folder::default(),
            log: Followed::default(),
        };
        loop {
            let drifted = watch.look()?;
            let ended = self.once || (self.check && drifted);
            if ended || watch.ending.wait(Duration::from_secs(self.interval.max(1))) {
                return self.answer(&watch, drifted);
            }
        }
    }

    /// A check that has looked at no window has not passed, and neither has one that was told to end.
    fn answer(&self, watch: &Watch<'_>, drifted: bool) -> Result<Answer> {
        if (self.once || self.check) && !drifted && watch.ending.is_told() {
            let early = "told to end before all was looked at";
            return Err(Error::new(ErrorKind::Cancelled, early));
        }
        let status = watch.monitor.status();
        if self.check && status.windows == 0 {
            let rows = status.rows_in_progress;
            return Err(Error::invalid(format!(
                "--check has nothing to go by: no window has ended, {rows} rows are there"
            )));
        }
        Ok(if self.check && drifted { Answer::No } else { Answer::Yes })
    }

    /// When the first of the rows that are there came; now, if there are none.
    fn first_time(&self) -> Result<Timestamp> {
        let first = if is_log(&self.folder) {
            let mut segments = LogReader::open(&self.folder)?.segments()?;
            segments.find_map(|segment| last_time(segment.ok()?.batches.first()?).ok()?)
        } else {
            // What is wrong with the folder is said when it is looked at.
            let found = Folder::found(&self.folder).unwrap_or_default();
            found.into_values().map(|(time, _)| timestamp(time)).min()
        };
        Ok(first.unwrap_or_else(|| SystemClock.now()))
    }

    fn reference(&self, console: &Console) -> Result<(Profile, Option<Strata>)> {
        let name = || self.reference.display().to_string();
        match Side::open(&self.reference)? {
            Side::Profile(profile) => {
                self.times.need_rows().context(name).map(|()| (*profile, None))
            }
            Side::Rows(rows) => self.fit(&rows, console).context(name),
        }
    }

    fn fit(&self, rows: &Rows, console: &Console) -> Result<(Profile, Option<Strata>)> {
        let mut columns = wanted(rows, &[], console)?;
        columns.retain(|column| !self.times.are(column));
        let profile = rows.fit(&columns)?;
        let strata = self.times.strata(rows, &profile)?;
        Ok((profile, strata))
    }
}

/// A folder may become a log's only later.
fn is_log(folder: &Path) -> bool {
    ["records", "outcomes"].iter().any(|part| folder.join(part).is_dir())
}

/// The monitor's clock: it starts with the first of the rows, whose own times go on from there, and
/// shows the time of day once they have been caught up with.
#[derive(Debug)]
struct Following(AtomicI64);

impl From<Timestamp> for Following {
    fn from(time: Timestamp) -> Self {
        Self(AtomicI64::new(time.unix_micros()))
    }
}

impl Following {
    fn catch_up(&self) {
        self.0.store(SystemClock.now().unix_micros(), Ordering::Relaxed);
    }
}

impl Clock for Following {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.0.load(Ordering::Relaxed))
    }

    fn instant(&self) -> Instant {
        SystemClock.instant()
    }
}

/// A monitor and what it has been given.
struct Watch<'a> {
    flags: &'a Watching,
    console: &'a Console,
    monitor: Monitor,
    alarms: AlarmStream,
    clock: Arc<Following>,
    ending: Ending,
    folder: Folder,
    log: Followed,
}

impl Watch<'_> {
    /// Takes what is new; whether that drifted.
    fn look(&mut self) -> Result<bool> {
        let path = &self.flags.folder;
        if !path.is_dir() {
            return Err(Error::not_found(format!("{}: no such folder", path.display())));
        }
        if is_log(path) {
            return match self.look_at_log() {
                Err(error) if !self.flags.once => {
                    self.console.failed(&error);
                    Ok(false)
                }
                looked => looked,
            };
        }
        let mut drifted = false;
        for (file, at) in self.folder.new_files(path, self.flags.once)? {
            if self.ending.is_told() {
                return Ok(drifted);
            }
            match self.take_file(&file, at) {
                Ok(new) => drifted |= new,
                Err(error) if self.flags.once => return Err(error),
                // One file that cannot be read does not end the watch.
                Err(error) => self.console.failed(&error),
            }
            if drifted && self.flags.check && !self.flags.once {
                return Ok(true);
            }
        }
        // Rows with times of their own are older than the file that brings them: theirs is the time.
        if !self.flags.once && self.folder.is_taken() && !self.flags.times.are_known() {
            drifted |= self.let_time_pass(&name_of(path), 0, self.monitor.status().windows)?;
        }
        Ok(drifted)
    }

    /// Ends a window whose time has come; says so, or that there were rows.
    fn let_time_pass(&mut self, from: &str, rows: u64, windows_before: u64) -> Result<bool> {
        self.clock.catch_up();
        self.monitor.look()?;
        if rows == 0 && self.monitor.status().windows == windows_before {
            return Ok(false);
        }
        self.say(from, rows, windows_before)
    }

    fn take_file(&mut self, file: &Path, at: Timestamp) -> Result<bool> {
        let shown = || file.display().to_string();
        let Side::Rows(rows) = Side::open(file)? else {
            return Err(Error::unsupported(format!("{}: a profile is no window", shown())));
        };
        let before = self.monitor.status().windows;
        let (taken, count) = self.take_rows(&rows, at);
        // What is left of a long file is for the next watch, which begins with the first file.
        let taken = if self.ending.is_told() { Ok(()) } else { taken };
        // What was counted before it broke has its alarms too.
        let said = self.say(&name_of(file), count, before);
        taken.context(shown).and(said)
    }

    /// How many rows were taken, and what ended it.
    fn take_rows(&self, rows: &Rows, at: Timestamp) -> (Result<()>, u64) {
        let (columns, mut count) = (self.columns(), 0);
        let mut unless_told = |batch: &RecordBatch, taken: &dyn Fn() -> Result<()>| {
            if self.ending.is_told() {
                return Err(Error::new(ErrorKind::Cancelled, "told to end"));
            }
            taken()?;
            count += batch.num_rows() as u64;
            Ok(())
        };
        let times = &self.flags.times;
        let taken = if times.are_known() {
            times.check(rows).and_then(|()| {
                times.each(rows, &columns, |batch, times| {
                    unless_told(batch, &|| self.monitor.update_each(batch, times))
                })
            })
        } else {
            rows.each(Some(&columns), |batch| {
                unless_told(batch, &|| self.monitor.update_at(batch, at))
            })
        };
        (taken, count)
    }

    fn look_at_log(&mut self) -> Result<bool> {
        let Side::Rows(Rows::Log(log)) = Side::open(&self.flags.folder)? else {
            return Err(Error::corrupt("a folder of records that is no log"));
        };
        let before = self.monitor.status().windows;
        let mut new = 0;
        let taken = self.log.take(
            &log,
            || self.ending.is_told(),
            |rows, times| {
                self.monitor.update_each(rows, times)?;
                new += rows.num_rows() as u64;
                Ok(())
            },
        );
        let name = name_of(&self.flags.folder);
        // Told to end in the middle of a log, or not through with it, it is not yet today there.
        let said = if self.ending.is_told() || taken.is_err() {
            self.say(&name, new, before)
        } else {
            self.let_time_pass(&name, new, before)
        };
        taken.context(|| self.flags.folder.display().to_string()).and(said)
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
        let report =
            Report::of_monitor(&self.monitor)?.with_title(title).with_time(SystemClock.now());
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
        drift: alarm.cause() == AlarmCause::Drift,
        since: alarm.since().to_string(),
        sentence: alarm.to_string(),
    }
}

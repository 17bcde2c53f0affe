//! The report as gauges in Prometheus' text format, version 0.0.4.

use super::Report;
use mlops_core::{
    Error, Result,
    drift::{Drift, Evidence, Verdict},
};
use std::{collections::HashSet, fmt::Write};

/// Labels that the report gives itself.
const OWN: [&str; 5] = ["column", "effect", "verdict", "version", "metric"];

pub(super) fn page(report: &Report, labels: &[(&str, &str)]) -> Result<String> {
    check(labels)?;
    let mut page = Page { labels, text: String::new() };
    let (whole, columns) = (&report.drift, distinct(report));
    page.one(
        "mlops_drift_verdict",
        "The window's verdict: -1 too few rows, 0 stable, 1 warning, 2 drifted",
        Some(code(whole.verdict)),
    );
    page.one("mlops_drift_rows", "Rows in the window", Some(real(whole.rows)));
    let of = |verdict| columns.iter().filter(|column| column.verdict == verdict).count() as u64;
    let verdicts = [Verdict::TooFewRows, Verdict::Stable, Verdict::Warning, Verdict::Drifted];
    page.family("mlops_drift_columns", "Columns by their verdict", |page| {
        for verdict in verdicts {
            page.sample(&[("verdict", verdict.as_str())], real(of(verdict)));
        }
    });
    margins(&mut page, report);
    #[expect(clippy::cast_precision_loss, reason = "under 2^53 until the year 287,000")]
    let time = report.time.map(|time| time.unix_micros() as f64 / 1e6);
    page.one("mlops_drift_time_seconds", "When the window was looked at, since 1970", time);
    of_columns(&mut page, &columns);
    performance(&mut page, report);
    Ok(page.text)
}

/// What an effect is counted in: a gauge has one unit, which its name ends with.
#[derive(Clone, Copy, PartialEq)]
enum Unit {
    /// A share of rows, or a difference of shares.
    Ratio,
    /// Standard deviations of a normal law.
    Deviations,
    /// That of a host's own effect.
    Unknown,
}

impl Unit {
    fn of(effect: &str) -> Self {
        match effect {
            "total_variation" | "missing_share" | "other_share" | "below_share" | "above_share"
            | "novel" => Self::Ratio,
            "shift_sd" => Self::Deviations,
            _ => Self::Unknown,
        }
    }
}

/// The gauges of an effect and of the ends of its interval, by unit.
const EFFECTS: [(Unit, [&str; 3]); 3] = [
    (
        Unit::Ratio,
        [
            "mlops_drift_column_effect_ratio",
            "mlops_drift_column_effect_low_ratio",
            "mlops_drift_column_effect_high_ratio",
        ],
    ),
    (
        Unit::Deviations,
        [
            "mlops_drift_column_effect_deviations",
            "mlops_drift_column_effect_low_deviations",
            "mlops_drift_column_effect_high_deviations",
        ],
    ),
    (
        Unit::Unknown,
        [
            "mlops_drift_column_effect",
            "mlops_drift_column_effect_low",
            "mlops_drift_column_effect_high",
        ],
    ),
];

/// With the labels of an effect, but for the column's, so that alerts can compare them.
fn margins(page: &mut Page<'_>, report: &Report) {
    let families = [
        (Unit::Ratio, "mlops_drift_margin_ratio", "The largest share of rows that is negligible"),
        (
            Unit::Deviations,
            "mlops_drift_margin_deviations",
            "The shift by which a negligible share of a normal law lies elsewhere",
        ),
    ];
    let margins: Vec<&(&str, f64)> = report.margins.iter().collect();
    for (unit, name, help) in families {
        page.of(name, help, &margins, |(effect, margin)| {
            (Unit::of(effect) == unit).then(|| (vec![("effect", *effect)], *margin))
        });
    }
}

fn effects(page: &mut Page<'_>, columns: &[&Drift]) {
    type Value = fn(&Drift) -> Option<f64>;
    let values: [(&str, Value); 3] = [
        ("How much of a column moved", |c| Some(c.effect.value)),
        ("The least that the true effect is likely to be", |c| {
            c.effect.interval.map(|interval| interval.low)
        }),
        ("The most that the true effect is likely to be", |c| {
            c.effect.interval.map(|interval| interval.high)
        }),
    ];
    for (unit, names) in EFFECTS {
        for (name, (help, value)) in names.into_iter().zip(values) {
            page.of(name, help, columns, |column| {
                let labels = vec![("column", &*column.name), ("effect", &*column.effect.name)];
                let value = value(column).filter(|_| Unit::of(&column.effect.name) == unit);
                value.map(|value| (labels, value))
            });
        }
    }
}

fn of_columns(page: &mut Page<'_>, columns: &[&Drift]) {
    type Value = fn(&Drift) -> Option<f64>;
    page.of("mlops_drift_column_verdict", "A column's verdict, as mlops_drift_verdict", columns, {
        |column| Some((vec![("column", &*column.name)], code(column.verdict)))
    });
    effects(page, columns);
    let evidence: [(&str, &str, Value); 3] = [
        ("mlops_drift_column_p", "Probability of so much without drift", |c| match c.evidence {
            Evidence::P { p, .. } => Some(p),
            _ => None,
        }),
        ("mlops_drift_column_p_adjusted", "The same, corrected for the number of columns", |c| {
            match c.evidence {
                Evidence::P { adjusted, .. } => Some(adjusted),
                _ => None,
            }
        }),
        ("mlops_drift_column_e", "Evidence against no drift, 1 on average", |c| match c.evidence {
            Evidence::E { e } => Some(e),
            _ => None,
        }),
    ];
    for (name, help, value) in evidence {
        page.of(name, help, columns, |column| {
            value(column).map(|value| (vec![("column", &*column.name)], value))
        });
    }
}

fn performance(page: &mut Page<'_>, report: &Report) {
    type Value = fn(&super::Performance) -> Option<f64>;
    let mut seen = HashSet::new();
    let rows = report.performance.iter().filter(|row| seen.insert((&row.version, &row.metric)));
    let rows: Vec<&super::Performance> = rows.collect();
    let families: [(&str, &str, Value); 4] = [
        ("mlops_drift_performance", "A version's performance on rows with outcomes", |row| {
            Some(row.value)
        }),
        ("mlops_drift_performance_low", "The least that it is likely to be", |row| {
            row.interval.map(|interval| interval.low)
        }),
        ("mlops_drift_performance_high", "The most that it is likely to be", |row| {
            row.interval.map(|interval| interval.high)
        }),
        ("mlops_drift_performance_rows", "Rows whose outcome is known", |row| Some(real(row.rows))),
    ];
    for (name, help, value) in families {
        page.of(name, help, &rows, |row| {
            let labels = vec![("version", &*row.version), ("metric", &*row.metric)];
            value(row).map(|value| (labels, value))
        });
    }
}

/// Samples in families, each declared once and only if it has any.
struct Page<'a> {
    labels: &'a [(&'a str, &'a str)],
    text: String,
}

impl Page<'_> {
    fn one(&mut self, name: &str, help: &str, value: Option<f64>) {
        let Some(value) = value else { return };
        self.family(name, help, |page| page.sample(&[], value));
    }

    /// A sample of each thing that has a value.
    fn of<'t, T>(
        &mut self,
        name: &str,
        help: &str,
        things: &[&'t T],
        sample: impl Fn(&'t T) -> Option<(Vec<(&'t str, &'t str)>, f64)>,
    ) {
        let samples: Vec<_> = things.iter().filter_map(|thing| sample(thing)).collect();
        if samples.is_empty() {
            return;
        }
        self.family(name, help, |page| {
            for (labels, value) in &samples {
                page.sample(labels, *value);
            }
        });
    }

    fn family(&mut self, name: &str, help: &str, samples: impl FnOnce(&mut Samples<'_>)) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge");
        samples(&mut Samples { name, labels: self.labels, text: &mut self.text });
    }
}

struct Samples<'a> {
    name: &'a str,
    labels: &'a [(&'a str, &'a str)],
    text: &'a mut String,
}

impl Samples<'_> {
    fn sample(&mut self, own: &[(&str, &str)], value: f64) {
        self.text.push_str(self.name);
        let mut before = '{';
        for (name, value) in self.labels.iter().chain(own) {
            let _ = write!(self.text, "{before}{name}=\"{}\"", escaped(value));
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
        let _ = match value {
            f64::INFINITY => writeln!(self.text, " +Inf"),
            f64::NEG_INFINITY => writeln!(self.text, " -Inf"),
            nan if nan.is_nan() => writeln!(self.text, " NaN"),
            number => writeln!(self.text, " {number}"),
        };
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn code(verdict: Verdict) -> f64 {
    match verdict {
        Verdict::Stable => 0.0,
        Verdict::Warning => 1.0,
        Verdict::Drifted => 2.0,
        _ => -1.0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn real(count: u64) -> f64 {
    count as f64
}

/// The columns, of those with one name the first.
fn distinct(report: &Report) -> Vec<&Drift> {
    let mut seen = HashSet::new();
    report.columns().iter().filter(|column| seen.insert(&column.name)).collect()
}

fn check(labels: &[(&str, &str)]) -> Result<()> {
    for (at, (name, _)) in labels.iter().enumerate() {
        let mut characters = name.chars();
        let sound =
            characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
                && characters.all(|other| other.is_ascii_alphanumeric() || other == '_')
                && !name.starts_with("__");
        let taken = OWN.contains(name) || labels[..at].iter().any(|(earlier, _)| earlier == name);
        if !sound || taken {
            let what = if sound { "taken already" } else { "no name of a label" };
            return Err(Error::invalid(format!("label {name:?} is {what}")));
        }
    }
    Ok(())
}

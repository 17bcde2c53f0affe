//! A sentence for each column, and what it rests on.

use super::{Attribution, Cause, Measure, ShareChange, attribution};
use crate::{
    profile::Profile,
    report::{number, percent, short},
};
use mlops_core::{
    Error, Result,
    drift::{Drift, Verdict},
};
use std::sync::Arc;

/// Why a column's finding is what it is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The column.
    pub column: Arc<str>,
    /// Its finding's verdict.
    pub verdict: Verdict,
    /// Its finding's effect: the estimate, and the ends of its interval.
    pub effect: (f64, f64, f64),
    /// What happened.
    pub cause: Cause,
    /// The difference in every measure that applies, total variation first.
    pub attributions: Vec<Attribution>,
}

/// Explains each column of a [`ProfileDetector`](crate::ProfileDetector)'s finding, in its order;
/// columns that are not in both profiles, or have too few rows, are left out.
///
/// Profiles with different cells are `InvalidInput`.
pub fn explain(drift: &Drift, reference: &Profile, window: &Profile) -> Result<Vec<Explanation>> {
    reference.same_cells(window)?;
    let known = |part: &&Drift| part.verdict != Verdict::TooFewRows;
    let mut explained = Vec::with_capacity(drift.parts.len());
    for part in drift.parts.iter().filter(known) {
        let columns = reference.column(&part.name).zip(window.column(&part.name));
        let Some((before, now)) = columns else { continue };
        let mut attributions = Vec::with_capacity(Measure::ALL.len());
        for measure in Measure::ALL {
            attributions.extend(attribution(&before, &now, measure)?);
        }
        let cause = match attributions.first() {
            Some(moved) if part.verdict >= Verdict::Warning => Cause::of(moved, &before, &now)?,
            Some(_) => Cause::Unmoved,
            None => return Err(Error::internal("a finding about a column without rows")),
        };
        let value = part.effect.value;
        let interval = part.effect.interval.map_or((value, value), |i| (i.low, i.high));
        explained.push(Explanation {
            column: Arc::clone(&part.name),
            verdict: part.verdict,
            effect: (value, interval.0, interval.1),
            cause,
            attributions,
        });
    }
    Ok(explained)
}

/// Of a label in a sentence, at most so many characters.
const LABEL: usize = 60;

impl Explanation {
    /// What happened, by how much, and what to do about it, in one or two sentences. Names stand in
    /// double quotes, their control characters shown.
    pub fn sentence(&self) -> String {
        self.sentence_with(&|name| format!("{:?}", short(name, LABEL)))
    }

    /// The sentence with names written by the caller, who escapes them; nothing else in it needs
    /// escaping in HTML or Markdown.
    pub(crate) fn sentence_with(&self, quote: &dyn Fn(&str) -> String) -> String {
        let (value, low, high) = self.effect;
        let column = quote(&self.column);
        let low = percent(low);
        match self.verdict {
            Verdict::Drifted => {
                let what = self.what(quote);
                format!("{column}: {what} (At least {low} of rows lie elsewhere.)")
            }
            Verdict::Warning => {
                let (what, value) = (self.what(quote), percent(value));
                if self.is_new() {
                    return format!("{column}: {what}");
                }
                format!("{column}: perhaps, on {value} of rows: {what}")
            }
            _ => format!("{column} did not move: at most {} of rows lie elsewhere.", percent(high)),
        }
    }

    /// Whether the reference has no row of it: then it is sure, if small.
    fn is_new(&self) -> bool {
        let (Cause::Missing { before, .. } | Cause::NotListed { before, .. }) = self.cause else {
            return false;
        };
        before == 0.0
    }

    fn what(&self, quote: &dyn Fn(&str) -> String) -> String {
        let went = |before: &f64, now: &f64| {
            let way = if now >= before { "rose" } else { "fell" };
            format!("{way} from {} to {} of rows", percent(*before), percent(*now))
        };
        match &self.cause {
            Cause::Unmoved => "nothing moved beyond the margin.".to_owned(),
            Cause::Missing { before, now } => {
                let act = if now >= before {
                    "find what no longer fills it in."
                } else {
                    "something fills it in now; check with what."
                };
                format!("missing values {}; {act}", went(before, now))
            }
            Cause::NotListed { before, now } => format!(
                "values that the reference has not, or hardly, {}; see which they are, for the \
                 model never learned them.",
                went(before, now)
            ),
            Cause::OutOfRange { cell, before, now } => format!(
                "values {}, outside of the reference, {}; the model extrapolates there: check \
                 source and unit.",
                quote(cell),
                went(before, now)
            ),
            Cause::Scaled { factor } => format!(
                "all values look multiplied by {}; check whether its unit changed.",
                plain(*factor)
            ),
            Cause::Shifted { before, now, superiority } => {
                let way = if *superiority >= 0.5 { "larger" } else { "smaller" };
                format!(
                    "values tend to be {way}, median {} after {}; if the population changed, \
                     retrain with recent rows, else look for a change at the source.",
                    plain(*now),
                    plain(*before)
                )
            }
            Cause::Spread { factor } => {
                let way = if *factor >= 1.0 { "wider" } else { "narrower" };
                format!(
                    "the middle half of the values is {way}, {} times what it was, about the same \
                     median; check rounding, defaults and noise at the source.",
                    plain(*factor)
                )
            }
            Cause::Shares { gained, lost } => shares(gained.as_ref(), lost.as_ref(), quote),
        }
    }
}

/// Which cell gained most, and which lost.
fn shares(
    gained: Option<&ShareChange>,
    lost: Option<&ShareChange>,
    quote: &dyn Fn(&str) -> String,
) -> String {
    let side = |what: &str, change: &ShareChange| {
        let (before, now) = (percent(change.before), percent(change.now));
        format!("{} {what} from {before} to {now}", quote(&change.cell))
    };
    let sides = [gained.map(|gain| side("rose", gain)), lost.map(|loss| side("fell", loss))];
    let sides: Vec<String> = sides.into_iter().flatten().collect();
    format!("{}; if the population changed, retrain with recent rows.", sides.join(", "))
}

/// A number of the column as people write it: four digits.
fn plain(value: f64) -> String {
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
        return if value.fract() == 0.0 { value.to_string() } else { rounded.to_string() };
    }
    number(value)
}

//! How well each version does, as outcomes come in: late, in any order, some twice, some of
//! nobody's.

mod answer;
mod change;
mod config;
mod held;
mod room;
mod tally;

pub use answer::Answer;
pub use change::{AccuracyRule, accuracy_change};
pub use config::LateAccuracyConfig;
pub use tally::{JoinCounts, VersionAccuracy};

use held::{Held, latest};

use mlops_core::{
    Error, Result,
    inference_log::{Outcome, OutcomeValue},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tally::Tally;

/// Joins answers to outcomes while both come in, and counts what was right.
///
/// An outcome belongs to the row of the prediction that it names. One that names a business key
/// belongs to every answer for that key and row given up to the time at which it was known, unless
/// the answer has an outcome of its own.
///
/// **Order.** Whatever the order in which answers and outcomes come, and however often each, the
/// accuracy is the same: of several outcomes for one row the one known last counts, of those known
/// at the same time the greater one, a label above any number.
///
/// **Memory.** At most [`max_answers`](LateAccuracyConfig::max_answers) answers and twice
/// [`max_outcomes`](LateAccuracyConfig::max_outcomes) outcomes are held. Beyond, the oldest answers
/// are settled: counted with the outcome that is known by then, and forgotten. What comes for them
/// later is counted as unknown, and an answer that comes again once it was forgotten counts again;
/// within the bounds neither happens. A log on the disk has no such bound: to count a past year,
/// read it from there.
///
/// ```
/// use mlops_core::{PredictionId, Timestamp, inference_log::{Outcome, OutcomeValue}};
/// use mlops_drift::performance::{Answer, LateAccuracy, LateAccuracyConfig};
///
/// # fn main() -> mlops_core::Result<()> {
/// let mut accuracy = LateAccuracy::new(LateAccuracyConfig::new("employed"));
/// let (id, time) = (PredictionId::from_u128(7), Timestamp::from_unix_millis(0));
/// let yes = OutcomeValue::Number(1.0);
/// accuracy.outcome(&Outcome::new(id, time, "employed", yes.clone()))?;
/// accuracy.answer(&Answer::new(id, time, "employment/3", yes))?;
/// let versions = accuracy.versions()?;
/// assert_eq!((versions[0].known, versions[0].right), (1, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LateAccuracy {
    config: LateAccuracyConfig,
    answers: Held<Row, Answer>,
    of_row: Held<Row, OutcomeValue>,
    of_key: Held<KeyRow, OutcomeValue>,
    settled: BTreeMap<Arc<str>, Tally>,
    counts: JoinCounts,
}

/// A prediction and the row in it.
type Row = (u128, u32);
/// A business key and the row.
type KeyRow = (Arc<str>, u32);

impl LateAccuracy {
    /// Nothing has come in yet.
    pub fn new(config: LateAccuracyConfig) -> Self {
        Self {
            config,
            answers: Held::default(),
            of_row: Held::default(),
            of_key: Held::default(),
            settled: BTreeMap::new(),
            counts: JoinCounts::default(),
        }
    }

    /// Takes an answer; one that is already held is counted as repeated and changes nothing.
    ///
    /// A text longer than `max_text` and one version more than `max_versions` are `TooLarge` and
    /// change nothing.
    pub fn answer(&mut self, answer: &Answer) -> Result<()> {
        self.check_text("version", Some(&answer.version))?;
        self.check_text("key", answer.key.as_ref())?;
        self.check_text("answer", label(&answer.value))?;
        if !self.settled.contains_key(&answer.version) {
            if self.settled.len() >= self.config.max_versions {
                let most = self.config.max_versions;
                return Err(Error::too_large(format!("answers of more than {most} versions")));
            }
            self.settled.insert(Arc::clone(&answer.version), Tally::default());
        }
        let row = (answer.prediction.as_u128(), answer.row);
        if self.answers.get(&row).is_some() {
            self.counts.repeated_answers += 1;
            return Ok(());
        }
        self.answers.insert(row, answer.time, answer.clone());
        self.settle_answers();
        Ok(())
    }

    /// Takes an outcome; one of another name is counted and ignored.
    ///
    /// An outcome that names neither prediction nor key is `InvalidInput`, a text longer than
    /// `max_text` is `TooLarge`; both change nothing.
    pub fn outcome(&mut self, outcome: &Outcome) -> Result<()> {
        if outcome.name != self.config.outcome {
            self.counts.other_names += 1;
            return Ok(());
        }
        self.check_text("key", outcome.key.as_ref())?;
        self.check_text("label", label(&outcome.value))?;
        let (row, time, value) = (outcome.row, outcome.time, outcome.value.clone());
        let is_new = match (outcome.prediction, &outcome.key) {
            (Some(id), _) => latest(&mut self.of_row, (id.as_u128(), row), time, value),
            (None, Some(key)) => latest(&mut self.of_key, (Arc::clone(key), row), time, value),
            (None, None) => {
                return Err(Error::invalid("outcome: names neither \"prediction\" nor \"key\""));
            }
        };
        self.counts.outcomes += 1;
        self.counts.repeated += u64::from(!is_new);
        self.settle_outcomes();
        self.settle_keys();
        Ok(())
    }

    /// How each version did so far, in the order of their names.
    pub fn versions(&self) -> Result<Vec<VersionAccuracy>> {
        let mut tallies = self.settled.clone();
        for (_, answer) in self.answers.iter() {
            let outcome = self.known(answer).map(|known| known.value);
            tallies.entry(Arc::clone(&answer.version)).or_default().add(answer, outcome);
        }
        let level = self.config.level;
        tallies.into_iter().map(|(version, tally)| tally.of(version, level)).collect()
    }

    /// What became of what came in so far.
    pub fn counts(&self) -> JoinCounts {
        let mut unknown_keys: BTreeSet<&KeyRow> = self.of_key.keys().collect();
        let mut unknown_rows = self.of_row.len();
        for (_, answer) in self.answers.iter() {
            if let Some(key) = &answer.key {
                unknown_keys.remove(&(Arc::clone(key), answer.row));
            }
        }
        for row in self.of_row.keys() {
            unknown_rows -= usize::from(self.answers.get(row).is_some());
        }
        let unknown = (unknown_rows + unknown_keys.len()) as u64;
        JoinCounts { unknown: self.counts.unknown + unknown, ..self.counts }
    }

    fn check_text(&self, what: &str, text: Option<&Arc<str>>) -> Result<()> {
        let most = self.config.max_text;
        match text {
            Some(text) if text.len() > most => {
                let length = text.len();
                Err(Error::too_large(format!("a {what} of {length} bytes; at most {most}")))
            }
            _ => Ok(()),
        }
    }

    /// The outcome of an answer.
    fn known(&self, answer: &Answer) -> Option<Known<'_>> {
        if let Some((_, value)) = self.of_row.get(&(answer.prediction.as_u128(), answer.row)) {
            return Some(Known { value, by_key: None });
        }
        let by_key = (Arc::clone(answer.key.as_ref()?), answer.row);
        let (time, value) = self.of_key.get(&by_key)?;
        (*time >= answer.time).then_some(Known { value, by_key: Some(by_key) })
    }
}

/// An outcome and, if it was found by a key, which.
struct Known<'a> {
    value: &'a OutcomeValue,
    by_key: Option<KeyRow>,
}

fn label(value: &OutcomeValue) -> Option<&Arc<str>> {
    match value {
        OutcomeValue::Label(label) => Some(label),
        _ => None,
    }
}

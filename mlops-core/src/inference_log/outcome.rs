//! What came of a prediction, once somebody knows.

use crate::{Error, PredictionId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The label or result that came later for one row of a prediction.
///
/// ```
/// use mlops_core::inference_log::Outcome;
///
/// let text = r#"{"prediction": "0190163d8694739b8f3cd1a1a1a1a1a1", "row": 0,
///     "time": "2018-03-01T00:00:00Z", "name": "employed", "value": 1.0}"#;
/// let outcome = Outcome::from_json(text)?;
/// assert_eq!(outcome.row, 0);
/// # Ok::<(), mlops_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// The prediction, if the sender knows it.
    pub prediction: Option<PredictionId>,
    /// The caller's business key, if not.
    pub key: Option<Arc<str>>,
    /// The row within the request, from 0.
    pub row: u32,
    /// When it was known.
    pub time: Timestamp,
    /// What it is about: an output's name, or the label's.
    pub name: Arc<str>,
    /// What it is.
    pub value: OutcomeValue,
}

/// A number or a label.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum OutcomeValue {
    /// A number; a class is 0, 1 …
    Number(f64),
    /// A label.
    Label(Arc<str>),
}

/// The JSON of an outcome: flat, so that every language writes it easily.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prediction: Option<PredictionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Arc<str>>,
    #[serde(default)]
    row: u32,
    time: String,
    name: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<Arc<str>>,
}

impl Outcome {
    /// An outcome of a prediction's first row.
    pub fn new(
        prediction: PredictionId,
        time: Timestamp,
        name: impl Into<Arc<str>>,
        value: OutcomeValue,
    ) -> Self {
        let (prediction, name) = (Some(prediction), name.into());
        Self { prediction, key: None, row: 0, time, name, value }
    }

    /// An outcome of the predictions made for a business key.
    pub fn of_key(
        key: impl Into<Arc<str>>,
        time: Timestamp,
        name: impl Into<Arc<str>>,
        value: OutcomeValue,
    ) -> Self {
        let (key, name) = (Some(key.into()), name.into());
        Self { prediction: None, key, row: 0, time, name, value }
    }

    /// Says which row of the request it is about.
    #[must_use]
    pub fn with_row(mut self, row: u32) -> Self {
        self.row = row;
        self
    }

    /// Reads JSON.
    ///
    /// # Behavior
    /// - `InvalidInput` if it names neither prediction nor key, or not exactly one of value and label
    pub fn from_json(text: &str) -> Result<Self> {
        let wire: Wire = serde_json::from_str(text)
            .map_err(|cause| Error::invalid(format!("outcome: {cause}")).with_source(cause))?;
        if wire.prediction.is_none() && wire.key.is_none() {
            return Err(Error::invalid("outcome: names neither \"prediction\" nor \"key\""));
        }
        let value = match (wire.value, wire.label) {
            (Some(number), None) => OutcomeValue::Number(number),
            (None, Some(label)) => OutcomeValue::Label(label),
            _ => return Err(Error::invalid("outcome: give one of \"value\" and \"label\"")),
        };
        let time = wire.time.parse().map_err(|error: Error| error.context("outcome"))?;
        let Wire { prediction, key, row, name, .. } = wire;
        Ok(Self { prediction, key, row, time, name, value })
    }

    /// Writes JSON.
    pub fn to_json(&self) -> String {
        let (value, label) = match &self.value {
            OutcomeValue::Number(number) => (Some(*number), None),
            OutcomeValue::Label(label) => (None, Some(Arc::clone(label))),
        };
        let wire = Wire {
            prediction: self.prediction,
            key: self.key.clone(),
            row: self.row,
            time: self.time.to_string(),
            name: Arc::clone(&self.name),
            value,
            label,
        };
        serde_json::to_string(&wire).expect("text and numbers are valid JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_survives_and_mistakes_are_named() {
        let time = Timestamp::from_unix_millis(1_500_000_000_000);
        let label = OutcomeValue::Label("employed".into());
        let outcome = Outcome::of_key("customer 7", time, "status", label).with_row(3);
        assert_eq!(Outcome::from_json(&outcome.to_json()).unwrap(), outcome);

        let error = |text: &str| Outcome::from_json(text).unwrap_err().to_string();
        let both = r#"{"key":"k","time":"2018-01-01T00:00:00Z","name":"n","value":1,"label":"a"}"#;
        assert_eq!(error(both), "outcome: give one of \"value\" and \"label\"");
        let none = r#"{"time":"2018-01-01T00:00:00Z","name":"n","value":1}"#;
        assert_eq!(error(none), "outcome: names neither \"prediction\" nor \"key\"");
        let when = r#"{"key":"k","time":"soon","name":"n","value":1}"#;
        assert_eq!(error(when), "outcome: not an RFC 3339 time: \"soon\"");
    }
}

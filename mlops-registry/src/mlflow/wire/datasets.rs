//! Data that a run read, on its way over the wire.

use super::{Pair, messages, reserved};
use mlops_core::{Digest, tracker::DatasetInput as Input};
use serde_json::{Value, json};
use std::sync::Arc;

/// The tag of an input that says what the data was used for.
const CONTEXT: &str = "mlflow.data.context";
/// The longest digest that MLflow takes, in characters.
const LONGEST: usize = 36;
/// How much of a digest that is longer is shown in its place.
const SHORT: usize = 32;

messages! {
    /// Data with what it was used for.
    DatasetInput {
        tags: Vec<Pair>,
        dataset: Dataset,
    }

    /// Data.
    Dataset {
        name: String,
        digest: String,
        source_type: String,
        source: String,
        schema: Option<String>,
        profile: Option<String>,
    }
}

/// A digest as MLflow has room for it: the first 32 digits of one of ours, any other as far as it goes.
pub(crate) fn short(digest: &str) -> String {
    match digest.parse::<Digest>() {
        Ok(own) => own.to_hex().chars().take(SHORT).collect(),
        Err(_) => digest.chars().take(LONGEST).collect(),
    }
}

/// An input as it travels. What MLflow has no room for is a tag: the whole digest, the number of rows.
pub(crate) fn to_wire(input: &Input) -> DatasetInput {
    let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
    let digest = short(&input.digest);
    let mut tags = vec![Pair::new(CONTEXT, &*input.context)];
    tags.extend(input.tags.iter().map(|(key, value)| Pair::new(key, value)));
    if *digest != *input.digest {
        tags.push(Pair::new(reserved::DIGEST, &*input.digest));
    }
    tags.extend(input.rows.map(|rows| Pair::new(reserved::ROWS, rows.to_string())));
    DatasetInput {
        tags,
        dataset: Dataset {
            name: input.name.to_string(),
            digest,
            source_type: text(&input.source_type).unwrap_or_default(),
            source: text(&input.source).unwrap_or_default(),
            schema: text(&input.schema),
            // For people, if nobody said anything else.
            profile: text(&input.profile).or_else(|| input.rows.map(profile_of)),
        },
    }
}

fn profile_of(rows: u64) -> String {
    json!({ "num_rows": rows }).to_string()
}

/// An input as it was logged.
pub(crate) fn from_wire(wire: &DatasetInput) -> Input {
    let data = &wire.dataset;
    let optional = |text: &str| Some(text).filter(|text| !text.is_empty()).map(Arc::from);
    let mut input = Input::new(data.name.as_str(), data.digest.as_str(), "");
    input.source = optional(&data.source);
    input.source_type = optional(&data.source_type);
    input.schema = data.schema.as_deref().and_then(optional);
    input.profile = data.profile.as_deref().and_then(optional);
    for Pair { key, value } in &wire.tags {
        match key.as_str() {
            CONTEXT => input.context = value.as_str().into(),
            reserved::DIGEST => input.digest = value.as_str().into(),
            reserved::ROWS => input.rows = value.parse().ok(),
            _ => drop(input.tags.insert(key.clone(), value.clone())),
        }
    }
    match input.rows {
        Some(rows) if input.profile.as_deref() == Some(&profile_of(rows)) => input.profile = None,
        Some(_) => {}
        None => input.rows = input.profile.as_deref().and_then(rows),
    }
    input
}

/// How many rows a profile of MLflow's own clients speaks of.
fn rows(profile: &str) -> Option<u64> {
    serde_json::from_str::<Value>(profile).ok()?.get("num_rows")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_input_comes_back_as_it_went(
            name in ".{1,20}", content: u64, own: bool, context in "[a-z]{0,8}", rows: Option<u64>,
            source in proptest::option::of(".{1,20}"),
        ) {
            let digest = Digest::of(content.to_le_bytes()).to_string();
            let digest = if own { digest } else { content.to_string() };
            let mut input = Input::new(name.as_str(), digest, context.as_str());
            (input.rows, input.source) = (rows, source.map(Arc::from));
            let wire = to_wire(&input);
            prop_assert!(wire.dataset.digest.len() <= LONGEST);
            prop_assert_eq!(from_wire(&wire), input);
        }
    }

    #[test]
    fn a_profile_says_how_many_rows() {
        let mut wire = DatasetInput::default();
        wire.dataset.profile = Some(r#"{"num_rows": 9, "num_elements": 18}"#.to_owned());
        let input = from_wire(&wire);
        assert_eq!(input.rows, Some(9));
        assert!(input.profile.is_some());
    }
}

//! Data that a run read, on its way over the wire.

use super::{Pair, messages, reserved};
use mlops_core::{Digest, Error, Result, tracker::DatasetInput as Input};
use serde_json::{Value, json};
use std::sync::Arc;

/// The tag of an input that says what the data was used for.
const CONTEXT: &str = "mlflow.data.context";
/// How a dataset says that `source` is a URI in an object of JSON.
const SOURCE_TYPE: &str = "mlops";
/// The longest digest that MLflow takes is 36 characters.
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

/// The digest of data as MLflow has room for it.
pub(crate) fn short(digest: &Digest) -> String {
    let mut hex = digest.to_hex();
    hex.truncate(SHORT);
    hex
}

/// An input as it travels: MLflow's digest holds the first 32 digits, the tag `mlops.digest` all of it.
pub(crate) fn to_wire(input: &Input) -> DatasetInput {
    let source = input.source.as_ref().map_or_else(|| json!({}), |uri| json!({ "uri": &**uri }));
    DatasetInput {
        tags: vec![
            Pair::new(CONTEXT, &*input.context),
            Pair::new(reserved::DIGEST, input.digest.to_string()),
        ],
        dataset: Dataset {
            name: input.name.to_string(),
            digest: short(&input.digest),
            source_type: SOURCE_TYPE.to_owned(),
            source: source.to_string(),
            schema: None,
            profile: input.rows.map(|rows| json!({ "num_rows": rows }).to_string()),
        },
    }
}

/// An input as it was logged. The digest of another program, which is no SHA-256, stands as the digest
/// of its text: the same data has the same one.
pub(crate) fn from_wire(wire: &DatasetInput) -> Result<Input> {
    let tag = |key| wire.tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.as_str());
    let data = &wire.dataset;
    let digest = match tag(reserved::DIGEST) {
        Some(text) => text.parse::<Digest>().map_err(|cause| {
            Error::corrupt(format!("the digest of dataset {:?} is none", data.name)).with_source(cause)
        })?,
        None => Digest::of(&data.digest),
    };
    let mut input = Input::new(data.name.as_str(), digest, tag(CONTEXT).unwrap_or_default());
    input.rows = rows(data);
    input.source = source(data);
    Ok(input)
}

fn rows(data: &Dataset) -> Option<u64> {
    let profile: Value = serde_json::from_str(data.profile.as_deref()?).ok()?;
    profile.get("num_rows")?.as_u64()
}

fn source(data: &Dataset) -> Option<Arc<str>> {
    // Other kinds of source are told apart by their fields; each of these is where the data lies.
    match serde_json::from_str::<Value>(&data.source) {
        Ok(Value::Object(fields)) => {
            let place = ["uri", "url", "path"].into_iter().find_map(|key| fields.get(key)?.as_str());
            place.map(Arc::from)
        }
        _ => Some(data.source.as_str()).filter(|source| !source.is_empty()).map(Arc::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_input_comes_back_as_it_went(
            name in ".{1,20}", content: u64, context in "[a-z]{0,8}", rows: Option<u64>,
            source in proptest::option::of(".{0,20}"),
        ) {
            let mut input = Input::new(name.as_str(), Digest::of(content.to_le_bytes()), context.as_str());
            (input.rows, input.source) = (rows, source.map(Arc::from));
            prop_assert_eq!(from_wire(&to_wire(&input)).unwrap(), input);
        }
    }
}

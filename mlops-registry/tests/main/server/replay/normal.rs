//! An answer without what differs from run to run, as `mlflow_wire.py` makes it.

use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fmt::Write as _};

/// Lists whose order means nothing.
const SORTED: [&str; 7] = [
    "tags",
    "params",
    "aliases",
    "dataset_inputs",
    "model_inputs",
    "model_outputs",
    "dataset_summaries",
];
/// Longer texts are only counted.
const LONG: usize = 200;
/// Milliseconds: what is later was not sent by a case.
const NOW: i64 = 1_600_000_000_000;

/// A place where an answer is not what was recorded.
pub(super) struct Difference {
    /// `answer.run.info.user_id`, say.
    pub(super) place: String,
    /// What was recorded there; the text `nothing` if nothing was.
    pub(super) wanted: Value,
    pub(super) given: Value,
}

/// Every place where two normalised answers differ.
pub(super) fn differences(wanted: &Value, given: &Value) -> Vec<Difference> {
    let mut out = Vec::new();
    compare(wanted, given, "answer", &mut out);
    out
}

fn compare(wanted: &Value, given: &Value, at: &str, out: &mut Vec<Difference>) {
    match (wanted, given) {
        (Value::Object(left), Value::Object(right)) => {
            let nothing = json!("nothing");
            for (key, wanted) in left {
                let given = right.get(key).unwrap_or(&nothing);
                compare_in(key, wanted, given, &format!("{at}.{key}"), out);
            }
            for (key, given) in right.iter().filter(|(key, _)| !left.contains_key(*key)) {
                compare(&nothing, given, &format!("{at}.{key}"), out);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (wanted, given)) in left.iter().zip(right).enumerate() {
                compare(wanted, given, &format!("{at}.{index}"), out);
            }
        }
        (Value::Number(left), Value::Number(right)) if left.as_f64() == right.as_f64() => {}
        _ if wanted == given => {}
        _ => {
            let (wanted, given) = (wanted.clone(), given.clone());
            out.push(Difference { place: at.to_owned(), wanted, given });
        }
    }
}

/// Lists without an order are put into one, on both sides the same.
fn compare_in(key: &str, wanted: &Value, given: &Value, at: &str, out: &mut Vec<Difference>) {
    match (wanted, given) {
        (Value::Array(left), Value::Array(right))
            if SORTED.contains(&key) || at.ends_with("data.metrics") =>
        {
            let sorted = |items: &[Value]| {
                let mut items = items.to_vec();
                items.sort_by_cached_key(json);
                Value::from(items)
            };
            compare(&sorted(left), &sorted(right), at, out);
        }
        _ => compare(wanted, given, at, out),
    }
}

/// JSON as Python writes it, with the names of fields sorted.
pub(super) fn json(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
            let field =
                |(key, value): (&String, &Value)| format!("{}: {}", quoted(key), json(value));
            format!("{{{}}}", sorted.into_iter().map(field).collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(", "))
        }
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    let mut ascii = String::new();
    for unit in json!(text).to_string().encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => ascii.push(byte.into()),
            _ => drop(write!(ascii, "\\u{unit:04x}")),
        }
    }
    ascii
}

type Variables = [(String, Value)];

pub(super) fn normalised(value: &Value, variables: &Variables, key: &str) -> Value {
    match value {
        Value::Object(fields) => object(fields, variables),
        Value::Array(items) => items.iter().map(|item| normalised(item, variables, key)).collect(),
        Value::String(own) => text(own, variables, key).into(),
        Value::Number(number) if number.as_i64().is_some_and(|number| number > NOW) => {
            let time = ["time", "created", "updated"].iter().any(|word| key.contains(word));
            if time { "${time}".into() } else { value.clone() }
        }
        other => other.clone(),
    }
}

fn object(fields: &Map<String, Value>, variables: &Variables) -> Value {
    if fields.len() == 1 && fields.contains_key("detail") {
        return json!({ "detail": true });
    }
    let error = fields.contains_key("error_code") && fields.contains_key("message");
    let mut shown = Map::new();
    for (name, value) in fields.iter().filter(|(name, _)| !error || *name != "message") {
        shown.insert(name.clone(), normalised(value, variables, name));
    }
    if error && let Some((word, name)) = complaint(fields["message"].as_str().unwrap_or_default()) {
        shown.insert(word.to_owned(), name.into());
    }
    Value::Object(shown)
}

/// Which parameter an error is about, if its words are those that clients look for.
fn complaint(message: &str) -> Option<(&'static str, &str)> {
    let missing = message.strip_prefix("Missing value for required parameter '");
    if let Some((name, _)) = missing.and_then(|rest| rest.split_once('\'')) {
        return Some(("missing", name));
    }
    let invalid = message.strip_prefix("Invalid value ")?;
    let (_, rest) = invalid.rsplit_once(" for parameter '")?;
    let (name, after) = rest.split_once('\'')?;
    after.starts_with(" supplied").then_some(("invalid", name))
}

fn text(own: &str, variables: &Variables, key: &str) -> String {
    if key == "next_page_token" && !own.is_empty() {
        return "${token}".to_owned();
    }
    let mut shown = own.to_owned();
    for (name, known) in variables {
        let Some(known) = known.as_str().filter(|known| !known.is_empty()) else { continue };
        let mark = format!("${{{name}}}");
        if known.len() >= 8 {
            shown = shown.replace(known, &mark);
        } else if key.contains("experiment_id") && shown == known {
            return mark;
        } else {
            let place = format!("mlflow-artifacts:/{known}");
            if let Some(before) = shown.strip_suffix(&place) {
                shown = format!("{before}mlflow-artifacts:/{mark}");
            }
            shown = shown.replace(&format!("{place}/"), &format!("mlflow-artifacts:/{mark}/"));
        }
    }
    let digits = !shown.is_empty() && shown.bytes().all(|byte| byte.is_ascii_digit());
    if key.contains("experiment_id") && digits && shown != "0" {
        return "${id}".to_owned();
    }
    let shown = without_ids(&shown);
    match shown.chars().count() {
        length if length > LONG => format!("${{chars:{length}}}"),
        _ => shown,
    }
}

/// Words of 32 hexadecimal digits, but for those that cases send.
fn without_ids(text: &str) -> String {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut shown, mut rest) = (String::new(), text);
    while let Some(start) = rest.find(word) {
        let (before, after) = rest.split_at(start);
        let end = after.find(|c| !word(c)).unwrap_or(after.len());
        let (own, after) = after.split_at(end);
        let hex = own.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let id = own.len() == 32 && hex && !own.starts_with("0000000000000000");
        shown = shown + before + if id { "${id}" } else { own };
        rest = after;
    }
    shown + rest
}

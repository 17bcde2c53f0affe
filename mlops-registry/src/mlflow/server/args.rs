//! The arguments of a call, from a JSON body or a query, checked as they are taken.
//!
//! Reads what Protobuf's JSON form allows: numbers may be texts, and null stands for absent. Arguments
//! that nobody takes are ignored, as MLflow does.

use mlops_core::{Error, Result};
use serde_json::{Map, Value};
use std::fmt::Display;

/// The arguments of a call, and whether they came as a query, in which nothing shows what is a list.
#[derive(Clone, Debug, Default)]
pub(super) struct Args(Map<String, Value>, bool);

impl Args {
    /// A JSON object; an empty body has no arguments.
    pub(super) fn from_json(body: &[u8]) -> Result<Self> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields, false)),
            // Old clients send JSON inside of a JSON text.
            Ok(Value::String(inner)) => match serde_json::from_str(&inner) {
                Ok(Value::Object(fields)) => Ok(Self(fields, false)),
                _ => Err(Error::invalid("the body is no JSON object")),
            },
            Ok(_) => Err(Error::invalid("the body is no JSON object")),
            Err(cause) => Err(Error::invalid(format!("the body is no JSON: {cause}"))),
        }
    }

    /// The fields of a query. One that comes several times is a list; whether one that comes once is
    /// shows when it is taken.
    pub(super) fn from_query(query: &str) -> Self {
        let mut fields = Map::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = Value::String(value.into_owned());
            match fields.get_mut(name.as_ref()) {
                None => drop(fields.insert(name.into_owned(), value)),
                Some(Value::Array(values)) => values.push(value),
                Some(first) => *first = Value::Array(vec![first.take(), value]),
            }
        }
        Self(fields, true)
    }

    /// Another object, such as one inside of this one.
    pub(super) fn of(value: Value, name: &str) -> Result<Self> {
        match value {
            Value::Object(fields) => Ok(Self(fields, false)),
            other => Err(invalid(&other, name, "an object is expected")),
        }
    }

    /// The value itself, whatever it is; null is absent.
    pub(super) fn any(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text; an empty one is one.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>> {
        match self.any(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(invalid(other, name, "a text is expected")),
        }
    }

    /// A text that must be there and not be empty.
    pub(super) fn required_text(&self, name: &str) -> Result<&str> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| missing(name))
    }

    /// A whole number.
    pub(super) fn int(&self, name: &str) -> Result<Option<i64>> {
        self.any(name).map(|value| whole(value, name)).transpose()
    }

    /// A number; texts such as `NaN` and `Infinity` are numbers here.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>> {
        let number = |value: &Value| match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let expected =
            |value| number(value).ok_or_else(|| invalid(value, name, "a number is expected"));
        self.any(name).map(expected).transpose()
    }

    /// Yes or no.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>> {
        let flag = |value: &Value| match value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        };
        let expected =
            |value| flag(value).ok_or_else(|| invalid(value, name, "true or false is expected"));
        self.any(name).map(expected).transpose()
    }

    /// A list; absent is empty. Of a query, one value is a list of one.
    pub(super) fn list(&self, name: &str) -> Result<Vec<&Value>> {
        match self.any(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => Ok(values.iter().collect()),
            Some(one @ Value::String(_)) if self.1 => Ok(vec![one]),
            Some(other) => Err(invalid(other, name, "a list is expected")),
        }
    }

    /// A list of texts.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<&str>> {
        let text = |value: &'_ Value| value.as_str().is_some();
        let values = self.list(name)?;
        match values.iter().find(|value| !text(value)) {
            Some(other) => Err(invalid(other, name, "a list of texts is expected")),
            None => Ok(values.into_iter().filter_map(Value::as_str).collect()),
        }
    }

    /// A list of objects.
    pub(super) fn objects(&self, name: &str) -> Result<Vec<Self>> {
        self.list(name)?.into_iter().map(|value| Self::of(value.clone(), name)).collect()
    }

    /// A list of objects, taken out of the arguments: nothing is copied.
    pub(super) fn take_objects(&mut self, name: &str) -> Result<Vec<Self>> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(values)) => {
                values.into_iter().map(|value| Self::of(value, name)).collect()
            }
            Some(other) => Err(invalid(&other, name, "a list is expected")),
        }
    }

    /// A text, taken out of the arguments.
    pub(super) fn take_text(&mut self, name: &str) -> Result<Option<String>> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(invalid(&other, name, "a text is expected")),
        }
    }

    /// How many items a page has: between 1 and so many.
    pub(super) fn page_size(&self, most: usize) -> Result<Option<usize>> {
        let Some(count) = self.int("max_results")? else { return Ok(None) };
        let within = usize::try_from(count).ok().filter(|size| (1..=most).contains(size));
        let why = || format!("it must be between 1 and {most}");
        within.map(Some).ok_or_else(|| invalid(&count, "max_results", &why()))
    }

    /// An object inside of this one.
    pub(super) fn object(&self, name: &str) -> Result<Option<Self>> {
        self.any(name).map(|value| Self::of(value.clone(), name)).transpose()
    }

    /// The largest page that is asked for.
    pub(super) fn max_results(&self) -> Result<Option<usize>> {
        let Some(count) = self.int("max_results")? else { return Ok(None) };
        usize::try_from(count).map(Some).map_err(|_| {
            invalid(&count, "max_results", "a number that is not negative is expected")
        })
    }

    /// The page that is asked for; an empty token is the first.
    pub(super) fn page_token(&self) -> Result<Option<String>> {
        Ok(self.text("page_token")?.filter(|token| !token.is_empty()).map(str::to_owned))
    }
}

fn whole(value: &Value, name: &str) -> Result<i64> {
    let number = match value {
        Value::Number(number) => number.as_i64().or_else(|| exact(number.as_f64()?)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| invalid(value, name, "a whole number is expected"))
}

/// The whole number that a float is, if it is one.
#[expect(clippy::cast_possible_truncation, reason = "the number is whole and within the range")]
fn exact(number: f64) -> Option<i64> {
    let within = number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0;
    within.then_some(number as i64)
}

/// Says which argument is missing, in the words that clients look for.
pub(super) fn missing(name: &str) -> Error {
    Error::invalid(format!("Missing value for required parameter '{name}'."))
}

/// Says which argument is not what it should be, in the words that clients look for.
pub(super) fn invalid(value: &dyn Display, name: &str, why: &str) -> Error {
    let mut shown = value.to_string();
    if let Some((end, _)) = shown.char_indices().nth(100) {
        shown.truncate(end);
        shown.push('…');
    }
    Error::invalid(format!("Invalid value {shown} for parameter '{name}' supplied: {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_from_bodies_and_queries() {
        let args =
            Args::from_json(br#"{"a": "x", "n": "12", "m": 3.0, "f": "NaN", "z": null}"#).unwrap();
        assert_eq!(args.text("a").unwrap(), Some("x"));
        assert_eq!((args.int("n").unwrap(), args.int("m").unwrap()), (Some(12), Some(3)));
        assert!(args.number("f").unwrap().unwrap().is_nan());
        assert_eq!(args.text("z").unwrap(), None);
        assert!(args.text("n").is_ok() && args.text("m").is_err() && args.int("a").is_err());
        let args = Args::from_query("ids=1&ids=2&one=3&max_results=5");
        assert_eq!(args.texts("ids").unwrap(), ["1", "2"]);
        assert_eq!(args.texts("one").unwrap(), ["3"]);
        assert_eq!(args.max_results().unwrap(), Some(5));
    }
}

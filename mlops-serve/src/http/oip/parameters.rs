//! Named values beside tensors: those that we obey, and those that travel on to the model.

use super::{Limits, envelope};
use mlops_core::{
    Error, Result,
    predictor::{Parameter, Parameters},
};
use serde_json::value::RawValue;

/// Parameters whose text lists positions and may be as long as the data.
pub(crate) const LISTS: [&str; 2] = ["non_finite", "nulls"];

/// Reads an object of parameters; `what` names what they belong to.
pub(in super::super) fn parse(
    json: Option<&RawValue>,
    what: &str,
    limits: &Limits,
) -> Result<Parameters> {
    let Some(json) = json else { return Ok(Parameters::new()) };
    let mut parameters = Parameters::new();
    for (name, value) in envelope::members(json, what, limits.max_parameters)? {
        if name.len() > limits.max_name_bytes {
            let max = limits.max_name_bytes;
            return Err(Error::too_large(format!(
                "{what}: \"parameters\" has a name of over {max} bytes"
            )));
        }
        if let Some(value) = one(value, &format!("{what}: parameter {name:?}"), &name, limits)? {
            parameters.insert(name, value);
        }
    }
    Ok(parameters)
}

fn one(json: &RawValue, what: &str, name: &str, limits: &Limits) -> Result<Option<Parameter>> {
    let token = json.get();
    let value = match token.as_bytes().first() {
        Some(b'n') => return Ok(None),
        Some(b't') => Parameter::Bool(true),
        Some(b'f') => Parameter::Bool(false),
        Some(b'"') => {
            let max = if LISTS.contains(&name) { usize::MAX } else { limits.max_name_bytes };
            Parameter::Text(envelope::text(json, what, max)?)
        }
        Some(b'{' | b'[') => {
            return Err(Error::invalid(format!("{what} is no boolean, number or text")));
        }
        _ => number(token).ok_or_else(|| Error::invalid(format!("{what} is out of range")))?,
    };
    Ok(Some(value))
}

fn number(token: &str) -> Option<Parameter> {
    if token.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return token.parse().ok().map(Parameter::Int);
    }
    token.parse().ok().filter(|number: &f64| number.is_finite()).map(Parameter::Float)
}

/// Takes a parameter out that must be a boolean.
pub(super) fn take_bool(from: &mut Parameters, name: &str, what: &str) -> Result<Option<bool>> {
    match from.remove(name) {
        None => Ok(None),
        Some(Parameter::Bool(value)) => Ok(Some(value)),
        Some(_) => Err(Error::invalid(format!("{what}: parameter {name:?} is not a boolean"))),
    }
}

/// Takes a parameter out that must be a whole number, zero or more.
pub(super) fn take_count(from: &mut Parameters, name: &str, what: &str) -> Result<Option<u64>> {
    let wrong = || {
        Error::invalid(format!("{what}: parameter {name:?} is not zero or a positive whole number"))
    };
    match from.remove(name) {
        None => Ok(None),
        Some(Parameter::Int(value)) => u64::try_from(value).map(Some).map_err(|_| wrong()),
        Some(_) => Err(wrong()),
    }
}

/// Takes a parameter out that must be a text.
pub(crate) fn take_text(from: &mut Parameters, name: &str, what: &str) -> Result<Option<String>> {
    match from.remove(name) {
        None => Ok(None),
        Some(Parameter::Text(value)) => Ok(Some(value)),
        Some(_) => Err(Error::invalid(format!("{what}: parameter {name:?} is not a text"))),
    }
}

/// Refuses by name what we would otherwise silently not do.
pub(crate) fn refuse_unsupported(parameters: &Parameters, what: &str) -> Result<()> {
    const NOT_HERE: [&str; 2] = ["shared_memory_region", "classification"];
    match NOT_HERE.iter().find(|name| parameters.contains_key(**name)) {
        None => Ok(()),
        Some(name) => Err(Error::unsupported(format!("{what}: {name:?} is not supported here"))),
    }
}

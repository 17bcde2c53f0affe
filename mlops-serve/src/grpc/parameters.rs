//! Named values beside tensors, out of the entries of a map.

use super::{
    messages::{ParameterEntry, infer_parameter},
    request::bytes_of,
    wire::Value,
};
use crate::http::oip::{self, Limits};
use mlops_core::{
    Error, Result,
    predictor::{Parameter, Parameters},
};
use prost::Message as _;

/// Parameters as they are read.
pub(super) struct Entries<'w> {
    what: &'w str,
    count: usize,
    pub(super) read: Parameters,
}

impl<'w> Entries<'w> {
    /// Of the thing that `what` names.
    pub(super) fn new(what: &'w str) -> Self {
        Self { what, count: 0, read: Parameters::new() }
    }

    /// Reads one more entry of the map.
    pub(super) fn push(&mut self, value: &Value<'_>, limits: &Limits) -> Result<()> {
        let Self { what, count, read } = self;
        if *count == limits.max_parameters {
            return Err(Error::too_large(format!("{what} has more than {count} \"parameters\"")));
        }
        *count += 1;
        let bytes = bytes_of(value, &format!("{what}: \"parameters\""))?;
        let no_entry = |_| {
            Error::invalid(format!(
                "{what}: an entry of \"parameters\" is no name with a value of its kind"
            ))
        };
        let entry = ParameterEntry::decode(bytes.slice()).map_err(no_entry)?;
        let max = limits.max_name_bytes;
        if entry.key.len() > max {
            let message = format!("{what}: \"parameters\" has a name of over {max} bytes");
            return Err(Error::too_large(message));
        }
        let value = entry.value.and_then(|value| value.choice);
        if let Some(value) = value {
            let what = format!("{what}: parameter {:?}", entry.key);
            let value = parameter(value, &what, oip::LISTS.contains(&&*entry.key), max)?;
            read.insert(entry.key, value);
        }
        Ok(())
    }
}

fn parameter(
    value: infer_parameter::Choice,
    what: &str,
    is_list: bool,
    max: usize,
) -> Result<Parameter> {
    use infer_parameter::Choice;
    let out_of_range = || Error::invalid(format!("{what} is out of range"));
    Ok(match value {
        Choice::Bool(value) => Parameter::Bool(value),
        Choice::Int64(value) => Parameter::Int(value),
        Choice::Uint64(value) => Parameter::Int(i64::try_from(value).map_err(|_| out_of_range())?),
        Choice::Double(value) if value.is_finite() => Parameter::Float(value),
        Choice::Double(_) => return Err(out_of_range()),
        Choice::Text(value) if value.len() > max && !is_list => {
            return Err(Error::too_large(format!("{what} is longer than {max} bytes")));
        }
        Choice::Text(value) => Parameter::Text(value),
    })
}

//! A logged answer computed again: what `mlops why` ends with.
//!
//! An answer is repeated from what was logged of it and the package that gave it; nothing else goes in.

use crate::{
    Error, Result,
    arrow::array::Array,
    model::ModelPackage,
    tensor::{Tensor, Tensors},
};
use mlops_core::inference_log::Record;
use mlops_serve::{InferOptions, LoadOptions, Stop, engines::compiled_in, load_package};
use std::fmt::{self, Write as _};

/// What computing a row again has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replay {
    /// Every output that was logged is the same to the bit.
    Same,
    /// The request got no answer, so there is none to repeat.
    NotAnswered(String),
    /// The first part that is not what it was.
    Differs(String),
    /// The model cannot be had, or does not run.
    Impossible(String),
}

impl Replay {
    /// Computes the row with this model.
    pub fn of(record: &Record, package: &ModelPackage) -> Self {
        if let Some(kind) = &record.error {
            return Self::NotAnswered(kind.as_ref().to_owned());
        }
        // The parts in the order in which they make the answer: model, inputs, outputs.
        let digest = package.digest();
        if let Some(logged) = record.digest
            && logged != digest
        {
            return Self::Differs(format!("the model: {logged} answered, and this is {digest}"));
        }
        match differing_output(record, package) {
            Ok(None) if record.digest.is_none() => Self::Impossible(format!(
                "{digest} gives the same bits, and the log does not say which package answered"
            )),
            Ok(None) => Self::Same,
            Ok(Some(what)) => Self::Differs(what),
            Err(error) => Self::impossible(&error),
        }
    }

    /// There is no model to compute with.
    pub fn impossible(error: &Error) -> Self {
        Self::Impossible(error.to_string())
    }

    /// Whether nothing speaks against the answer that was given.
    pub fn is_same(&self) -> bool {
        matches!(self, Self::Same | Self::NotAnswered(_))
    }

    /// One word for a program.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::NotAnswered(_) => "not_answered",
            Self::Differs(_) => "differs",
            Self::Impossible(_) => "impossible",
        }
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.write_str("computed again: the same to the bit"),
            Self::NotAnswered(kind) => write!(f, "it was not answered: {kind}"),
            Self::Differs(what) => write!(f, "computed again: it differs in {what}"),
            Self::Impossible(why) => write!(f, "it cannot be computed again: {why}"),
        }
    }
}

/// The first output that is not what was logged, in words.
fn differing_output(record: &Record, package: &ModelPackage) -> Result<Option<String>> {
    let session = load_package(package, &compiled_in(), &LoadOptions::default())?;
    let inputs = record.inputs()?;
    let computed = session.run(&inputs, &InferOptions::new(&Stop::new()))?;
    let logged = record.outputs()?.unwrap_or_default();
    let mut compared = 0_usize;
    for spec in &record.signature.outputs {
        let name = spec.name.as_ref();
        if !was_asked_for(record, spec.features()) {
            continue;
        }
        let then = logged.require(name)?;
        let Some(now) = computed.get(name) else {
            return Ok(Some(format!("output {name:?}: the model gives none")));
        };
        if let Some(what) = difference(then, now) {
            return Ok(Some(format!("output {name:?}: {what}")));
        }
        compared += 1;
    }
    if compared == 0 {
        return Err(Error::unsupported("the log holds no output of this row to compare with"));
    }
    Ok(extra(&computed, record))
}

/// An output that was not asked for is null in the log.
fn was_asked_for(record: &Record, columns: &[std::sync::Arc<str>]) -> bool {
    let columns = columns.iter().filter_map(|name| record.output_row()?.column_by_name(name));
    columns.into_iter().any(|column| column.is_valid(0))
}

fn extra(computed: &Tensors, record: &Record) -> Option<String> {
    let unknown = |name: &str| record.signature.output(name).is_none();
    let mut names = computed.iter().map(|(name, _)| name);
    names.find(|name| unknown(name)).map(|name| format!("output {name:?}: the log knows none"))
}

/// What differs between two tensors, to the bit; the shape of a row may be written with a leading 1.
fn difference(then: &Tensor, now: &Tensor) -> Option<String> {
    if then.dtype() != now.dtype() {
        return Some(format!("type {} then, {} now", then.dtype(), now.dtype()));
    }
    if then.len() != now.len() {
        return Some(format!("{} elements then, {} now", then.len(), now.len()));
    }
    let at = (0..then.len()).find(|&at| element(then, at) != element(now, at))?;
    // Of text it is enough to say where: it may be as long as it likes.
    if then.dtype().size().is_none() {
        return Some(format!("element {at} is another text"));
    }
    let (then, now) = (hex(&element(then, at)), hex(&element(now, at)));
    Some(format!("element {at} had the bits {then} and has {now}"))
}

fn element(tensor: &Tensor, at: usize) -> Vec<u8> {
    if let (Some(bytes), Some(size)) = (tensor.as_bytes(), tensor.dtype().size()) {
        return bytes.chunks(size).nth(at).unwrap_or_default().to_vec();
    }
    let items = tensor.byte_strings();
    items.ok().and_then(|mut items| items.nth(at)).unwrap_or_default().to_vec()
}

/// The bits of a number as people write them: the highest first.
fn hex(little_endian: &[u8]) -> String {
    little_endian.iter().rev().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

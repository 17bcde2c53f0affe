//! The outer JSON of a request, or of an answer: which parts it has. Data stays raw text until its type
//! is known.

use super::Limits;
use mlops_core::{Error, Result};
use serde::{
    Deserialize,
    de::{
        DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
        value::MapAccessDeserializer,
    },
};
use serde_json::value::RawValue;
use std::{cell::RefCell, fmt, marker::PhantomData};

/// The parts, not yet read. Whatever nests in them was skipped without recursion.
#[derive(Debug, Default)]
pub(super) struct Envelope<'a> {
    /// Of an answer, and so the version.
    pub(super) model_name: Option<&'a RawValue>,
    pub(super) model_version: Option<&'a RawValue>,
    pub(super) id: Option<&'a RawValue>,
    pub(super) parameters: Option<&'a RawValue>,
    pub(super) inputs: Option<Vec<RawTensor<'a>>>,
    pub(super) outputs: Option<Vec<RawTensor<'a>>>,
}

/// An input, an output that is asked for (which has a name and parameters), or one that is given.
#[derive(Debug, Deserialize)]
pub(super) struct RawTensor<'a> {
    #[serde(borrow)]
    pub(super) name: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) shape: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) datatype: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) parameters: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// Splits the JSON of `what`, "the request" or "the answer", into its parts.
    pub(super) fn parse(json: &'a [u8], what: &'static str, limits: &Limits) -> Result<Self> {
        let state = State { limits, what, at: RefCell::new(what), refused: RefCell::new(None) };
        let mut reader = serde_json::Deserializer::from_slice(json);
        let parsed = state.deserialize(&mut reader).and_then(|envelope| {
            reader.end()?;
            Ok(envelope)
        });
        parsed.map_err(|cause| state.explain(&cause))
    }
}

/// What the visitors share: the bounds, where they are, and our own reason to stop.
struct State<'l> {
    limits: &'l Limits,
    what: &'static str,
    at: RefCell<&'static str>,
    refused: RefCell<Option<Error>>,
}

impl State<'_> {
    /// serde's messages quote values, and values never leave; its places are safe.
    fn explain(&self, cause: &serde_json::Error) -> Error {
        if let Some(refused) = self.refused.take() {
            return refused;
        }
        let place = format!("at line {} column {}", cause.line(), cause.column());
        Error::invalid(match cause.classify() {
            serde_json::error::Category::Data => {
                format!(
                    "{} does not have the form that the protocol says, {place}",
                    self.at.borrow()
                )
            }
            serde_json::error::Category::Eof => format!("{}'s JSON is cut off {place}", self.what),
            _ => format!("{} is not valid JSON {place}", self.what),
        })
    }

    fn refuse<E: serde::de::Error>(&self, reason: Error) -> E {
        *self.refused.borrow_mut() = Some(reason);
        E::custom("refused")
    }
}

impl<'de> DeserializeSeed<'de> for &State<'_> {
    type Value = Envelope<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &State<'_> {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(part) = map.next_key::<Part>()? {
            *self.at.borrow_mut() = part.name().unwrap_or(self.what);
            match part {
                Part::ModelName => self.once(&mut envelope.model_name, map.next_value()?, part)?,
                Part::ModelVersion => {
                    self.once(&mut envelope.model_version, map.next_value()?, part)?;
                }
                Part::Id => self.once(&mut envelope.id, map.next_value()?, part)?,
                Part::Parameters => self.once(&mut envelope.parameters, map.next_value()?, part)?,
                Part::Inputs => {
                    let inputs = map.next_value_seed(Objects::of(self, part))?;
                    self.once(&mut envelope.inputs, Some(inputs), part)?;
                }
                Part::Outputs => {
                    let outputs = map.next_value_seed(Objects::of(self, part))?;
                    self.once(&mut envelope.outputs, Some(outputs), part)?;
                }
                Part::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        *self.at.borrow_mut() = self.what;
        Ok(envelope)
    }
}

impl State<'_> {
    fn once<T, E: serde::de::Error>(
        &self,
        slot: &mut Option<T>,
        value: Option<T>,
        part: Part,
    ) -> Result<(), E> {
        if slot.is_some() {
            let part = part.name().unwrap_or(self.what);
            return Err(self.refuse(Error::invalid(format!("{part} is given twice"))));
        }
        *slot = value;
        Ok(())
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Part {
    ModelName,
    ModelVersion,
    Id,
    Parameters,
    Inputs,
    Outputs,
    #[serde(other)]
    Other,
}

impl Part {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::ModelName => Some("\"model_name\""),
            Self::ModelVersion => Some("\"model_version\""),
            Self::Id => Some("\"id\""),
            Self::Parameters => Some("\"parameters\""),
            Self::Inputs => Some("\"inputs\""),
            Self::Outputs => Some("\"outputs\""),
            Self::Other => None,
        }
    }
}

/// An array of objects, no longer than the bound: the bound is kept while reading.
struct Objects<'s, 'l, T> {
    state: &'s State<'l>,
    part: Part,
    of: PhantomData<T>,
}

impl<'s, 'l, T> Objects<'s, 'l, T> {
    fn of(state: &'s State<'l>, part: Part) -> Self {
        Self { state, part, of: PhantomData }
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Objects<'_, '_, T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Objects<'_, '_, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut objects = Vec::new();
        while let Some(Object(object)) = seq.next_element()? {
            let max = self.state.limits.max_inputs;
            if objects.len() == max {
                let part = self.part.name().unwrap_or(self.state.what);
                let message = format!("{part} has more than {max} elements");
                return Err(self.state.refuse(Error::too_large(message)));
            }
            objects.push(object);
        }
        Ok(objects)
    }
}

/// An object and nothing else: what serde derives would take an array of the fields as well.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfMap<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OfMap<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(OfMap(PhantomData))
    }
}

/// An object's members in order, each value raw; a member given twice is refused.
pub(super) fn members<'a>(
    json: &'a RawValue,
    what: &str,
    max: usize,
) -> Result<Vec<(String, &'a RawValue)>> {
    struct Members(usize);
    impl<'de> Visitor<'de> for Members {
        type Value = Option<Vec<(String, &'de RawValue)>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members: Vec<(String, &RawValue)> = Vec::new();
            while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                if members.len() == self.0 {
                    return Ok(None);
                }
                if members.iter().any(|(earlier, _)| *earlier == key) {
                    return Err(A::Error::custom("twice"));
                }
                members.push((key, value));
            }
            Ok(Some(members))
        }
    }
    let mut reader = serde_json::Deserializer::from_str(json.get());
    match reader.deserialize_map(Members(max)) {
        Ok(Some(members)) => Ok(members),
        Ok(None) => {
            Err(Error::too_large(format!("{what}: \"parameters\" has more than {max} members")))
        }
        Err(_) => {
            Err(Error::invalid(format!("{what}: \"parameters\" is no object of distinct names")))
        }
    }
}

/// A JSON text of at most `max` bytes.
pub(super) fn text(json: &RawValue, what: &str, max: usize) -> Result<String> {
    let text: String = serde_json::from_str(json.get())
        .map_err(|_| Error::invalid(format!("{what} is not a text")))?;
    if text.len() > max {
        return Err(Error::too_large(format!("{what} is longer than {max} bytes")));
    }
    Ok(text)
}

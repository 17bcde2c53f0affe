//! The attributes of one node, taken out one by one, so that what nobody took is known.

use super::{
    constant::constant,
    graph::Label,
    proto::{AttributeProto, AttributeType},
};
use mlops_core::{Error, Result, tensor::Tensor};
use std::collections::BTreeMap;

/// The attributes of one node.
#[derive(Debug, Default)]
pub(crate) struct Attributes(BTreeMap<String, AttributeProto>);

impl Attributes {
    /// An attribute given twice is `InvalidInput`.
    pub(super) fn new(protos: Vec<AttributeProto>, label: &Label) -> Result<Self> {
        let mut attributes = BTreeMap::new();
        for proto in protos {
            let name = proto.name.clone();
            if attributes.insert(proto.name.clone(), proto).is_some() {
                return Err(Error::invalid(format!(
                    "attribute {name:?} of {label} is given twice"
                )));
            }
        }
        Ok(Self(attributes))
    }

    /// Whether it is there and not yet taken.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A whole number, if it is there.
    pub(crate) fn int(&mut self, label: &Label, name: &str) -> Result<Option<i64>> {
        Ok(self.take(label, name, AttributeType::Int)?.map(|proto| proto.i))
    }

    /// A number, if it is there.
    pub(crate) fn float(&mut self, label: &Label, name: &str) -> Result<Option<f32>> {
        Ok(self.take(label, name, AttributeType::Float)?.map(|proto| proto.f))
    }

    /// A text, if it is there.
    pub(crate) fn text(&mut self, label: &Label, name: &str) -> Result<Option<String>> {
        let proto = self.take(label, name, AttributeType::String)?;
        proto.map(|proto| utf8(proto.s, label, name)).transpose()
    }

    /// Whole numbers; none if the attribute is absent.
    pub(crate) fn ints(&mut self, label: &Label, name: &str) -> Result<Vec<i64>> {
        let proto = self.take(label, name, AttributeType::Ints)?;
        Ok(proto.map_or_else(Vec::new, |proto| proto.ints))
    }

    /// Numbers; none if the attribute is absent.
    pub(crate) fn floats(&mut self, label: &Label, name: &str) -> Result<Vec<f32>> {
        let proto = self.take(label, name, AttributeType::Floats)?;
        Ok(proto.map_or_else(Vec::new, |proto| proto.floats))
    }

    /// Texts; none if the attribute is absent.
    pub(crate) fn texts(&mut self, label: &Label, name: &str) -> Result<Vec<String>> {
        let proto = self.take(label, name, AttributeType::Strings)?;
        let texts = proto.map_or_else(Vec::new, |proto| proto.strings);
        texts.into_iter().map(|bytes| utf8(bytes, label, name)).collect()
    }

    /// A tensor, if it is there.
    pub(crate) fn tensor(&mut self, label: &Label, name: &str) -> Result<Option<Tensor>> {
        let proto = self.take(label, name, AttributeType::Tensor)?;
        let Some(tensor) = proto.and_then(|proto| proto.t) else { return Ok(None) };
        constant(tensor, &|| format!("attribute {name:?} of {label}")).map(Some)
    }

    /// Leaves an attribute that has no effect on an inference.
    pub(crate) fn ignore(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// `Unsupported` names the first attribute that nobody took.
    pub(crate) fn finish(&self, label: &Label) -> Result<()> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                let message = format!("attribute {name:?} of {label} is not supported");
                Err(Error::unsupported(message))
            }
        }
    }

    fn take(
        &mut self,
        label: &Label,
        name: &str,
        wanted: AttributeType,
    ) -> Result<Option<AttributeProto>> {
        let Some(proto) = self.0.remove(name) else { return Ok(None) };
        if proto.r#type() != wanted {
            let given = proto.r#type();
            let message = format!("attribute {name:?} of {label} is {given:?}, not {wanted:?}");
            return Err(Error::invalid(message));
        }
        Ok(Some(proto))
    }
}

fn utf8(bytes: Vec<u8>, label: &Label, name: &str) -> Result<String> {
    let bad = |_| Error::invalid(format!("attribute {name:?} of {label} is not UTF-8"));
    String::from_utf8(bytes).map_err(bad)
}

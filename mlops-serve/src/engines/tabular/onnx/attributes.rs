//! The attributes of one node, taken out one by one, so that what nobody took is known.

use super::{
    constant::constant,
    graph::{Graph, Label, Versions},
    proto::{AttributeProto, AttributeType},
};
use mlops_core::{Error, Result, tensor::Tensor};
use std::{collections::BTreeMap, sync::Arc};

/// The attributes of one node.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    protos: BTreeMap<String, AttributeProto>,
    /// What a graph among them is read by.
    versions: Arc<Versions>,
}

impl Attributes {
    /// An attribute given twice is `InvalidInput`.
    pub(super) fn new(
        given: Vec<AttributeProto>,
        label: &Label,
        versions: &Arc<Versions>,
    ) -> Result<Self> {
        let mut protos = BTreeMap::new();
        for proto in given {
            let name = proto.name.clone();
            if protos.insert(proto.name.clone(), proto).is_some() {
                return Err(Error::invalid(format!(
                    "attribute {name:?} of {label} is given twice"
                )));
            }
        }
        Ok(Self { protos, versions: Arc::clone(versions) })
    }

    /// Whether it is there and not yet taken.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.protos.contains_key(name)
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

    /// A graph, if it is there: the body of a loop.
    pub(crate) fn graph(&mut self, label: &Label, name: &str) -> Result<Option<Graph>> {
        let proto = self.take(label, name, AttributeType::Graph)?;
        let Some(graph) = proto.and_then(|proto| proto.g) else { return Ok(None) };
        let graph = Graph::check(*graph, &self.versions);
        graph.map(Some).map_err(|error| error.context(format!("attribute {name:?} of {label}")))
    }

    /// Leaves an attribute that has no effect on an inference.
    pub(crate) fn ignore(&mut self, name: &str) {
        self.protos.remove(name);
    }

    /// `Unsupported` names the first attribute that nobody took.
    pub(crate) fn finish(&self, label: &Label) -> Result<()> {
        match self.protos.keys().next() {
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
        let Some(proto) = self.protos.remove(name) else { return Ok(None) };
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

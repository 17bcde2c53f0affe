//! A checked graph: named values, each made once, nodes in an order in which they can run.

use super::{
    CLASSICAL, MAX_PORTS, STANDARD,
    attributes::Attributes,
    check_axes,
    constant::constant,
    element_type,
    proto::{GraphProto, ModelProto, NodeProto, TypeValue, ValueInfoProto},
};
use mlops_core::{
    Error, Result,
    tensor::{DType, Tensor},
};
use prost::Message;
use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

/// Versions of the standard operators whose meaning is known here. Before 7, broadcasting was
/// something else.
const STANDARD_VERSIONS: std::ops::RangeInclusive<i64> = 7..=25;
const CLASSICAL_VERSIONS: std::ops::RangeInclusive<i64> = 1..=5;

/// The version of each domain's operators.
pub(super) type Versions = HashMap<String, i64>;

/// What a file says, checked so far as it can be without knowing the operators.
#[derive(Debug)]
pub(crate) struct Graph {
    /// What a caller gives; initializers are not among them.
    pub(crate) inputs: Vec<Port>,
    /// What a caller gets.
    pub(crate) outputs: Vec<Port>,
    /// Stored tensors by name.
    pub(crate) constants: Vec<(String, Tensor)>,
    /// Each after what it needs.
    pub(crate) nodes: Vec<Node>,
}

/// An input or an output of the graph.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) name: Arc<str>,
    pub(crate) r#type: PortType,
}

/// The type that the file declares.
#[derive(Debug)]
pub(crate) enum PortType {
    /// A tensor; `None` for a shape says that even the number of axes is not known.
    Tensor(DType, Option<Vec<Option<usize>>>),
    /// A map from class to number for each row: what `ZipMap` makes.
    Maps,
    /// Nothing is said.
    Unknown,
}

/// One operator at work.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) label: Label,
    /// The version of the operator's domain that the file asks for.
    pub(crate) version: i64,
    pub(crate) attributes: Attributes,
    /// Names of values; empty for an optional one that is left out.
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
}

/// Names a node in messages.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub(crate) domain: Arc<str>,
    pub(crate) operator: Arc<str>,
    pub(crate) node: Arc<str>,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operator {}.{} (node {:?})", self.domain, self.operator, self.node)
    }
}

impl Graph {
    /// Reads and checks a file.
    ///
    /// # Behavior
    /// - bytes that are no ONNX model are `InvalidInput`
    /// - a value made twice, used but never made, or made from itself is `InvalidInput` and named
    /// - a version of operators that is not known is `Unsupported`, as are functions and sparse or
    ///   external tensors
    pub(crate) fn read(bytes: &[u8]) -> Result<Self> {
        let model = ModelProto::decode(bytes).map_err(|cause| {
            Error::invalid(format!("this is no ONNX model: {cause}")).with_source(cause)
        })?;
        let versions = Arc::new(versions(&model)?);
        if let Some(function) = model.functions.first() {
            let name = format!("{}.{}", function.domain, function.name);
            return Err(Error::unsupported(format!("model function {name} is not supported")));
        }
        let missing = || Error::invalid("this is no ONNX model: it has no graph");
        let graph = model.graph.ok_or_else(missing)?;
        Self::check(graph, &versions)
    }

    /// Checks a graph whose operators are of these versions.
    pub(super) fn check(graph: GraphProto, versions: &Arc<Versions>) -> Result<Self> {
        let sparse = graph.sparse_initializer.first().and_then(|sparse| sparse.values.as_ref());
        if let Some(values) = sparse {
            let message = format!("sparse initializer {:?} is not supported", values.name);
            return Err(Error::unsupported(message));
        }
        let mut constants = Vec::with_capacity(graph.initializer.len());
        for proto in graph.initializer {
            let name = proto.name.clone();
            let tensor = constant(proto, &|| format!("initializer {name:?}"))?;
            constants.push((name, tensor));
        }
        let stored: HashSet<&str> = constants.iter().map(|(name, _)| name.as_str()).collect();
        let asked = |info: &&ValueInfoProto| !stored.contains(info.name.as_str());
        let inputs = graph.input.iter().filter(asked).map(|info| port(info, "input"));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        for (side, count) in [("inputs", inputs.len()), ("outputs", graph.output.len())] {
            if count > MAX_PORTS {
                return Err(Error::unsupported(format!(
                    "a graph of {count} {side}; more than {MAX_PORTS} are not supported"
                )));
            }
        }
        let outputs = graph.output.iter().map(|info| port(info, "output"));
        let outputs = outputs.collect::<Result<Vec<_>>>()?;
        if outputs.is_empty() {
            return Err(Error::invalid("the graph has no output"));
        }
        let nodes = graph.node.into_iter().map(|proto| node(proto, versions));
        let nodes = nodes.collect::<Result<Vec<_>>>()?;
        let given = inputs.iter().map(|port| port.name.as_ref());
        let given = given.chain(constants.iter().map(|(name, _)| name.as_str()));
        let nodes = in_order(nodes, given, &outputs)?;
        Ok(Self { inputs, outputs, constants, nodes })
    }
}

/// The version that the file asks for of each domain.
fn versions(model: &ModelProto) -> Result<Versions> {
    let mut versions = HashMap::new();
    for set in &model.opset_import {
        let domain = domain_name(&set.domain);
        let known = match domain {
            STANDARD => STANDARD_VERSIONS,
            CLASSICAL => CLASSICAL_VERSIONS,
            // Its operators are unknown; the first node that uses one will say so.
            _ => 0..=i64::MAX,
        };
        if !known.contains(&set.version) {
            let (first, last, given) = (known.start(), known.end(), set.version);
            return Err(Error::unsupported(format!(
                "version {given} of the operators of {domain} is not supported, only {first} to {last}"
            )));
        }
        versions.insert(domain.to_owned(), set.version);
    }
    if versions.is_empty() {
        return Err(Error::invalid("this is no ONNX model: it imports no operators"));
    }
    Ok(versions)
}

fn domain_name(domain: &str) -> &str {
    if domain.is_empty() { STANDARD } else { domain }
}

fn port(info: &ValueInfoProto, side: &str) -> Result<Port> {
    let name: Arc<str> = Arc::from(info.name.as_str());
    let thing = || format!("{side} {name:?}");
    let r#type = match info.r#type.as_ref().and_then(|proto| proto.value.as_ref()) {
        None => PortType::Unknown,
        Some(TypeValue::Tensor(tensor)) => {
            let dtype = element_type(tensor.elem_type, thing)?;
            // A length that is not positive is how some exporters say that they do not know it.
            let axis = |axis: Option<i64>| axis.and_then(|length| usize::try_from(length).ok());
            let axis = |given: Option<i64>| axis(given).filter(|&length| length > 0);
            let shape = tensor.shape.as_ref();
            check_axes(shape.map_or(0, |shape| shape.dim.len()), thing)?;
            let shape =
                shape.map(|shape| shape.dim.iter().map(|dim| axis(dim.dim_value)).collect());
            PortType::Tensor(dtype, shape)
        }
        Some(TypeValue::Sequence(sequence)) => {
            let element = sequence.elem_type.as_ref().and_then(|proto| proto.value.as_ref());
            if !matches!(element, Some(TypeValue::Map(_))) {
                let message = format!("{} is a sequence, which is not supported", thing());
                return Err(Error::unsupported(message));
            }
            PortType::Maps
        }
        Some(TypeValue::Map(_)) => {
            return Err(Error::unsupported(format!(
                "{} is a map, which is not supported",
                thing()
            )));
        }
    };
    Ok(Port { name, r#type })
}

fn node(proto: NodeProto, versions: &Arc<Versions>) -> Result<Node> {
    let domain = domain_name(&proto.domain);
    let first_output = proto.output.first().map_or("", String::as_str);
    // Many exporters leave nodes without a name; what it makes names it as well.
    let name = if proto.name.is_empty() { first_output } else { &proto.name };
    let label = Label {
        domain: Arc::from(domain),
        operator: Arc::from(proto.op_type.as_str()),
        node: Arc::from(name),
    };
    let Some(&version) = versions.get(domain) else {
        return Err(Error::invalid(format!("the model does not import the domain of {label}")));
    };
    let attributes = Attributes::new(proto.attribute, &label, versions)?;
    Ok(Node { label, version, attributes, inputs: proto.input, outputs: proto.output })
}

/// Nodes, each after those whose values it needs, otherwise in the order of the file.
fn in_order<'a>(
    nodes: Vec<Node>,
    given: impl Iterator<Item = &'a str>,
    outputs: &[Port],
) -> Result<Vec<Node>> {
    let mut known: HashSet<&str> = HashSet::new();
    for name in given {
        if !known.insert(name) {
            return Err(Error::invalid(format!("value {name:?} is given twice")));
        }
    }
    let mut makers: HashMap<&str, usize> = HashMap::new();
    for (at, node) in nodes.iter().enumerate() {
        for name in node.outputs.iter().filter(|name| !name.is_empty()) {
            if known.contains(name.as_str()) || makers.insert(name, at).is_some() {
                return Err(Error::invalid(format!("value {name:?} is made twice")));
            }
        }
    }
    let used = nodes.iter().flat_map(|node| node.inputs.iter().map(String::as_str));
    let used = used.filter(|name| !name.is_empty());
    for name in used.chain(outputs.iter().map(|port| port.name.as_ref())) {
        if !known.contains(name) && !makers.contains_key(name) {
            return Err(Error::invalid(format!("value {name:?} is used but never made")));
        }
    }
    let order = order(&nodes, &makers)?;
    let mut nodes: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|at| nodes[at].take()).collect())
}

/// Kahn's algorithm; files are nearly always in order already.
fn order(nodes: &[Node], makers: &HashMap<&str, usize>) -> Result<Vec<usize>> {
    let mut waiting_for = vec![0_usize; nodes.len()];
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (at, node) in nodes.iter().enumerate() {
        for maker in node.inputs.iter().filter_map(|name| makers.get(name.as_str())) {
            waiting_for[at] += 1;
            readers[*maker].push(at);
        }
    }
    let mut order: Vec<usize> = (0..nodes.len()).filter(|&at| waiting_for[at] == 0).collect();
    let mut next = 0;
    while let Some(&done) = order.get(next) {
        next += 1;
        for &reader in &readers[done] {
            waiting_for[reader] -= 1;
            if waiting_for[reader] == 0 {
                order.push(reader);
            }
        }
    }
    match (0..nodes.len()).find(|&at| waiting_for[at] > 0) {
        None => Ok(order),
        Some(at) => {
            Err(Error::invalid(format!("{} needs what is made from its output", nodes[at].label)))
        }
    }
}

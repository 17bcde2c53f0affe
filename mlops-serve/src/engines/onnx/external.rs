//! Files beside a model's that hold its weights: exporters write them for large models, `PyTorch`'s newer one
//! and `MLflow` for small ones, too.

use mlops_core::{Error, Result, artifact::ArtifactPath};
use prost::Message;
use std::{collections::BTreeSet, fs, path::Path};

/// The fields of `onnx.proto` that lead to a tensor in another file; decoding skips the others.
#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "25")]
    functions: Vec<Function>,
}

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(message, repeated, tag = "7")]
    nodes: Vec<Node>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    initializers: Vec<Tensor>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(message, repeated, tag = "5")]
    attributes: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(message, optional, tag = "5")]
    tensor: Option<Tensor>,
    #[prost(message, optional, boxed, tag = "6")]
    graph: Option<Box<Graph>>,
    #[prost(message, repeated, tag = "10")]
    tensors: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    graphs: Vec<Graph>,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(message, repeated, tag = "13")]
    external_data: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// The files that a model's file names, relative to its folder. One that would lie elsewhere is
/// `InvalidInput`, as are bytes that are no ONNX model.
pub(super) fn files_of(model: &[u8]) -> Result<BTreeSet<ArtifactPath>> {
    let no_model = |cause| Error::invalid("this is no ONNX model").with_source(cause);
    let model = Model::decode(model).map_err(no_model)?;
    let mut locations = BTreeSet::new();
    if let Some(graph) = &model.graph {
        in_graph(graph, &mut locations);
    }
    in_nodes(model.functions.iter().flat_map(|function| &function.nodes), &mut locations);
    let path = |location: &str| {
        ArtifactPath::new(location.strip_prefix("./").unwrap_or(location)).map_err(|_| {
            Error::invalid(format!("weights lie in {location:?}, outside of the model's folder"))
        })
    };
    locations.into_iter().map(path).collect()
}

/// As [`files_of`], of a file; those that are not there are named by whoever opens them.
pub(super) fn files_beside(model: &Path) -> Result<BTreeSet<ArtifactPath>> {
    let bytes = fs::read(model).map_err(|source| Error::io(model.display(), source))?;
    files_of(&bytes)
}

fn in_graph<'a>(graph: &'a Graph, locations: &mut BTreeSet<&'a str>) {
    graph.initializers.iter().for_each(|tensor| in_tensor(tensor, locations));
    in_nodes(&graph.nodes, locations);
}

fn in_nodes<'a>(nodes: impl IntoIterator<Item = &'a Node>, locations: &mut BTreeSet<&'a str>) {
    for attribute in nodes.into_iter().flat_map(|node| &node.attributes) {
        let tensors = attribute.tensor.iter().chain(&attribute.tensors);
        tensors.for_each(|tensor| in_tensor(tensor, locations));
        let graphs = attribute.graph.as_deref().into_iter().chain(&attribute.graphs);
        graphs.for_each(|graph| in_graph(graph, locations));
    }
}

fn in_tensor<'a>(tensor: &'a Tensor, locations: &mut BTreeSet<&'a str>) {
    let located = tensor.external_data.iter().filter(|entry| entry.key == "location");
    locations.extend(located.map(|entry| entry.value.as_str()));
}

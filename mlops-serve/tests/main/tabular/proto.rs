//! Writes ONNX files by hand: those that no exporter makes.

/// A number: field, then value.
pub(crate) fn number(tag: u64, value: i64) -> Vec<u8> {
    [varint(tag << 3), varint(value.cast_unsigned())].concat()
}

/// Bytes, a text or a message: field, length, then content.
pub(crate) fn field(tag: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [varint(tag << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// A model of these nodes, inputs and outputs, in the usual versions.
pub(crate) fn model(graph: &[Vec<u8>]) -> Vec<u8> {
    model_of_versions(graph, &[("", 15), ("ai.onnx.ml", 3)])
}

pub(crate) fn model_of_versions(graph: &[Vec<u8>], versions: &[(&str, i64)]) -> Vec<u8> {
    let sets = versions
        .iter()
        .map(|(domain, version)| field(8, [field(1, domain), number(2, *version)].concat()));
    [number(1, 8), field(7, graph.concat())].into_iter().chain(sets).flatten().collect()
}

/// A node of the standard operators; `attributes` are fields of their messages.
pub(crate) fn node(
    operator: &str,
    inputs: &[&str],
    outputs: &[&str],
    attributes: &[Vec<u8>],
) -> Vec<u8> {
    node_of("", operator, inputs, outputs, attributes)
}

pub(crate) fn node_of(
    domain: &str,
    operator: &str,
    inputs: &[&str],
    outputs: &[&str],
    attributes: &[Vec<u8>],
) -> Vec<u8> {
    let mut message = Vec::new();
    for (tag, names) in [(1, inputs), (2, outputs)] {
        for name in names {
            message.extend(field(tag, name));
        }
    }
    message.extend(field(3, format!("the {operator}")));
    message.extend(field(4, operator));
    for attribute in attributes {
        message.extend(field(5, attribute));
    }
    message.extend(field(7, domain));
    field(1, message)
}

/// A whole number as an attribute.
pub(crate) fn int(name: &str, value: i64) -> Vec<u8> {
    [field(1, name), number(3, value), number(20, 2)].concat()
}

/// Whole numbers as an attribute.
pub(crate) fn ints(name: &str, values: &[i64]) -> Vec<u8> {
    let values = values.iter().flat_map(|&value| number(8, value));
    field(1, name).into_iter().chain(values).chain(number(20, 7)).collect()
}

/// Numbers as an attribute.
pub(crate) fn floats(name: &str, values: &[f32]) -> Vec<u8> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    [field(1, name), field(7, bytes), number(20, 6)].concat()
}

/// A tensor as an attribute.
pub(crate) fn tensor(name: &str, element_type: i64, shape: &[i64], data: &[u8]) -> Vec<u8> {
    [field(1, name), field(5, tensor_of(name, element_type, shape, data)), number(20, 4)].concat()
}

/// A graph as an attribute.
pub(crate) fn graph(name: &str, parts: &[Vec<u8>]) -> Vec<u8> {
    [field(1, name), field(6, parts.concat()), number(20, 5)].concat()
}

/// Texts as an attribute.
pub(crate) fn texts(name: &str, values: &[&str]) -> Vec<u8> {
    let values = values.iter().flat_map(|value| field(9, value));
    field(1, name).into_iter().chain(values).chain(number(20, 8)).collect()
}

/// An input of the graph; -1 is an axis that varies.
pub(crate) fn input(name: &str, element_type: i64, shape: &[i64]) -> Vec<u8> {
    field(11, port(name, element_type, shape))
}

/// An output of the graph; -1 is an axis that varies.
pub(crate) fn declared_output(name: &str, element_type: i64, shape: &[i64]) -> Vec<u8> {
    field(12, port(name, element_type, shape))
}

fn port(name: &str, element_type: i64, shape: &[i64]) -> Vec<u8> {
    let axes = shape
        .iter()
        .flat_map(|&axis| field(1, if axis < 0 { field(2, "N") } else { number(1, axis) }));
    let shape: Vec<u8> = axes.collect();
    let tensor = [number(1, element_type), field(2, shape)].concat();
    [field(1, name), field(2, field(1, tensor))].concat()
}

/// An output of the graph whose type is not said.
pub(crate) fn output(name: &str) -> Vec<u8> {
    field(12, field(1, name))
}

/// A stored tensor.
pub(crate) fn initializer(name: &str, element_type: i64, shape: &[i64], data: &[u8]) -> Vec<u8> {
    field(5, tensor_of(name, element_type, shape, data))
}

fn tensor_of(name: &str, element_type: i64, shape: &[i64], data: &[u8]) -> Vec<u8> {
    let axes: Vec<u8> = shape.iter().flat_map(|&axis| number(1, axis)).collect();
    [axes, number(2, element_type), field(8, name), field(9, data)].concat()
}

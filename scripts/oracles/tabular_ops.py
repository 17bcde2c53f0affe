"""List which ONNX operators, attributes and types occur in a set of graphs.

Imported by tabular.py, which writes the list to OPS.md: it is the order book
of the operators that mlops-serve has to know.
"""

from collections import defaultdict

from onnx import AttributeProto, TensorProto, helper

KINDS = {number: name for name, number in AttributeProto.AttributeType.items()}


def opset_versions(proto):
    """Version per domain. Exporters may list a domain twice; all are kept."""
    found = defaultdict(set)
    for entry in proto.opset_import:
        found[entry.domain].add(entry.version)
    return found


def shown(attribute):
    """A short attribute's value; of a longer one its type alone tells enough."""
    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return f"={value.decode()}"
    is_number = isinstance(value, (int, float))
    return f"={value:g}" if is_number else ""


def collect(models):
    """{(domain, op): facts} over the nodes of all graphs."""
    ops = defaultdict(lambda: defaultdict(set))
    for exported in models:
        opsets = opset_versions(exported.proto)
        for node in exported.proto.graph.node:
            facts = ops[node.domain or "ai.onnx", node.op_type]
            facts["models"].add(exported.name)
            facts["opsets"] |= opsets[node.domain]
            facts["inputs"].add(len(node.input))
            for attribute in node.attribute:
                text = f"{attribute.name}: {KINDS[attribute.type]}"
                facts["attributes"].add(text + shown(attribute))
    return ops


def modes(models):
    """Every node mode of the tree ensembles: each one is a comparison to write."""
    found = set()
    for exported in models:
        for node in exported.proto.graph.node:
            for attribute in node.attribute:
                if attribute.name == "nodes_modes":
                    found |= {mode.decode() for mode in attribute.strings}
    return sorted(found)


def initializer_types(models):
    """Tensor types of the initializers and where their bytes are kept."""
    found = set()
    for exported in models:
        for tensor in exported.proto.graph.initializer:
            place = "raw_data" if tensor.HasField("raw_data") else "typed field"
            found.add(f"{TensorProto.DataType.Name(tensor.data_type)} ({place})")
    return sorted(found)


def joined(values):
    return ", ".join(str(v) for v in sorted(values)) or "-"


def opset_lines(models):
    for exported in models:
        pairs = [f"{e.domain or 'ai.onnx'} {e.version}" for e in exported.proto.opset_import]
        ir = exported.proto.ir_version
        yield f"- `{exported.name}`: ir {ir}; opset_import {', '.join(pairs)}"


def write_ops(path, models):
    lines = ["# Operators in these graphs", ""]
    lines += ["Written by `scripts/oracles/tabular.py`; do not edit.", ""]
    for (domain, op), facts in sorted(collect(models).items()):
        lines += [f"## {domain} {op}", ""]
        lines += [f"- opset versions: {joined(facts['opsets'])}"]
        lines += [f"- input count: {joined(facts['inputs'])}"]
        lines += [f"- models: {joined(facts['models'])}", "- attributes:"]
        lines += [f"  - `{text}`" for text in sorted(facts["attributes"])] or ["  - none"]
        lines += [""]
    lines += ["## Across all graphs", "", f"- nodes_modes: {joined(modes(models))}"]
    lines += [f"- initializers: {joined(initializer_types(models))}"]
    lines += opset_lines(models)
    path.write_text("\n".join(lines) + "\n")

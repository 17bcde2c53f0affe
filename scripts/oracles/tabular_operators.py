"""Make the test data of single operators in mlops-serve: one small graph a case.

The models of tabular.py use few of the operators and node modes that are supported.
Here each one, in the versions and with the attributes that change what it
means, is put before ONNX Runtime (one thread, CPU), which gives the answers.

Run:    /work/venv/bin/python scripts/oracles/tabular_operators.py
Writes: mlops-serve/tests/data/tabular/operators.json  (nothing else)

Bytes are hexadecimal, little-endian and row-major; texts are lists.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

from common import ROOT, versions, write_json
from tabular_line_cases import line_cases
from tabular_operator_cases import all_cases
from tabular_svm_cases import svm_cases
from tabular_tree_cases import categorical_model, tree_cases

OUT = ROOT / "mlops-serve/tests/data/tabular/operators.json"
TYPES = {
    "float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE,
    "int64": TensorProto.INT64, "int32": TensorProto.INT32,
    "uint8": TensorProto.UINT8, "int8": TensorProto.INT8,
    "bool": TensorProto.BOOL, "object": TensorProto.STRING,
}


def graph(case):
    """The model of a case; the first axis of each input varies."""
    inputs = [
        helper.make_tensor_value_info(
            name, TYPES[str(value.dtype)], [None, *value.shape[1:]]
        )
        for name, value in case.feeds.items()
    ]
    initializers = [
        helper.make_tensor(
            name, TYPES[str(value.dtype)], value.shape,
            [v.encode() if isinstance(v, str) else v for v in value.ravel()],
        )
        for name, value in case.constants.items()
    ]
    # Their types are left out: whoever reads the graph finds them.
    outputs = [helper.make_empty_tensor_value_info(name) for name in case.outputs]
    opsets = [helper.make_opsetid("", case.opset), helper.make_opsetid("ai.onnx.ml", case.ml)]
    body = helper.make_graph(case.nodes, case.name, inputs, outputs, initializers)
    return helper.make_model(body, opset_imports=opsets, ir_version=8)


def session(proto):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(
        proto.SerializeToString(deterministic=True), options,
        providers=["CPUExecutionProvider"],
    )


def classes(proto):
    """The labels of a ZipMap in the order of its columns; its maps are sorted by label."""
    lists = [a for n in proto.graph.node if n.op_type == "ZipMap" for a in n.attribute]
    labels = [label for a in lists for label in helper.get_attribute_value(a)]
    return [v.decode() if isinstance(v, bytes) else v for v in labels]


def stored(name, value, keys=()):
    """A tensor as the test reads it."""
    if isinstance(value, list):
        value = np.array([[row[k] for k in keys] for row in value], np.float32)
    value = np.asarray(value)
    entry = {"name": name, "shape": list(value.shape)}
    if value.dtype == object:
        return entry | {"dtype": "str", "texts": value.ravel().tolist()}
    data = value.astype(value.dtype.newbyteorder("<")).tobytes()
    return entry | {"dtype": str(value.dtype), "bytes": data.hex()}


def answered(name, proto, feeds, outputs):
    given = session(proto).run(outputs, feeds)
    return {
        "name": name,
        "onnx": proto.SerializeToString(deterministic=True).hex(),
        "inputs": [stored(*item) for item in feeds.items()],
        "outputs": [stored(*item, classes(proto)) for item in zip(outputs, given)],
    }


def entries():
    for case in [*all_cases(), *tree_cases(), *line_cases(), *svm_cases()]:
        try:
            yield answered(case.name, graph(case), case.feeds, case.outputs)
        except Exception as error:
            raise RuntimeError(f"case {case.name!r}") from error
    yield answered(*categorical_model())


def main():
    cases = list(entries())
    if len({case["name"] for case in cases}) != len(cases):
        raise ValueError("two cases have one name")
    made_with = versions("numpy", "onnx", "onnxruntime", "onnxmltools", "lightgbm")
    write_json(OUT, {"versions": made_with, "cases": cases})
    print(f"{len(cases)} cases, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()

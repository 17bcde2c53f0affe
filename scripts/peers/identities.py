"""Models that give their one input back, one for each type that ONNX and the protocol share.

Run:  python scripts/peers/identities.py FOLDER
Writes FOLDER/same_DATATYPE.onnx, and prints each as NAME=DATATYPE.
"""

import sys
from pathlib import Path

import onnx
from onnx import TensorProto, helper

TYPES = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, element in TYPES.items():
        tensor = {side: helper.make_tensor_value_info(side, element, [None, 1]) for side in "xy"}
        node = helper.make_node("Identity", ["x"], ["y"])
        graph = helper.make_graph([node], "same", [tensor["x"]], [tensor["y"]])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, folder / f"same_{name}.onnx")
        print(f"same_{name}={name}")


main()

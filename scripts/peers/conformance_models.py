"""Models for the checks of `mlops conformance`, which give their inputs back.

Run:  python scripts/peers/conformance_models.py triton FOLDER      a model repository of Triton
      python scripts/peers/conformance_models.py mlserver FOLDER    models of MLServer, with their runtime
      python scripts/peers/conformance_models.py onnx FOLDER        files of ONNX (needs the package onnx)
Model `plain` has an input and an output of every type that JSON has; `half` one of FP16, which it has
not; `one` a single FP32 input.
"""

import json
import shutil
import sys
from pathlib import Path

# The protocol's types, and how Triton's configuration names them.
PLAIN = [
    "FP32", "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
    "FP64", "BYTES",
]
MODELS = {"plain": PLAIN, "half": ["FP16"], "one": ["FP32"]}
RUNTIMES = Path(__file__).resolve().parent


def triton(folder):
    def tensors(names, kind):
        one = "{{ name: \"{}\" data_type: TYPE_{} dims: [ 2 ] }}"
        each = [
            one.format(f"{kind}_{name.lower()}", name.replace("BYTES", "STRING")) for name in names
        ]
        return ", ".join(each)

    for model, names in MODELS.items():
        version = folder / model / "1"
        version.mkdir(parents=True)
        shutil.copy(RUNTIMES / "conformance_triton.py", version / "model.py")
        (folder / model / "config.pbtxt").write_text(
            f'backend: "python"\nmax_batch_size: 8\n'
            f'input [ {tensors(names, "in")} ]\noutput [ {tensors(names, "out")} ]\n'
            "instance_group [ { kind: KIND_CPU count: 1 } ]\n"
        )


def mlserver(folder):
    def tensors(names, kind):
        return [
            {"name": f"{kind}_{name.lower()}", "datatype": name, "shape": [-1, 2]} for name in names
        ]

    folder.mkdir(parents=True)
    shutil.copy(RUNTIMES / "conformance_mlserver.py", folder / "conformance_mlserver.py")
    for model, names in MODELS.items():
        (folder / model).mkdir()
        settings = {
            "name": model,
            "implementation": "conformance_mlserver.Same",
            "platform": "conformance",
            "parameters": {"version": "1"},
            "inputs": tensors(names, "in"),
            "outputs": tensors(names, "out"),
        }
        (folder / model / "model-settings.json").write_text(json.dumps(settings))


def onnx(folder):
    from onnx import TensorProto, checker, helper, save

    words = {"FP32": "FLOAT", "FP64": "DOUBLE", "BYTES": "STRING"}

    def tensor(kind, name):
        element = getattr(TensorProto, words.get(name, name))
        return helper.make_tensor_value_info(f"{kind}_{name.lower()}", element, [None, 2])

    folder.mkdir(parents=True)
    for model in ("plain", "one"):
        names = MODELS[model]
        nodes = [
            helper.make_node("Identity", [f"in_{name.lower()}"], [f"out_{name.lower()}"])
            for name in names
        ]
        sides = [[tensor(kind, name) for name in names] for kind in ("in", "out")]
        graph = helper.make_graph(nodes, model, *sides)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        checker.check_model(made)
        save(made, folder / f"{model}.onnx")


if __name__ == "__main__":
    {"triton": triton, "mlserver": mlserver, "onnx": onnx}[sys.argv[1]](Path(sys.argv[2]))

"""Make the corpus of PyTorch and Keras models that mlops-serve loads with its engine `onnx`.

Makes small models with a seed, exports each to ONNX, and asks the library itself for the answers to some rows.

Run:    PYTHON scripts/oracles/onnx_corpus.py     (onnx_corpus.txt beside it; no GPU is asked for)
Writes: mlops-serve/tests/data/onnx/*.onnx, manifest.json

Each entry of the manifest says how near its library's answers ONNX Runtime comes, as a part of the largest answer:
1e-6 where it does, else 1e-4; 2e-3 for models that compute in f16. What is not exported, or answered otherwise, is
listed with the reason.
"""

import os
import warnings

os.environ.update(OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="", KERAS_BACKEND="torch", TF_CPP_MIN_LOG_LEVEL="3")
warnings.filterwarnings("ignore")

import logging
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch

from common import ROOT, versions, write_json
from onnx_corpus_models import SEED, keras_models, torch_models

OUT = ROOT / "mlops-serve/tests/data/onnx"
# How near a model comes at the least, by what it computes in.
BOUNDS = (1e-6, 1e-4)
HALF_BOUND = 2e-3
LARGEST = 120_000

logging.disable(logging.WARNING)


def export_torch(case, path):
    """One file, without a line of Python's code in it. `dynamo` is PyTorch's newer exporter."""
    module = case.module.eval()
    inputs = tuple(torch.from_numpy(array) for array in case.inputs.values())
    with torch.no_grad():
        answers = module(*inputs)
    answers = answers if isinstance(answers, tuple) else (answers,)
    names = dict(input_names=list(case.inputs), output_names=list(case.outputs))
    if case.dynamo:
        batch = torch.export.Dim("batch")
        shapes = tuple({0: batch} for _ in inputs)
        torch.onnx.export(module, inputs, path, dynamo=True, dynamic_shapes=shapes, external_data=False, verbose=False, **names)
    else:
        axes = {name: {0: "batch", **case.axes.get(name, {})} for name in [*case.inputs, *case.outputs]}
        torch.onnx.export(module, inputs, path, dynamo=False, dynamic_axes=axes, opset_version=17, **names)
    return {name: answer.numpy() for name, answer in zip(case.outputs, answers)}


def export_keras(case, path):
    with torch.no_grad():
        answers = case.module(list(case.inputs.values()) if len(case.inputs) > 1 else next(iter(case.inputs.values())))
    case.module.export(str(path), format="onnx", verbose=False)
    answers = answers if isinstance(answers, (list, tuple)) else [answers]
    names = [output.name for output in ort.InferenceSession(path).get_outputs()]
    return {name: answer.detach().numpy() for name, answer in zip(names, answers)}


def stripped(path):
    """Without what says where on this disk the model was made."""
    model = onnx.load(path)
    model.doc_string = ""
    del model.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    for function in model.functions:
        del function.metadata_props[:]
        for node in function.node:
            node.doc_string = ""
            del node.metadata_props[:]
    onnx.save(model, path)


def distance(given, wanted):
    """The largest difference, as a part of the largest answer; infinite if it is another type, shape or label."""
    if given.dtype != wanted.dtype or given.shape != wanted.shape:
        return np.inf
    if given.dtype.kind != "f":
        return 0.0 if np.array_equal(given, wanted) else np.inf
    given, wanted = given.astype(np.float64), wanted.astype(np.float64)
    return float(np.abs(given - wanted).max() / max(np.abs(wanted).max(), 1e-3))


def measured(path, inputs, answers):
    """How far ONNX Runtime's answers are."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    named = {own.name: array for own, array in zip(session.get_inputs(), inputs.values())}
    given = session.run(list(answers), named)
    return max(distance(a, b) for a, b in zip(given, answers.values())), named


def tensors(arrays):
    """As the tests read them."""
    names = {"bool": "bool", "float16": "float16", "float32": "float32", "float64": "float64", "int64": "int64", "int32": "int32", "uint8": "uint8"}
    return [
        {"name": name, "dtype": names[str(array.dtype)], "shape": list(array.shape), "bytes": np.ascontiguousarray(array).tobytes().hex()}
        for name, array in arrays.items()
    ]


def entry(case, source, folder):
    exporter = {"torch": export_torch, "keras": export_keras}[source]
    path = folder / f"{source}_{case.name}.onnx"
    try:
        answers = exporter(case, path)
        stripped(path)
        far, inputs = measured(path, case.inputs, answers)
    except Exception as error:
        return {"name": path.stem, "source": source, "not_exported": type(error).__name__ + ": " + str(error).split("\n")[0][:120]}
    bounds = [HALF_BOUND] if case.half else BOUNDS
    bound = next((bound for bound in bounds if far <= bound / 2), None)
    print(f"{path.stem:32} {path.stat().st_size:7} bytes, {far:.1e} away: {bound}")
    if bound is None:
        return {"name": path.stem, "source": source, "differs": f"{far:.1e} of the largest answer"}
    size = path.stat().st_size
    assert size <= LARGEST, f"{path.stem} has {size} bytes"
    (OUT / path.name).write_bytes(path.read_bytes())
    found = {"name": path.stem, "source": source, "onnx": path.name, "bound": bound}
    return found | {"inputs": tensors(inputs), "outputs": tensors(answers)}


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.glob("*.onnx"):
        old.unlink()
    with tempfile.TemporaryDirectory() as folder:
        cases = [("torch", case) for case in torch_models()] + [("keras", case) for case in keras_models()]
        models = [entry(case, source, Path(folder)) for source, case in cases]
    made_with = versions("torch", "keras", "onnx", "onnxruntime", "onnxscript", "numpy")
    write_json(OUT / "manifest.json", {"seed": SEED, "versions": made_with, "models": models})
    for model in models:
        if "onnx" not in model:
            print("without:", model)


main()

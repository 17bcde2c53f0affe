"""Make the test data of the tabular ONNX models in mlops-serve.

Trains small scikit-learn and LightGBM models, exports them to ONNX and asks
ONNX Runtime (one thread, CPU) for the answers that mlops-serve must give.

Run:    /work/venv/bin/python scripts/oracles/tabular.py
Writes: mlops-serve/tests/data/tabular/*.onnx, *.inputs.bin, *.expected.bin,
        pipeline.inputs.json, manifest.json, OPS.md  (nothing else)

Inputs and outputs are little-endian and row-major; the manifest says how they
lie. Outputs stand one after another in the order that the graph declares.
"""

import os
import zlib

# Before numpy is loaded: the results must not depend on how many cores there are.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np
import onnxruntime as ort

from common import ROOT, sha256, versions, write_json
from tabular_models import NUMERIC, SEED, all_models
from tabular_ops import write_ops
from tabular_rows import input_rows

OUT = ROOT / "mlops-serve/tests/data/tabular"
PIPELINE_ROWS = 2_000


def session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return ort.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )


DTYPES = {"tensor(float)": "float32", "tensor(int64)": "int64"}
DTYPES["tensor(string)"] = "string"


def shape(value):
    """The declared shape with null for a free dimension."""
    return [d if isinstance(d, int) else None for d in value.shape]


def dense(value):
    """An output as one array, and its class keys if it was a list of maps."""
    if not isinstance(value, list):
        return np.asarray(value), None
    keys = list(value[0])
    return np.array([[row[k] for k in keys] for row in value], np.float32), keys


def write_expected(path, run, feed, classes):
    """Write all outputs into one file; return their manifest entries."""
    entries, blob = [], b""
    for declared, value in zip(run.get_outputs(), run.run(None, feed)):
        array, keys = dense(value)
        entry = {
            "name": declared.name, "dtype": str(array.dtype),
            "shape": list(array.shape), "onnx_type": declared.type,
            "offset": len(blob), "bytes": array.nbytes,
        }
        if array.ndim == 2 and classes:
            entry["classes"] = [int(k) for k in keys or classes]
        entries.append(entry)
        blob += array.astype(array.dtype.newbyteorder("<")).tobytes()
    path.write_bytes(blob)
    return entries


def pipeline_columns(table, rng):
    """Columns with an unseen category, an unseen grade and NaN among the rows."""
    rows = table.iloc[rng.integers(len(table), size=PIPELINE_ROWS)]
    columns = {n: rows[n].to_numpy(np.float32).copy() for n in NUMERIC}
    for values in columns.values():
        # Three decimals keep the JSON short; float32 takes them as they are read.
        values[:] = np.round(values, 3)
        values[rng.random(PIPELINE_ROWS) < 0.05] = np.nan
    grade = rows["grade"].to_numpy(np.int64).copy()
    unseen = rng.random(PIPELINE_ROWS) < 0.05
    grade[unseen] = rng.choice([-1, 4, 7, 2**40], size=unseen.sum())
    site = rows["site"].to_numpy(object).copy()
    unseen = rng.random(PIPELINE_ROWS) < 0.05
    site[unseen] = rng.choice(["", "Left", "central", "übrig"], size=unseen.sum())
    return columns | {"grade": grade, "site": site}


def to_json(values):
    if values.dtype != np.float32:
        return values.tolist()
    # str() of a float32 is the shortest text that reads back as the same float32.
    return [None if np.isnan(v) else float(str(v)) for v in values]


def write_pipeline_inputs(exported, rng):
    columns = pipeline_columns(exported.data, rng)
    path = OUT / "pipeline.inputs.json"
    lists = {name: to_json(values) for name, values in columns.items()}
    write_json(path, {"rows": PIPELINE_ROWS, "columns": lists})
    feed = {name: values.reshape(-1, 1) for name, values in columns.items()}
    return path, feed, PIPELINE_ROWS


def write_float_inputs(exported, rng):
    rows, edges = input_rows(exported.proto, exported.data, rng)
    path = OUT / f"{exported.name}.inputs.bin"
    path.write_bytes(rows.astype("<f4").tobytes())
    print(f"{exported.name}: {len(rows)} rows, {edges} of them at thresholds")
    return path, {"features": rows}, len(rows)


def sort_imports(proto):
    """Exporters list them in the order of a set, which differs from run to run."""
    imports = sorted(proto.opset_import, key=lambda entry: (entry.domain, entry.version))
    del proto.opset_import[:]
    proto.opset_import.extend(imports)


def make(exported):
    """Write all files of one model and return its entry for the manifest."""
    path = OUT / f"{exported.name}.onnx"
    sort_imports(exported.proto)
    path.write_bytes(exported.proto.SerializeToString(deterministic=True))
    entry = {"name": exported.name, "onnx": path.name, "sha256": sha256(path)}
    run = session(path)
    # A seed per name: a new model leaves the rows of the others as they were.
    rng = np.random.default_rng([SEED, zlib.crc32(exported.name.encode())])
    is_table = exported.name == "pipeline"
    write_inputs = write_pipeline_inputs if is_table else write_float_inputs
    inputs_path, feed, rows = write_inputs(exported, rng)
    expected = OUT / f"{exported.name}.expected.bin"
    inputs = [
        {"name": i.name, "dtype": DTYPES[i.type], "shape": shape(i)}
        for i in run.get_inputs()
    ]
    return entry | {
        "inputs_file": inputs_path.name, "expected_file": expected.name,
        "rows": rows, "inputs": inputs,
        "outputs": write_expected(expected, run, feed, exported.classes),
    }


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    models, entries = list(all_models()), []
    for exported in models:
        entries.append(make(exported))
    made_with = versions(
        "numpy", "scikit-learn", "skl2onnx", "onnx", "onnxruntime", "onnxmltools",
        "lightgbm",
    )
    write_json(OUT / "manifest.json", {"versions": made_with, "models": entries})
    write_ops(OUT / "OPS.md", models)


if __name__ == "__main__":
    main()

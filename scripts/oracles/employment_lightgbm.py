"""Train the challenger of the examples and export it to ONNX.

A LightGBM classifier of "is this person employed", fitted on the training part
of the 2015 rows that mlops-core cuts with
    people_of_2015.split_random([0.6, 0.2, 0.2], 2015)
so that what the examples test it on was never seen. ONNX Runtime (one thread)
then says what the exported model answers.

Run:    /work/venv/bin/python scripts/oracles/employment_lightgbm.py
        after employment.py
Writes: examples/data/employment_lightgbm.onnx and employment_lightgbm.json
Made with Python 3.11 and the versions that the JSON names.
"""

import os

# Before numpy is loaded: the results must not depend on how many cores there are.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import hashlib
import re

import numpy as np
import onnx
import onnxruntime as ort
import pyarrow.parquet as pq
from lightgbm import LGBMClassifier
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.metrics import (
    accuracy_score, brier_score_loss, log_loss, roc_auc_score,
)

from common import ROOT, sha256, versions, write_json
from employment import FEATURES, LABEL, OUT as ROWS
from split import parts

OUT = ROOT / "examples/data"
MODEL = OUT / "employment_lightgbm.onnx"
OPS = ROOT / "mlops-serve/tests/data/tabular/OPS.md"
YEAR, SHARES, SEED = 2015, (0.6, 0.2, 0.2), 2015
GOLDEN_ROWS = 50
LARGEST = 400_000


def train(features, labels):
    model = LGBMClassifier(
        n_estimators=80, num_leaves=31, learning_rate=0.1, min_child_samples=50,
        n_jobs=1, random_state=SEED, deterministic=True, force_col_wise=True,
        verbose=-1,
    )
    return model.fit(features, labels)


def export(model):
    proto = convert_lightgbm(
        model, name="employment_lightgbm", zipmap=False, target_opset=15,
        initial_types=[("features", FloatTensorType([None, len(FEATURES)]))],
    )
    for output in proto.graph.output:
        # The exporter says that there is one label, however many rows come.
        output.type.tensor_type.shape.dim[0].ClearField("dim_value")
    onnx.checker.check_model(proto)
    used = {node.op_type for node in proto.graph.node}
    unknown = used - known_ops()
    assert not unknown, f"not among the operators that we read: {unknown}"
    MODEL.write_bytes(proto.SerializeToString(deterministic=True))
    assert MODEL.stat().st_size <= LARGEST, MODEL.stat().st_size
    return sorted(used)


def known_ops():
    """The operators that the test model named `lightgbm` has, from OPS.md."""
    sections = re.split(r"^## ", OPS.read_text(), flags=re.MULTILINE)
    named = [s for s in sections if re.search(r"^- models: .*\blightgbm\b", s, re.M)]
    return {section.split()[1] for section in named}


def session():
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(
        str(MODEL), options, providers=["CPUExecutionProvider"]
    )


def metrics(labels, probability):
    """scikit-learn's metrics of the float32 probabilities, taken as float64."""
    p = probability.astype(np.float64)
    return {
        "rows": len(labels), "accuracy": accuracy_score(labels, p >= 0.5),
        "roc_auc": roc_auc_score(labels, p), "log_loss": log_loss(labels, p),
        "brier": brier_score_loss(labels, p),
    }


def groups(years, part):
    """{name: rows} of what the model is measured on; part is None but in 2015."""
    yield "2015 train", part == 0
    yield "2015 rest", part >= 1
    yield "2015 valid", part == 1
    yield "2015 test", part == 2
    for year in range(YEAR + 1, 2019):
        yield str(year), years == year


def digest_of_positions(positions):
    """SHA-256 over the rising positions as unsigned 64-bit little-endian."""
    return hashlib.sha256(np.sort(positions).astype("<u8").tobytes()).hexdigest()


def split_rows(years):
    """For each row its part: 0 train, 1 valid, 2 test, -1 of another year."""
    own = np.flatnonzero(years == YEAR)
    part = np.full(len(years), -1)
    part[own] = parts(len(own), SHARES, SEED)
    return part


def golden(features, labels, label, probabilities):
    """Answers for rows at even distances over all years."""
    step = len(labels) // GOLDEN_ROWS
    rows = [step * at for at in range(GOLDEN_ROWS)]
    # str() of a float32 is the shortest text that reads back as the same float32.
    texts = lambda row: [float(str(p)) for p in probabilities[row]]
    return [
        {"row": row, "features": features[row].astype(int).tolist(),
         "employed": bool(labels[row]), "label": int(label[row]),
         "probabilities": texts(row)}
        for row in rows
    ]


def main():
    frame = pq.read_table(ROWS).to_pandas()
    features = frame[FEATURES].to_numpy(np.float32)
    labels, years = frame[LABEL].to_numpy(np.int64), frame["year"].to_numpy()
    part = split_rows(years)
    model = train(features[part == 0], labels[part == 0])
    used = export(model)
    label, probabilities = session().run(
        ["label", "probabilities"], {"features": features}
    )
    difference = np.abs(model.predict_proba(features) - probabilities).max()
    assert difference < 1e-5, f"the export is off by {difference}"
    measured = {
        name: metrics(labels[rows], probabilities[rows, 1])
        for name, rows in groups(years, part)
    }
    write_json(OUT / "employment_lightgbm.json", {
        "model": {"onnx": MODEL.name, "sha256": sha256(MODEL), "operators": used},
        "data": {"parquet": ROWS.name, "sha256": sha256(ROWS)},
        "input": {"name": "features", "dtype": "float32", "columns": FEATURES},
        "split": {
            "year": YEAR, "shares": SHARES, "seed": SEED,
            "train_rows": int((part == 0).sum()),
            "train_positions_in_year": digest_of_positions(
                np.flatnonzero(part[years == YEAR] == 0)
            ),
        },
        "metrics": measured,
        "golden": golden(features, labels, label, probabilities),
        "versions": versions(
            "lightgbm", "onnx", "onnxmltools", "onnxruntime", "scikit-learn",
            "numpy", "pyarrow",
        ),
    })
    print(f"{MODEL.stat().st_size} bytes, sha256 {sha256(MODEL)}, {used}")
    for name, row in measured.items():
        print(name, {k: round(v, 5) for k, v in row.items()})


if __name__ == "__main__":
    main()

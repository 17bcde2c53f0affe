"""Make the test data of boosted trees in their libraries' own formats in mlops-serve.

Trains small models with LightGBM, XGBoost and CatBoost, saves them as these do, and asks
them for the predictions that mlops-serve must give. Most rows sit at the
edges: on split thresholds and one step to either side, zero, NaN, infinite,
unseen and negative categories.

Run:    PYTHON scripts/oracles/boosted.py     (requirements.txt beside it)
Writes: mlops-serve/tests/data/boosted/*.txt, *.json, *.ubj, *.inputs.bin, *.expected.bin, manifest.json
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np
from boosted_catboost import catboost_models
from boosted_lightgbm import lightgbm_models
from boosted_xgboost import xgboost_models
from common import ROOT, versions, write_json

OUT = ROOT / "mlops-serve/tests/data/boosted"
ROWS = 400


def edge_rows(data, thresholds, rng, dtype, infinite, count=ROWS):
    """Real rows of which one feature is put to an edge, and rows of edges only."""
    rows = data[rng.integers(len(data), size=count)].astype(dtype)
    odd = np.array([np.nan, 0.0, -0.0, 1e-36, -1e-35, 1e-30, -0.5, -1.0, -7.0, 3.0, 2.5, 40.0, 1e9, np.inf, -np.inf], dtype)
    for at, row in enumerate(rows):
        feature = rng.integers(data.shape[1])
        edges = thresholds.get(int(feature), [])
        if at % 4 and len(edges):
            edge = dtype(edges[rng.integers(len(edges))])
            row[feature] = [np.nextafter(edge, dtype(-np.inf)), edge, np.nextafter(edge, dtype(np.inf))][at % 3]
        else:
            row[feature] = odd[rng.integers(len(odd))]
    rows[-20:] = odd[rng.integers(len(odd), size=(20, data.shape[1]))]
    rows[-1] = np.nan
    if not infinite:
        rows[np.isinf(rows)] = np.finfo(dtype).max
    return rows


def write(model, dtype, rng, answer=None):
    """The model, some rows and its predictions; gives their entry in the manifest."""
    # XGBoost refuses to look at what is infinite.
    infinite = not model.name.startswith("xgboost")
    rows = edge_rows(model.data, model.thresholds, rng, dtype, infinite)
    expected = np.asarray(model.predict(rows), answer or dtype)
    little = lambda array: array.astype(array.dtype.newbyteorder("<")).tobytes()  # noqa: E731
    (OUT / model.file).write_bytes(model.bytes)
    (OUT / f"{model.name}.inputs.bin").write_bytes(little(rows))
    (OUT / f"{model.name}.expected.bin").write_bytes(little(expected))
    return {"name": model.name, "file": model.file, "dtype": rows.dtype.name, "answer": expected.dtype.name, "rows": len(rows),
            "columns": rows.shape[1], "shape": list(expected.shape), "features": model.features}


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20261121)
    entries = [write(model, np.float64, rng) for model in lightgbm_models()]
    entries += [write(model, np.float32, rng) for model in xgboost_models()]
    entries += [write(model, np.float32, rng, np.float64) for model in catboost_models()]
    made_with = versions("lightgbm", "xgboost", "catboost", "numpy", "scikit-learn")
    write_json(OUT / "manifest.json", {"versions": made_with, "models": entries})


if __name__ == "__main__":
    main()

"""Make the corpus of boosted models in their libraries' own formats, and the table of what loads.

Beside the models of boosted.py, which are older and larger: every objective that a library names, every booster,
and what else its files can hold. Trains small models with LightGBM, XGBoost and CatBoost, saves them as these do,
and asks them for the predictions that mlops-serve must give. Most rows sit at the edges: on thresholds and one
step to either side, zero, NaN, infinite, unseen categories. Then the same libraries' models as ONNX.

Run:    PYTHON scripts/oracles/booster_corpus.py     (requirements.txt beside it)
Writes: mlops-serve/tests/data/boosters/*.txt, *.json, *.ubj, *.onnx, manifest.json; booster_corpus.txt beside this

Tensors stand in the manifest as hex, little-endian and row-major. What does not load is there as well, with the
words that the refusal must have; what a library does not train is in the table with what it says.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import json
import re
import zlib

import numpy as np
import xgboost as xgb
from booster_corpus_catboost import catboost_objectives, catboost_models
from booster_corpus_lightgbm import lightgbm_models, lightgbm_objectives
from booster_corpus_onnx import onnx_models
from booster_corpus_table import write_table
from booster_corpus_xgboost import xgboost_models, xgboost_objectives
from boosted import edge_rows
from common import ROOT, versions, write_json

SEED = 20261122
ROWS = 60
OUT = ROOT / "mlops-serve/tests/data/boosters"
OLDER = ROOT / "mlops-serve/tests/data/boosted"
TABLE = ROOT / "scripts/oracles/booster_corpus.txt"


def stored(name, value):
    """A tensor as the test reads it."""
    entry = {"name": name, "shape": list(value.shape)}
    if value.dtype == object:
        return entry | {"dtype": "str", "texts": value.ravel().tolist()}
    return entry | {"dtype": value.dtype.name, "bytes": value.astype(value.dtype.newbyteorder("<")).tobytes().hex()}


def numbers(model, rng):
    """Rows of the numeric columns."""
    # XGBoost refuses to look at what is infinite.
    return edge_rows(model.data, model.thresholds, rng, model.dtype, model.library != "xgboost", ROWS)


def categories(model, rng):
    """Rows of categories, of which each fifth holds one that was never seen."""
    rows = model.texts[rng.integers(len(model.texts), size=ROWS)].copy()
    unseen = np.array(["", "never seen", "12345678901234567", "-1", "é", "left ", "x" * 200], object)
    for at in range(0, ROWS, 5):
        rows[at, rng.integers(rows.shape[1])] = unseen[rng.integers(len(unseen))]
    return rows


def entry(model):
    """Writes the model; gives its entry in the manifest."""
    rng = np.random.default_rng([SEED, zlib.crc32(model.name.encode())])
    (OUT / model.file).write_bytes(model.bytes)
    made = {"name": model.name, "library": model.library, "file": model.file, "objective": model.objective, "shows": model.shows}
    if model.refused:
        return made | {"refused": model.refused}
    rows = {}
    if model.data is not None and model.data.shape[1]:
        rows["features"] = numbers(model, rng)
    if model.texts is not None:
        rows["categories"] = categories(model, rng)
    outputs = model.predict(rows)
    made["bound"] = model.bound
    made["columns"] = {name: list(given) for name, given in model.columns.items()}
    made["inputs"] = [stored(*item) for item in rows.items()]
    return made | {"outputs": [stored(*item) for item in outputs.items()]}


def objective(path):
    """What the file of a model of boosted.py calls it."""
    if path.suffix == ".txt":
        return re.search(r"^objective=(\S+)", path.read_text(), re.M)[1]
    if path.name.startswith("catboost"):
        return json.loads(path.read_text())["model_info"]["params"]["loss_function"]["type"]
    return json.loads(xgb.Booster(model_file=path).save_raw("json"))["learner"]["objective"]["name"]


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    makers = [lightgbm_models, xgboost_models, catboost_models, onnx_models]
    entries = [entry(model) for maker in makers for model in maker()]
    packages = ["lightgbm", "xgboost", "catboost", "onnxmltools", "skl2onnx", "onnx", "onnxruntime", "numpy", "scikit-learn"]
    made_with = versions(*packages)
    write_json(OUT / "manifest.json", {"versions": made_with, "models": entries})
    older = json.loads((OLDER / "manifest.json").read_text())["models"]
    older = [model | {"library": model["name"].split("_")[0], "objective": objective(OLDER / model["file"])} for model in older]
    known = {"lightgbm": lightgbm_objectives(), "xgboost": xgboost_objectives(), "catboost": catboost_objectives()}
    write_table(TABLE, made_with, older, entries, known)
    print(len(entries), "models,", sum(file.stat().st_size for file in OUT.iterdir()), "bytes")


if __name__ == "__main__":
    main()

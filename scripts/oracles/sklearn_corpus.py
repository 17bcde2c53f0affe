"""Make the corpus of scikit-learn models that mlops-serve loads.

Trains small models, exports each with skl2onnx, and asks scikit-learn itself (and ONNX Runtime, of the same
file) for the answers to some rows: rows of the data, and, where trees compare what the caller gives, also behind
steps that leave a number as it is, rows at thresholds and one step of a float to either side.

Run:    PYTHON scripts/oracles/sklearn_corpus.py     (requirements.txt beside it)
Writes: mlops-serve/tests/data/sklearn/*.onnx, manifest.json

Each entry of the manifest says how near scikit-learn's answers the engine comes: 1e-6, or 1e-4 where the graph
computes in f32 what scikit-learn computes in f64 and ONNX Runtime does not come within 5e-7 either. A graph of f64
always gets 1e-6. What skl2onnx does not export, or ONNX Runtime does not answer as scikit-learn does, is listed with
the reason; what the engine does not load, with the words that its refusal must have.
"""

import os
import warnings
import zlib

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
warnings.filterwarnings("ignore")

import numpy as np
import onnxruntime as ort
import pandas as pd
from onnx import helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType

from common import ROOT, versions, write_json
from sklearn_corpus_models import SEED, plain_models
from sklearn_corpus_pipelines import NUMBERS, pipelines

OUT = ROOT / "mlops-serve/tests/data/sklearn"
# The versions of operators that graphs are written in.
OPSET = {"": 18, "ai.onnx.ml": 3}
ROWS = 24
EDGES = 36
# What the engine must say of what it does not load.
REFUSED = {
    "multi_output_classifier": "is a sequence, which is not supported",
    "pipe_imputer_knn": "model function local_domain.",
    # The exporter declares f64 where the operator makes f32; ONNX Runtime refuses it, too.
    "tree_double": "is declared as float64 and is float32",
}
# Encoders for which a category that they have not seen is an error.
KNOWN_ONLY = {"table_one_hot_drop", "table_ordinal_tree"}
# What the exporter does in another way than scikit-learn.
OTHERWISE = {
    "k_neighbors_distance": "all neighbours weigh the same",
    "calibrated_isotonic": "the nearest step is taken, not a point between two",
    "pipe_forest_missing": "missing values go to one side only",
}
# What skl2onnx exports without a part of it.
WRONG = {"pipe_imputer_indicator": "the columns that say what was missing are not in the graph"}
# Where f32 shows more than ONNX Runtime's answers to these few rows show: margins of a hundred before a sigmoid.
WIDE = {"sgd_log"}
# Where a difference of large numbers is taken, so that any order of additions in f32 is another answer.
LOOSE = {"k_means", "mini_batch_k_means", "perceptron"}


def plain_numbers(make):
    """skl2onnx 1.20 hands numpy's integers and truths on, which onnx takes for no attribute."""

    def plain(item):
        item = item.item() if isinstance(item, np.generic) else item
        return int(item) if isinstance(item, bool) else item

    def made(key, value, *rest, **more):
        return make(key, [plain(item) for item in value] if isinstance(value, (list, np.ndarray)) else value, *rest, **more)

    return made


helper.make_attribute = plain_numbers(helper.make_attribute)


def types(trained):
    """Name and type of each input of the graph."""
    if not hasattr(trained.data, "columns"):
        kind = DoubleTensorType if trained.dtype is np.float64 else FloatTensorType
        return [("features", kind([None, trained.data.shape[1]]))]
    kinds = {"float32": FloatTensorType, "int64": Int64TensorType}
    return [(name, kinds.get(str(values.dtype), StringTensorType)([None, 1])) for name, values in trained.data.items()]


def export(trained):
    options = {id(trained.model): trained.options} if trained.options else None
    proto = to_onnx(trained.model, initial_types=types(trained), options=options, target_opset=OPSET, name=trained.name)
    # Exporters list them in the order of a set, which differs from run to run.
    imports = sorted(proto.opset_import, key=lambda entry: (entry.domain, entry.version))
    del proto.opset_import[:]
    proto.opset_import.extend(imports)
    return proto


def thresholds(proto, columns):
    """Feature and threshold of every node of a tree that compares what the caller gives, in these columns."""
    found = set()
    for node in proto.graph.node:
        if node.op_type.startswith("TreeEnsemble") and starts_with(proto, node.input[0], columns):
            given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            splits = zip(given["nodes_modes"], given["nodes_featureids"], given["nodes_values"])
            found |= {
                (feature, np.float32(value)) for mode, feature, value in splits
                if mode != b"LEAF" and feature < (len(columns) or np.inf)
            }
    # An infinite one only parts what is missing from the rest.
    return sorted(edge for edge in found if np.isfinite(edge[1]))


def starts_with(proto, name, columns):
    """Whether this tensor is the caller's numbers, or begins with these columns side by side: filled up, perhaps, but
    otherwise as they came."""
    makers = {output: node for node in proto.graph.node for output in node.output}
    if name in makers:
        node = makers[name]
        if node.op_type in ("Identity", "Imputer"):
            return starts_with(proto, node.input[0], columns)
        if node.op_type == "Concat" and columns:
            inputs = list(node.input)
            return inputs[: len(columns)] == columns or starts_with(proto, inputs[0], columns)
        return False
    return name == "features"


def at_thresholds(trained, proto, rows, rng):
    """Copies of some rows of the data with one feature at a threshold and beside it."""
    is_table = hasattr(trained.data, "columns")
    edges = thresholds(proto, NUMBERS if is_table else [])
    for at in rng.permutation(len(edges))[: EDGES // 3]:
        feature, threshold = edges[at]
        beside = [np.nextafter(threshold, np.float32(-np.inf)), threshold, np.nextafter(threshold, np.float32(np.inf))]
        picked = rng.integers(len(trained.data), size=1)
        if is_table:
            row = trained.data.iloc[np.repeat(picked, 3)].reset_index(drop=True)
            row[NUMBERS[feature]] = np.array(beside, np.float32)
        else:
            row = np.repeat(trained.data[picked], 3, axis=0)
            row[:, feature] = beside
        rows.append(row)
    return rows


def rows_of(trained, proto, rng):
    """Rows of the data, and some at thresholds and beside them."""
    data = trained.data
    picked = rng.integers(len(data), size=ROWS)
    if hasattr(data, "columns"):
        rows = data.iloc[picked].reset_index(drop=True)
        if trained.name not in KNOWN_ONLY:
            rows.loc[::5, "site"] = "elsewhere"
        if trained.name == "table_text_imputer":
            rows.loc[1::5, "site"] = ""
        return pd.concat(at_thresholds(trained, proto, [rows], rng), ignore_index=True)
    rows = data[picked]
    # Away from what is stored, of which a distance of zero makes what each library reads in its own way.
    moved = slice(0 if trained.name == "local_outlier_factor" else ROWS // 2, None)
    rows[moved] *= 1 + 0.02 * rng.normal(size=rows[moved].shape)
    rows = at_thresholds(trained, proto, [rows], rng)
    return np.concatenate(rows).astype(trained.dtype)


def feeds(trained, rows):
    """The inputs of the graph."""
    if not hasattr(rows, "columns"):
        return {"features": rows}
    return {name: values.to_numpy().reshape(-1, 1) for name, values in rows.items()}


def two_columns(margin):
    """A margin of two classes as ONNX has it: one column for each."""
    return np.column_stack([-margin, margin]) if margin.ndim == 1 else margin


def own_answers(trained, rows):
    """What scikit-learn says in f64: labels or numbers, and scores if there are some."""
    model = trained.model
    wide = rows if hasattr(rows, "columns") else rows.astype(np.float64)
    answers = [model.predict(wide)]
    if trained.scores:
        scores = getattr(model, trained.scores)(wide)
        # A list holds an array for each of several outputs.
        scores = np.stack(scores) if isinstance(scores, list) else np.asarray(scores)
        answers.append(scores)
    return [np.asarray(answer) for answer in answers]


def fitted(own, given):
    """scikit-learn's answer in the shape of the graph's, or none if they are not the same thing."""
    if own.dtype.kind in "biu" and given.dtype.kind == "i":
        own = own.astype(np.int64)
    if own.shape == given.shape:
        return own
    if own.size == given.size:
        return own.reshape(given.shape)
    if own.ndim == 1 and given.ndim == 2 and given.shape == (len(own), 2):
        return two_columns(own)
    if own.ndim == 2 and given.shape == (len(own), 2 * own.shape[1]):
        # Of several labels: how probable each is not, and how probable it is.
        return np.hstack([1 - own, own])
    return None


def stored(name, value):
    """A tensor as the test reads it."""
    entry = {"name": name, "shape": list(value.shape)}
    if value.dtype.kind in "OU":
        return entry | {"dtype": "str", "texts": [str(text) for text in value.ravel()]}
    if value.dtype.kind == "f" and value.dtype != np.float32:
        value = value.astype(np.float64)
    return entry | {"dtype": str(value.dtype), "bytes": value.astype(value.dtype.newbyteorder("<")).tobytes().hex()}


def distance(own, given):
    """The greatest difference; infinite where labels or what is no number differ."""
    if own is None:
        return np.inf
    if given.dtype.kind != "f":
        return 0.0 if (own.astype(str) == given.astype(str)).all() else np.inf
    same = (own == given) | (np.isnan(own) & np.isnan(given))
    return float(np.max(np.where(same, 0.0, np.abs(own - given))))


def entry(trained):
    """The manifest's entry of a model, whose file is written unless the reason is that there is none."""
    name = trained.name
    if name in WRONG:
        return {"name": name, "not_exported": WRONG[name]}
    try:
        proto = export(trained)
    except Exception as error:
        return {"name": name, "not_exported": f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"}
    bytes_ = proto.SerializeToString(deterministic=True)
    (OUT / f"{name}.onnx").write_bytes(bytes_)
    made = {"name": name, "onnx": f"{name}.onnx", "pipeline": name.startswith(("pipe_", "table_"))}
    if name in REFUSED:
        return made | {"refused": REFUSED[name]}
    rows = rows_of(trained, proto, np.random.default_rng([SEED, zlib.crc32(name.encode())]))
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(bytes_, options, providers=["CPUExecutionProvider"])
    given = session.run(None, feeds(trained, rows))
    names = [output.name for output in session.get_outputs()]
    own = [fitted(*pair) for pair in zip(own_answers(trained, rows), given)]
    apart = max(distance(*pair) for pair in zip(own, given))
    made["inputs"] = [stored(*item) for item in feeds(trained, rows).items()]
    made["onnxruntime"] = [stored(*item) for item in zip(names, given)]
    made["runtime_bound"] = 1e-4 if name in LOOSE else 1e-5
    if apart > 5e-5:
        return made | {"differs": f"{OTHERWISE[name]}: ONNX Runtime is {apart:.2g} from scikit-learn"}
    made["bound"] = 1e-6 if trained.dtype is np.float64 or (apart <= 5e-7 and name not in WIDE) else 1e-4
    made["sklearn"] = [stored(*item) for item in zip(names, own)]
    return made


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.glob("*.onnx"):
        old.unlink()
    entries = []
    for trained in [*plain_models(), *pipelines()]:
        made = entry(trained)
        entries.append(made)
        print(made["name"], {key: made[key] for key in ("bound", "not_exported", "differs", "refused") if key in made})
    made_with = versions("scikit-learn", "skl2onnx", "onnx", "onnxruntime", "numpy")
    write_json(OUT / "manifest.json", {"versions": made_with, "models": entries})
    print(len(entries), "models,", sum(file.stat().st_size for file in OUT.iterdir()), "bytes")


if __name__ == "__main__":
    main()

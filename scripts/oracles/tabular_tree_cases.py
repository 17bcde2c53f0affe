"""The tree ensembles of tabular_operators.py: every node mode, way of adding up and element type.

Imported by tabular_operators.py; makes no files on its own. Thresholds and
rows come from one short list of numbers, so that most comparisons are of equals.
"""

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from onnx import helper, numpy_helper
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

from tabular_operator_cases import ML, POSTS, Case

SEED = 20240917
GRID = [-2.0, 0.0, 1.0, 2.0, 3.0, 31.0, 33.0]
MODES = ["LEQ", "LT", "GTE", "GT", "EQ", "NEQ"]
FEATURES, ROWS, TREES, DEPTH = 3, 60, 4, 3


def rows(rng, dtype):
    """Numbers of the grid, one step beside them, and where it can be NaN and the infinities."""
    values = rng.choice(GRID, size=(ROWS, FEATURES)).astype(dtype)
    if np.issubdtype(dtype, np.integer):
        return values
    beside = rng.random(values.shape) < 0.2
    toward = rng.choice([-np.inf, np.inf], size=values.shape).astype(dtype)
    values = np.where(beside, np.nextafter(values, toward), values)
    odd = rng.random(values.shape) < 0.2
    return np.where(odd, rng.choice([np.nan, np.inf, -np.inf, 0.5], size=values.shape), values).astype(dtype)


def trees(rng, modes, missing, targets, negative=True):
    """The node lists of full trees, and one weight for each target of each leaf."""
    nodes = {k: [] for k in "treeids nodeids featureids values modes truenodeids falsenodeids".split()}
    nodes["missing_value_tracks_true"] = []
    weights = {k: [] for k in "treeids nodeids ids weights".split()}
    inner, total = 2**DEPTH - 1, 2 ** (DEPTH + 1) - 1
    for tree in range(TREES):
        for node in range(total):
            leaf = node >= inner
            mode = "LEAF" if leaf else f"BRANCH_{rng.choice(modes)}"
            track = missing if missing is not None else int(rng.integers(2))
            entry = [
                tree, node, 0 if leaf else int(rng.integers(FEATURES)),
                0.0 if leaf else float(rng.choice(GRID)), mode,
                0 if leaf else 2 * node + 1, 0 if leaf else 2 * node + 2, 0 if leaf else track,
            ]
            for values, value in zip(nodes.values(), entry):
                values.append(value)
            for target in targets if leaf else []:
                value = float(np.float32(rng.normal() if negative else rng.random() / TREES))
                for values, value in zip(weights.values(), [tree, node, target, value]):
                    values.append(value)
    return {f"nodes_{k}": v for k, v in nodes.items()}, weights


def as_tensors(attributes, names):
    """The lists of numbers as tensors of f64, which thresholds of wider rows are."""
    changed = dict(attributes)
    for name in names:
        changed[f"{name}_as_tensor"] = numpy_helper.from_array(np.array(changed.pop(name)))
    return changed


def classifier(name, rng, modes=MODES, missing=None, targets=(0,), classes=2, dtype=np.float32,
               negative=True, texts=False, tensors=False, **attributes):
    nodes, weights = trees(rng, modes, missing, targets, negative)
    attributes |= nodes | {f"class_{k}": v for k, v in weights.items()}
    if texts:
        attributes["classlabels_strings"] = [f"class {i}" for i in range(classes)]
    else:
        # For two classes with weights of both ONNX Runtime gives 0 and 1, whatever the labels are.
        first = 0 if classes == len(targets) == 2 else 10
        attributes["classlabels_int64s"] = [first + i for i in range(classes)]
    if tensors:
        attributes = as_tensors(attributes, ["nodes_values", "class_weights"])
    node = helper.make_node(
        "TreeEnsembleClassifier", ["x"], ["label", "scores"], domain=ML, **attributes)
    feeds = {"x": rows(rng, dtype)}
    return Case(f"classifier, {name}", [node], feeds, outputs=["label", "scores"])


def regressor(name, rng, modes=MODES, targets=1, dtype=np.float32, tensors=False, **attributes):
    nodes, weights = trees(rng, modes, None, range(targets))
    attributes |= nodes | {f"target_{k}": v for k, v in weights.items()}
    if tensors:
        attributes = as_tensors(attributes, ["nodes_values", "target_weights"])
    node = helper.make_node(
        "TreeEnsembleRegressor", ["x"], ["y"], domain=ML, n_targets=targets, **attributes)
    return Case(f"regressor, {name}", [node], {"x": rows(rng, dtype)})


def classifier_cases(rng):
    for mode in MODES:
        for missing in [0, 1]:
            yield classifier(f"{mode}, missing {missing}", rng, [mode], missing)
    yield classifier("all modes", rng)
    for post in ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"]:
        yield classifier(f"one margin, {post}", rng, targets=(1,), post_transform=post)
        yield classifier(f"one probability, {post}", rng, targets=(1,), negative=False, post_transform=post)
        yield classifier(f"one margin with a base, {post}", rng, targets=(1,), post_transform=post, base_values=[0.3])
        yield classifier(f"two scores, {post}", rng, targets=(0, 1), post_transform=post)
        yield classifier(f"two bases, {post}", rng, targets=(0, 1), post_transform=post, base_values=[0.3, -0.2])
    for post in POSTS:
        negative = post != "PROBIT"
        yield classifier(f"three classes, {post}", rng, targets=(0, 1, 2), classes=3, negative=negative, post_transform=post)
    yield classifier("three bases", rng, targets=(0, 1, 2), classes=3, base_values=[0.5, -0.5, 0.1])
    yield classifier("texts", rng, texts=True, targets=(0, 1, 2), classes=3)
    yield classifier("i64", rng, dtype=np.int64)
    yield classifier("i32", rng, dtype=np.int32)
    yield classifier("f64", rng, dtype=np.float64, targets=(0, 1), tensors=True)


def regressor_cases(rng):
    for mode in MODES:
        yield regressor(f"{mode}", rng, [mode])
    for how in ["SUM", "AVERAGE", "MIN", "MAX"]:
        yield regressor(f"{how}", rng, aggregate_function=how)
        yield regressor(f"{how} of two with bases", rng, targets=2, aggregate_function=how, base_values=[0.5, -0.25])
    yield regressor("a base", rng, base_values=[10.0])
    yield regressor("SOFTMAX", rng, targets=3, post_transform="SOFTMAX")
    yield regressor("LOGISTIC", rng, targets=2, post_transform="LOGISTIC")
    yield regressor("f64", rng, dtype=np.float64, tensors=True)


def tree_cases():
    rng = np.random.default_rng(SEED)
    yield from classifier_cases(rng)
    yield from regressor_cases(rng)


def categorical_model():
    """LightGBM over categories and numbers: set membership becomes chains of BRANCH_EQ."""
    rng = np.random.default_rng(SEED)
    count = 3_000
    table = pd.DataFrame({
        "state": rng.integers(0, 40, count), "kind": rng.integers(0, 6, count),
        "age": rng.integers(16, 95, count), "hours": rng.normal(35, 10, count).round(1),
    })
    effect = rng.normal(size=40)[table["state"]] + rng.normal(size=6)[table["kind"]]
    label = (effect + (table["age"] - 50) / 20 + rng.normal(size=count) > 0).astype(np.int64)
    model = LGBMClassifier(
        n_estimators=15, num_leaves=15, min_child_samples=10, n_jobs=1, cat_smooth=1.0,
        random_state=SEED, deterministic=True, verbose=-1)
    model.fit(table, label, categorical_feature=["state", "kind"])
    proto = convert_lightgbm(
        model, name="categorical", zipmap=False, target_opset=15,
        initial_types=[("x", FloatTensorType([None, 4]))])
    rows = table.to_numpy(np.float32)[rng.integers(0, count, 400)]
    # Categories never seen, missing, and between two codes.
    for at, value in enumerate([np.nan, 99.0, -1.0, 3.5, np.inf]):
        rows[at::20, at % 4] = value
    return "LightGBM with categories", proto, {"x": rows}, [o.name for o in proto.graph.output]

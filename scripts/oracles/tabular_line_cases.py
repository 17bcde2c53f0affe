"""The cases of tabular_operators.py of lines of elements, of scans, and of trees and categories in version 5.

Imported by tabular_operators.py; makes no files on its own.
"""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tabular_operator_cases import ML, P32, P64, X32, X_I32, X_I64, Case, f32, i64, one, texts

CUBE = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 4 - 2


def reduce_cases():
    for op in ["ReduceProd", "ReduceSumSquare", "ReduceL1", "ReduceL2", "ReduceLogSumExp"]:
        for name, value in {"f32": P32, "f64": P64}.items():
            yield one(f"{op} {name}", op, {"x": value}, {"axes": i64(1)}, opset=18)
        yield one(f"{op} of version 13", op, {"x": P32}, axes=[0], keepdims=0)
        yield one(f"{op} of all", op, {"x": P32}, opset=18)
        yield one(f"{op} of two axes", op, {"x": CUBE}, {"axes": i64(0, -1)}, opset=18, keepdims=0)
    for op in ["ReduceProd", "ReduceSumSquare", "ReduceL1"]:
        yield one(f"{op} i32", op, {"x": np.array([[3, -4], [5, 6]], np.int32)}, {"axes": i64(1)}, opset=18)
    odd = np.array([[-np.inf, 1.0], [-np.inf, -np.inf], [np.inf, 2.0], [200.0, 201.0]], np.float32)
    yield one("ReduceLogSumExp of what is not finite", "ReduceLogSumExp", {"x": odd}, {"axes": i64(1)}, opset=18)


def along_cases():
    zero = np.array([[3.0, -4.0, 0.0], [0.0, 0.0, 0.0]])
    for p in [1, 2]:
        yield one(f"LpNormalization {p}", "LpNormalization", {"x": zero.astype(np.float32)}, p=p, axis=1)
        yield one(f"LpNormalization {p} f64", "LpNormalization", {"x": zero}, p=p, axis=0)
    yield one("LpNormalization", "LpNormalization", {"x": CUBE})
    for name, value in {"f32": P32, "f64": P64, "i32": X_I32, "i64": X_I64}.items():
        yield one(f"CumSum {name}", "CumSum", {"x": value}, {"axis": np.array(1, np.int64)})
    for exclusive, reverse in [(1, 0), (0, 1), (1, 1)]:
        yield one(f"CumSum {exclusive} {reverse}", "CumSum", {"x": CUBE}, {"axis": np.array(-2, np.int32)}, exclusive=exclusive, reverse=reverse)
    yield one("Reciprocal f32", "Reciprocal", {"x": X32})
    yield one("Reciprocal f64", "Reciprocal", {"x": X32.astype(np.float64)})


def pick_cases():
    ties = np.array([[1.0, 3.0, 3.0, -2.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0], [5.0, 4.0, 3.0, 2.0, 1.0]])
    for largest in [0, 1]:
        for name, dtype in {"f32": np.float32, "f64": np.float64, "i64": np.int64, "i32": np.int32}.items():
            yield one(f"TopK {largest} {name}", "TopK", {"x": ties.astype(dtype)}, {"k": i64(3)}, outputs=2, largest=largest)
    yield one("TopK of the first axis", "TopK", {"x": ties.astype(np.float32)}, {"k": i64(2)}, outputs=2, axis=0)
    yield one("TopK of version 1", "TopK", {"x": ties.astype(np.float32)}, outputs=2, opset=9, k=5)
    yield one("TopK of none", "TopK", {"x": ties.astype(np.float32)}, {"k": i64(0)}, outputs=2)
    places = np.array([[0, -1, 1], [1, 1, 0]], np.int64)
    yield one("GatherElements", "GatherElements", {"x": P32}, {"places": places}, axis=1)
    yield one("GatherElements of the first axis", "GatherElements", {"x": P64}, {"places": places.astype(np.int32)}, axis=0)
    letters = texts(["a", "b"], ["c", "d"])
    yield one("GatherElements of texts", "GatherElements", {"x": letters}, {"places": np.array([[1], [0]], np.int64)}, axis=1)
    yield one("GatherElements of three axes", "GatherElements", {"x": CUBE}, {"places": np.array([[[0, 1], [2, 0]]], np.int64)}, axis=1)


def value(name, kind=TensorProto.FLOAT, rank=None):
    return helper.make_tensor_value_info(name, kind, None if rank is None else [None] * rank)


def scan_cases():
    distances = helper.make_graph(
        [
            helper.make_node("Identity", ["all"], ["all_out"]),
            helper.make_node("Sub", ["all", "one"], ["apart"]),
            helper.make_node("ReduceSumSquare", ["apart", "axes"], ["distance"], keepdims=0),
        ],
        "distances", [value("all", rank=2), value("one", rank=1)], [value("all_out", rank=2), value("distance", rank=1)],
        [numpy_helper.from_array(i64(1), "axes")],
    )
    node = helper.make_node("Scan", ["x", "stored"], ["x_out", "y"], name="the Scan", num_scan_inputs=1, body=distances)
    yield Case("Scan of distances", [node], {"x": P32}, {"stored": P32[::-1] + 1}, opset=18)
    sums = helper.make_graph(
        [
            helper.make_node("Add", ["sum", "one"], ["sum_out"]), helper.make_node("Mul", ["one", "two"], ["product"]),
            helper.make_node("Identity", ["sum_out"], ["so_far"]),
        ],
        "sums", [value("sum", rank=1), value("one", rank=1), value("two", rank=1)], [value("sum_out", rank=1), value("so_far", rank=1), value("product", rank=1)],
    )
    node = helper.make_node("Scan", ["start", "x", "z"], ["end", "sums", "products"], name="the Scan", num_scan_inputs=2, body=sums)
    yield Case("Scan of two", [node], {"x": P32, "z": P32 * 2}, {"start": f32(1, 2, 3, 4)}, opset=15, outputs=["end", "sums", "products"])


def category_cases():
    lists = {"cats_strings": ["a", "b", "a", "übrig"], "cats_int64s": [5, 7, 9, 7]}
    letters = texts(["a", "b"], ["?", "übrig"])
    yield one("CategoryMapper of texts", "CategoryMapper", {"x": letters}, domain=ML, **lists)
    yield one("CategoryMapper of texts with a default", "CategoryMapper", {"x": letters}, domain=ML, default_int64=-7, **lists)
    wholes = np.array([[5, 7], [9, 1]], np.int64)
    yield one("CategoryMapper of numbers", "CategoryMapper", {"x": wholes}, domain=ML, **lists)
    yield one("CategoryMapper of numbers with a default", "CategoryMapper", {"x": wholes}, domain=ML, default_string="none", **lists)


def ensemble(name, rows, modes, splits, members=None, **attributes):
    """Two trees: four branches, the root of the second the last; five leaves."""
    given = {
        "tree_roots": [0, 3], "n_targets": 2,
        "nodes_featureids": [0, 1, 2, 1], "nodes_modes": np.array(modes, np.uint8), "nodes_splits": f32(*splits),
        "nodes_truenodeids": [1, 0, 2, 4], "nodes_trueleafs": [0, 1, 1, 1],
        "nodes_falsenodeids": [2, 1, 3, 0], "nodes_falseleafs": [0, 1, 1, 1],
        "nodes_missing_value_tracks_true": [0, 1, 0, 1],
        "leaf_targetids": [0, 1, 0, 1, 1], "leaf_weights": f32(0.5, -1.25, 3.0, 0.125, 2.0),
    } | attributes
    if members is not None:
        given["membership_values"] = f32(*members)
    given = {key: numpy_helper.from_array(v) if isinstance(v, np.ndarray) else v for key, v in given.items()}
    return one(name, "TreeEnsemble", {"x": rows}, domain=ML, opset=21, ml=5, **given)


def ensemble_cases():
    rng = np.random.default_rng(20261122)
    splits = [0.5, -1.0, 2.0, 1.0]
    rows = rng.choice([-1.0, 0.5, 1.0, 2.0, 3.0, np.nan, 0.0], size=(40, 3)).astype(np.float32)
    edges = np.nextafter(rows, rng.choice([-np.inf, np.inf], size=rows.shape)).astype(np.float32)
    rows = np.concatenate([rows, edges])
    for mode in range(6):
        yield ensemble(f"TreeEnsemble of mode {mode}", rows, [mode] * 4, splits)
    yield ensemble("TreeEnsemble of every mode", rows, [0, 1, 2, 5], splits)
    for name, code in {"average": 0, "sum": 1, "least": 2, "greatest": 3}.items():
        yield ensemble(f"TreeEnsemble of the {name}", rows, [0] * 4, splits, aggregate_function=code)
    yield ensemble("TreeEnsemble and softmax zero", rows, [0] * 4, splits, post_transform=3)
    yield ensemble("TreeEnsemble of members", rows, [6, 0, 0, 6], splits, [1.0, 3.0, np.nan, 2.0, np.nan])
    yield ensemble("TreeEnsemble of members that are many", rows, [0, 0, 6, 0], splits, [1.0, 3.0, 2.0, 7.0, 5.0, np.nan])
    yield ensemble("TreeEnsemble of nothing missing", rows, [0] * 4, splits, nodes_missing_value_tracks_true=[0] * 4)


def line_cases():
    for cases in [reduce_cases, along_cases, pick_cases, scan_cases, category_cases, ensemble_cases]:
        yield from cases()

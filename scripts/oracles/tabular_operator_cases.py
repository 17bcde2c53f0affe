"""The cases of tabular_operators.py other than trees: standard operators and small ones of ai.onnx.ml.

Imported by tabular_operators.py; makes no files on its own.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

ML = "ai.onnx.ml"
nan, inf = np.nan, np.inf


@dataclass
class Case:
    """Nodes, what is fed to them, and the outputs to ask for."""

    name: str
    nodes: list
    feeds: dict[str, Any]
    constants: dict[str, Any] = field(default_factory=dict)
    opset: int = 15
    ml: int = 3
    outputs: list[str] = field(default_factory=lambda: ["y"])


def one(name, op, feeds, constants=None, outputs=1, domain="", opset=15, ml=3, order=None, **attributes):
    """A single node over all its feeds and constants, in order unless `order` says another."""
    constants = constants or {}
    names = [f"y{i}" for i in range(outputs)] if outputs > 1 else ["y"]
    inputs = order if order is not None else [*feeds, *constants]
    node = helper.make_node(op, inputs, names, name=f"the {op}", domain=domain, **attributes)
    return Case(name, [node], feeds, constants, opset, ml, names)


def f32(*values):
    return np.array(values, np.float32)


def i64(*values):
    return np.array(values, np.int64)


def texts(*values):
    return np.array(values, dtype=object)


REALS = [
    [1.5, -2.25, 0.0, -0.0], [nan, 3.0, inf, -inf], [1e-30, 1e30, -1e-30, -1e30],
    [0.5, 0.25, 7.75, -7.75], [88.0, -88.0, 20.0, -20.0], [2.5, 3.5, -2.5, -3.5],
]
X32, X64 = np.array(REALS, np.float32), np.array(REALS, np.float64)
# No infinities and no NaN: what is added up in another order stays comparable.
PLAIN = np.array([[1.5, -2.25, 0.5, 4.0], [3.0, 3.0, -1.0, 0.0], [0.1, 0.2, 0.3, -0.4]])
P32, P64 = PLAIN.astype(np.float32), PLAIN
WHOLES = [[3, -4, 0], [7, 7, -7], [2**31 - 1, -(2**31) + 1, 5]]
X_I64, X_I32 = np.array(WHOLES, np.int64), np.array(WHOLES, np.int32)
TRUTHS = np.array([[True, False], [False, False], [True, True]])
LETTERS = texts(["a", "b"], ["", "übrig"], ["b", "a"])
BY_TYPE = {"f32": X32, "f64": X64, "i32": X_I32, "i64": X_I64}


def unary_cases():
    for op, kinds in {
        "Abs": "f32 f64 i32 i64", "Neg": "f32 f64 i32 i64", "Sign": "f32 f64 i32 i64",
        "Floor": "f32 f64", "Exp": "f32 f64", "Log": "f32 f64", "Sqrt": "f32 f64",
        "Tanh": "f32 f64", "Sigmoid": "f32 f64", "Relu": "f32 f64 i32", "IsNaN": "f32 f64",
    }.items():
        for kind in kinds.split():
            yield one(f"{op} {kind}", op, {"x": BY_TYPE[kind]})
    yield one("Not", "Not", {"x": TRUTHS})
    for name, value in (BY_TYPE | {"bool": TRUTHS, "text": LETTERS}).items():
        yield one(f"Identity {name}", "Identity", {"x": value})
    yield one("Clip of version 6", "Clip", {"x": X32}, opset=10, min=-2.0, max=3.0)
    yield one("Clip of version 6 from below", "Clip", {"x": X32}, opset=10, min=-2.0)
    bounds = {"low": np.float32(-2.0), "high": np.float32(3.0)}
    bounds = {k: np.array(v) for k, v in bounds.items()}
    yield one("Clip", "Clip", {"x": X32}, bounds)
    high = {"high": np.array(3.0)}
    yield one("Clip from above", "Clip", {"x": X64}, high, order=["x", "", "high"])
    low = {"low": np.array(-3, np.int64)}
    yield one("Clip whole numbers", "Clip", {"x": X_I64}, low)


def binary_cases():
    right = {
        "f32": np.array([2.0, -0.5, nan, 3.0], np.float32), "f64": np.array([2.0, -0.5, nan, 3.0]),
        "i32": np.array([2, -3, 5], np.int32), "i64": np.array([2, -3, 5], np.int64),
    }
    for op in ["Add", "Sub", "Mul", "Div"]:
        for kind, value in BY_TYPE.items():
            yield one(f"{op} {kind}", op, {"x": value}, {"b": right[kind]})
    for op in ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"]:
        for kind, value in BY_TYPE.items():
            yield one(f"{op} {kind}", op, {"x": value}, {"b": value[1].copy()})
    yield one("Equal texts", "Equal", {"x": LETTERS}, {"b": texts("a")}, opset=19)
    yield one("Equal truths", "Equal", {"x": TRUTHS}, {"b": TRUTHS[0].copy()})
    for kind in ["f32", "f64"]:
        yield one(f"Pow {kind}", "Pow", {"x": BY_TYPE[kind]}, {"b": right[kind]})
    for op in ["And", "Or"]:
        yield one(op, op, {"x": TRUTHS}, {"b": np.array([True, False])})
    columns = {"x": P32[:, :1].copy(), "z": P32.copy()}
    yield one("Mul of a column and a matrix", "Mul", columns)
    cube = {"x": np.arange(12, dtype=np.float32).reshape(3, 2, 2)}
    yield one("Sub of a cube and a row", "Sub", cube, {"b": f32([1.0], [2.0])})
    yield one("Add of a cube from the left", "Add", cube, {"b": f32(1.0, 2.0)}, order=["b", "x"])
    for op in ["Max", "Min", "Sum"]:
        three = {"a": f32(1.0, 1.0, nan, -1.0), "b": np.array(np.float32(0.25))}
        yield one(f"{op} of three", op, {"x": X32}, three)
        yield one(f"{op} of one", op, {"x": X32})
    for op in ["Max", "Min"]:
        yield one(f"{op} whole numbers", op, {"x": X_I64}, {"b": i64(3)})


def cast_cases():
    # Beyond the range of the target the language leaves it open, and machines differ.
    fit = np.array([[1.9, -1.9, 0.0, -0.0], [1e9, -1e9, 0.4, 1e-30]])
    sources = {
        "f32": fit.astype(np.float32), "f64": fit, "i32": X_I32, "i64": X_I64, "bool": TRUTHS,
        "u8": np.array([[0, 1, 255]], np.uint8), "i8": np.array([[-128, 1, 127]], np.int8),
        "text": texts(["1", "-20"], ["300", "0"]),
    }
    numbers = {"f32": 1, "i32": 6, "i64": 7, "bool": 9, "f64": 11}
    for source, value in sources.items():
        for target, code in numbers.items():
            if source == "text" and target == "bool":
                continue
            yield one(f"Cast {source} to {target}", "Cast", {"x": value}, to=code)
    for source in ["i32", "i64"]:
        yield one(f"Cast {source} to text", "Cast", {"x": sources[source]}, to=8)
    reals = texts("1.5", "-2e3", "NaN", "inf", "0.1")
    yield one("Cast text to f32 with fractions", "Cast", {"x": reals}, to=1)
    yield one("Cast f32 NaN to bool", "Cast", {"x": X32}, to=9)


def shape_cases():
    cube = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    yield one("Reshape", "Reshape", {"x": cube}, {"s": i64(0, -1)})
    yield one("Reshape to a column", "Reshape", {"x": P32}, {"s": i64(-1, 1)})
    yield one("Flatten", "Flatten", {"x": cube}, axis=1)
    yield one("Flatten at the end", "Flatten", {"x": cube}, axis=3)
    yield one("Flatten from the end", "Flatten", {"x": cube}, axis=-1)
    yield one("Transpose", "Transpose", {"x": cube})
    yield one("Transpose by an order", "Transpose", {"x": cube}, perm=[0, 2, 1])
    yield one("Transpose texts", "Transpose", {"x": LETTERS})
    wide = cube.reshape(2, 1, 3, 4, 1)
    yield one("Squeeze of version 1", "Squeeze", {"x": wide}, opset=11, axes=[1])
    yield one("Squeeze", "Squeeze", {"x": wide}, {"a": i64(-1)})
    yield one("Unsqueeze of version 1", "Unsqueeze", {"x": P32}, opset=11, axes=[1, 3])
    yield one("Unsqueeze", "Unsqueeze", {"x": P32}, {"a": i64(-1)})
    yield one("Shape", "Shape", {"x": cube})
    yield one("Shape of some axes", "Shape", {"x": cube}, start=-2, end=3)
    seven = numpy_helper.from_array(np.array([7], np.int64))
    shape = helper.make_node("Shape", ["x"], ["s"])
    fill = helper.make_node("ConstantOfShape", ["s"], ["y"], value=seven)
    yield Case("ConstantOfShape", [shape, fill], {"x": P32})
    fill = helper.make_node("ConstantOfShape", ["s"], ["y"])
    yield Case("ConstantOfShape of zeros", [shape, fill], {"x": P32})
    for name, attributes in {
        "a tensor": {"value": numpy_helper.from_array(f32(1.0, 2.0, 3.0, 4.0))},
        "floats": {"value_floats": [1.0, 2.0, 3.0, 4.0]}, "a float": {"value_float": 0.5},
    }.items():
        constant = helper.make_node("Constant", [], ["c"], **attributes)
        add = helper.make_node("Add", ["x", "c"], ["y"])
        yield Case(f"Constant of {name}", [constant, add], {"x": P32})


def piece_cases():
    both = {"x": P32, "z": np.ascontiguousarray(P32[:, :2])}
    yield one("Concat", "Concat", both, axis=1)
    yield one("Concat from the end", "Concat", both, axis=-1)
    yield one("Concat texts", "Concat", {"x": LETTERS, "z": LETTERS.copy()}, axis=1)
    yield one("Concat rows", "Concat", {"x": X_I64, "z": X_I64.copy()}, axis=0)
    yield one("Gather", "Gather", {"x": P32}, {"i": i64(2, 0, -1)}, axis=1)
    yield one("Gather one", "Gather", {"x": P32}, {"i": np.array(1, np.int64)}, axis=1)
    yield one("Gather texts by a matrix", "Gather", {"x": LETTERS}, {"i": i64([0, 1], [1, 0])}, axis=1)
    take = {"x": P32}
    yield one("ArrayFeatureExtractor", "ArrayFeatureExtractor", take, {"i": i64(3, 0)}, domain=ML)
    labels = {"i": X_I64[:, 0].copy() % 3}
    one_row = helper.make_node("ArrayFeatureExtractor", ["c", "i"], ["y"], domain=ML)
    yield Case("ArrayFeatureExtractor of labels", [one_row], labels, {"c": i64(10, 20, 30)})
    cube = np.arange(60, dtype=np.int64).reshape(3, 4, 5)
    yield one("Slice of version 1", "Slice", {"x": cube}, opset=9, axes=[1, 2], starts=[1, -3], ends=[3, 100])
    bounds = {"s": i64(3, -1), "e": i64(0, -100), "a": i64(1, 2), "t": i64(-1, -2)}
    yield one("Slice backwards", "Slice", {"x": cube}, bounds)
    yield one("Slice columns", "Slice", {"x": P64}, {"s": i64(1), "e": i64(3), "a": i64(1)})
    yield one("Split evenly", "Split", {"x": P32}, outputs=2, axis=1)
    yield one("Split of version 2", "Split", {"x": P32}, outputs=2, axis=1, opset=11, split=[3, 1])
    yield one("Split", "Split", {"x": P32}, {"s": i64(1, 3)}, outputs=2, axis=-1)
    yield one("Split unevenly", "Split", {"x": X_I64}, outputs=2, axis=1, opset=18, num_outputs=2)
    condition = {"c": np.array([[True, False, True, False]] * 3)}
    yield one("Where", "Where", condition | {"x": P32}, {"z": f32(9.0)})
    yield one("Where of texts", "Where", {"c": TRUTHS, "x": LETTERS}, {"z": texts("?")})


def reduce_cases():
    cube = np.sin(np.arange(24, dtype=np.float32)).reshape(2, 3, 4)
    for op, since in {"ReduceSum": 13, "ReduceMean": 18, "ReduceMax": 18, "ReduceMin": 18}.items():
        yield one(f"{op} by attribute", op, {"x": cube}, opset=since - 2, axes=[1], keepdims=0)
        yield one(f"{op} from the end", op, {"x": cube}, opset=since - 2, axes=[-1, 1])
        yield one(f"{op} by input", op, {"x": cube}, {"a": i64(2)}, opset=since)
        yield one(f"{op} of all", op, {"x": cube}, opset=since - 2, keepdims=0)
        yield one(f"{op} of none", op, {"x": cube}, opset=since, noop_with_empty_axes=1)
    yield one("ReduceSum of whole numbers", "ReduceSum", {"x": X_I64}, {"a": i64(1)}, keepdims=0)
    ties = f32([1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [-1.0, -5.0, -5.0], [inf, -inf, inf])
    for op in ["ArgMax", "ArgMin"]:
        yield one(f"{op}", op, {"x": ties}, axis=1)
        yield one(f"{op} last", op, {"x": ties}, axis=-1, keepdims=0, select_last_index=1)
        yield one(f"{op} down", op, {"x": X_I64}, axis=0)
    yield one("Softmax", "Softmax", {"x": P32})
    yield one("Softmax f64", "Softmax", {"x": P64}, axis=1)
    yield one("Softmax of the middle", "Softmax", {"x": cube}, axis=1)
    yield one("Softmax of version 1", "Softmax", {"x": cube}, opset=11, axis=1)
    yield one("Softmax large", "Softmax", {"x": f32([1e30, 1.0], [-1e30, 1.0], [88.0, 89.0])})


def product_cases():
    weights = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75], [0.1, 0.2, 0.3], [-2.0, 1.0, 0.0]])
    for kind, x in {"f32": P32, "f64": P64}.items():
        w = weights.astype(x.dtype)
        yield one(f"MatMul {kind}", "MatMul", {"x": x}, {"w": w})
        bias = {"w": w, "c": np.array([0.5, -0.5, 1.0], x.dtype)}
        yield one(f"Gemm {kind}", "Gemm", {"x": x}, bias, alpha=0.5, beta=2.0)
        turned = {"w": w.T.copy()}
        yield one(f"Gemm turned {kind}", "Gemm", {"x": x}, turned, transB=1)
    yield one("MatMul by a vector", "MatMul", {"x": P32}, {"w": weights[:, 0].astype(np.float32)})
    cube = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    yield one("MatMul of a cube", "MatMul", {"x": cube}, {"w": weights.astype(np.float32)})
    addend = {"w": weights.astype(np.float32), "c": np.array(np.float32(3.0))}
    yield one("Gemm plus one number", "Gemm", {"x": P32}, addend)


POSTS = ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"]


def linear_cases():
    three = dict(coefficients=[0.5, -1.0, 2.0, 0.1, -0.3, 0.2, 0.7, 0.0, 1.0, 1.0, -1.0, 0.5])
    small = P32 / 8.0
    for post in POSTS:
        attributes = three | dict(intercepts=[0.1, -0.2, 0.3], post_transform=post)
        yield one(
            f"LinearClassifier {post}", "LinearClassifier", {"x": small}, outputs=2, domain=ML,
            classlabels_ints=[5, 6, 7], **attributes)
        yield one(
            f"LinearRegressor of three {post}", "LinearRegressor", {"x": small}, domain=ML,
            targets=3, **attributes)
    two = dict(coefficients=[0.5, -1.0, 2.0, 0.1, -0.5, 1.0, -2.0, -0.1], intercepts=[0.1, -0.1])
    for kind, x in {"f32": P32, "f64": P64, "i64": X_I64[:2, [0, 1, 2, 0]]}.items():
        yield one(
            f"LinearClassifier of texts {kind}", "LinearClassifier", {"x": x}, outputs=2,
            domain=ML, classlabels_strings=["no", "yes"], post_transform="LOGISTIC", **two)
    single = dict(coefficients=[0.5, -1.0, 2.0, 0.1], intercepts=[0.1])
    yield one(
        "LinearClassifier of one score", "LinearClassifier", {"x": P32}, outputs=2, domain=ML,
        classlabels_ints=[0, 1], post_transform="NONE", **single)
    yield one("LinearRegressor", "LinearRegressor", {"x": P32}, domain=ML, **single)
    yield one(
        "LinearRegressor without intercept", "LinearRegressor", {"x": P32}, domain=ML,
        coefficients=[0.5, -1.0, 2.0, 0.1])


def preparation_cases():
    for kind, x in BY_TYPE.items():
        each = dict(offset=[1.0, 0.5, -2.0, 0.0][: x.shape[1]], scale=[2.0, 0.5, 1.0, -1.0][: x.shape[1]])
        yield one(f"Scaler {kind}", "Scaler", {"x": x}, domain=ML, **each)
    yield one("Scaler of one for all", "Scaler", {"x": X32}, domain=ML, offset=[1.0], scale=[2.0])
    for norm in ["MAX", "L1", "L2"]:
        rows = {"x": np.concatenate([P32, np.zeros((1, 4), np.float32)])}
        yield one(f"Normalizer {norm}", "Normalizer", rows, domain=ML, norm=norm)
    yield one(
        "Imputer of NaN", "Imputer", {"x": X32}, domain=ML,
        imputed_value_floats=[1.0, 2.0, 3.0, 4.0], replaced_value_float=nan)
    yield one(
        "Imputer of a number", "Imputer", {"x": X32}, domain=ML,
        imputed_value_floats=[9.0], replaced_value_float=3.0)
    yield one(
        "Imputer of whole numbers", "Imputer", {"x": X_I64}, domain=ML,
        imputed_value_int64s=[9, 8, 7], replaced_value_int64=7)
    finite = np.where(np.isnan(X32), np.float32(0.5), X32)
    yield one("Binarizer", "Binarizer", {"x": finite}, domain=ML, threshold=0.5)
    widths = {"x": P32, "z": np.ascontiguousarray(P32[:, :2])}
    yield one("FeatureVectorizer", "FeatureVectorizer", widths, domain=ML, inputdimensions=[4, 2])


def category_cases():
    def one_hot(name, x, **attributes):
        return one(f"OneHotEncoder {name}", "OneHotEncoder", {"x": x}, domain=ML, **attributes)

    yield one_hot("i64", X_I64, cats_int64s=[7, 0, -4, 3])
    yield one_hot("i64 flat", X_I64[:, 0].copy(), cats_int64s=[7, 0, -4, 3])
    yield one_hot("texts", LETTERS, cats_strings=["b", "a", "übrig"])
    yield one_hot("known texts", LETTERS, cats_strings=["b", "a", "übrig", ""], zeros=0)
    yield one_hot("f32", f32([1.0, 2.5], [2.0, -3.0]), cats_int64s=[1, 2, 3])

    def encoder(name, x, ml=2, **attributes):
        return one(f"LabelEncoder {name}", "LabelEncoder", {"x": x}, domain=ML, ml=ml, **attributes)

    yield encoder("of version 1 to wholes", LETTERS, ml=1, classes_strings=["a", "übrig"], default_int64=9)
    yield encoder("of version 1 to texts", X_I64 % 4, ml=1, classes_strings=["p", "q", "r"], default_string="?")
    yield encoder("texts to i64", LETTERS, keys_strings=["a", "b"], values_int64s=[5, 6], default_int64=-7)
    yield encoder("texts to f32", LETTERS, keys_strings=["a", "b"], values_floats=[0.5, 1.5], default_float=-1.0)
    yield encoder("i64 to texts", X_I64, keys_int64s=[3, 7], values_strings=["three", "seven"], default_string="?")
    yield encoder("i64 to i64", X_I64, keys_int64s=[3, 7], values_int64s=[30, 70])
    yield encoder("f32 to f32", X32, keys_floats=[1.5, 0.0, 3.0], values_floats=[9.0, 8.0, 7.0])
    yield encoder("f32 to i64 with NaN", X32, ml=4, keys_floats=[1.5, nan], values_int64s=[1, 2])
    pairs = dict(
        keys_tensor=numpy_helper.from_array(np.array([1.5, nan, inf])),
        values_tensor=numpy_helper.from_array(np.array([10.0, 20.0, 30.0])),
        default_tensor=numpy_helper.from_array(np.array([-1.0])))
    yield encoder("f64 by tensors", X64, ml=4, **pairs)
    score = np.array([[0.25, 0.75], [1.0, 0.0]], np.float32)
    yield one("ZipMap", "ZipMap", {"x": score}, domain=ML, classlabels_int64s=[4, 2])
    yield one("ZipMap of texts", "ZipMap", {"x": score}, domain=ML, classlabels_strings=["p", "q"])


def all_cases():
    for cases in [
        unary_cases, binary_cases, cast_cases, shape_cases, piece_cases, reduce_cases,
        product_cases, linear_cases, preparation_cases, category_cases,
    ]:
        yield from cases()

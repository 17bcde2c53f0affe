"""Train the small models of tabular.py and export them to ONNX.

Imported by tabular.py; makes no files on its own. Every model is fitted with a
fixed seed on data that scikit-learn bundles, so that nothing is downloaded.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType as LgbmFloat
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skl2onnx import to_onnx
from skl2onnx.common.data_types import (
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)

SEED = 20240917
OPSET = {"": 15, "ai.onnx.ml": 3}


@dataclass
class Exported:
    """One trained and exported model with the data that it was fitted on."""

    name: str
    proto: Any
    data: Any
    classes: Any = None


def single_input(name, model, data, zipmap=False):
    """Fit `model` on float32 features and export it with one input."""
    features = data.data.astype(np.float32)
    model.fit(features, data.target)
    inputs = [("features", FloatTensorType([None, features.shape[1]]))]
    is_classifier = hasattr(model, "classes_")
    options = {id(model): {"zipmap": zipmap}} if is_classifier else None
    proto = to_onnx(
        model, initial_types=inputs, options=options, target_opset=OPSET, name=name
    )
    classes = [int(c) for c in model.classes_] if is_classifier else None
    return Exported(name, proto, features, classes)


def breast_cancer_models():
    data = load_breast_cancer()
    forest = RandomForestClassifier(20, max_depth=6, random_state=SEED)
    boosting = GradientBoostingClassifier(
        n_estimators=50, max_depth=4, random_state=SEED
    )
    mlp = MLPClassifier((32, 16), max_iter=1000, alpha=1.0, random_state=SEED)
    yield single_input(
        "logistic", make_pipeline(StandardScaler(), LogisticRegression()), data
    )
    yield single_input("forest", forest, data)
    yield single_input("boosting", boosting, data)
    yield lightgbm_model(data)
    yield single_input("mlp", make_pipeline(StandardScaler(), mlp), data)


def lightgbm_model(data):
    """LightGBM with missing values in training: both NaN directions are learned."""
    features = data.data.astype(np.float32)
    holes = np.random.default_rng(SEED).random(features.shape) < 0.12
    # Missing more often in one class for half of the features, so that the
    # learned direction of NaN is not the same at every node.
    holes[:, ::2] &= (data.target == 1)[:, None]
    features[holes] = np.nan
    model = LGBMClassifier(
        n_estimators=30, num_leaves=24, min_child_samples=5, n_jobs=1,
        random_state=SEED, deterministic=True, verbose=-1,
    )
    model.fit(features, data.target)
    proto = convert_lightgbm(
        model, name="lightgbm", zipmap=False, target_opset=OPSET[""],
        initial_types=[("features", LgbmFloat([None, features.shape[1]]))],
    )
    return Exported("lightgbm", proto, features, [0, 1])


def other_models():
    diabetes = load_diabetes(scaled=False)
    regressor = GradientBoostingRegressor(
        n_estimators=50, max_depth=4, random_state=SEED
    )
    yield single_input("boosting_regressor", regressor, diabetes)
    yield single_input("linear_regressor", LinearRegression(), diabetes)
    multiclass = RandomForestClassifier(20, max_depth=6, random_state=SEED)
    yield single_input("multiclass", multiclass, load_wine(), zipmap=True)
    yield pipeline_model()


NUMERIC = ["mean_radius", "mean_texture", "worst_concavity"]


def pipeline_table():
    """Breast cancer as a table of mixed types: three floats, an int, a string.

    The categorical columns are binned from features that are not used as
    numbers, so that the model has something to learn from them.
    """
    data = load_breast_cancer()
    column = dict(zip(data.feature_names, data.data.T.astype(np.float32)))
    table = pd.DataFrame({n: column[n.replace("_", " ")] for n in NUMERIC})
    table["grade"] = np.digitize(
        column["worst area"], np.quantile(column["worst area"], [0.25, 0.5, 0.75])
    ).astype(np.int64)
    sites = np.array(["left", "right", "upper", "lower"], dtype=object)
    bins = np.quantile(column["mean symmetry"], [0.3, 0.6, 0.9])
    table["site"] = sites[np.digitize(column["mean symmetry"], bins)]
    holes = np.random.default_rng(SEED).random((len(table), len(NUMERIC))) < 0.08
    table[NUMERIC] = table[NUMERIC].mask(holes)
    return table, data.target


def pipeline_model():
    """The usual preprocessing pipeline, one ONNX input per column, ZipMap on."""
    table, target = pipeline_table()
    numeric = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    encode = OneHotEncoder(handle_unknown="ignore")
    columns = ColumnTransformer([
        ("numeric", numeric, NUMERIC),
        ("grade", encode, ["grade"]),
        ("site", encode, ["site"]),
    ])
    model = Pipeline([("columns", columns), ("model", LogisticRegression())])
    model.fit(table, target)
    kinds = [(n, FloatTensorType([None, 1])) for n in NUMERIC]
    kinds += [("grade", Int64TensorType([None, 1]))]
    kinds += [("site", StringTensorType([None, 1]))]
    proto = to_onnx(model, initial_types=kinds, target_opset=OPSET, name="pipeline")
    return Exported("pipeline", proto, table, [int(c) for c in model.classes_])


def all_models():
    yield from breast_cancer_models()
    yield from other_models()

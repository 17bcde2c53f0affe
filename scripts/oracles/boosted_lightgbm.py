"""The LightGBM models of boosted.py: every objective, boosting and kind of split. Makes no files."""

from dataclasses import dataclass
from typing import Any, Callable

import lightgbm as lgb
import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

SEED = 20261121


@dataclass
class Model:
    """A trained model, saved, with the rows it was fitted on and its library's answer."""

    name: str
    file: str
    bytes: bytes
    data: Any
    features: list
    thresholds: dict
    predict: Callable


def with_missing(data, share, rng, value=np.nan):
    data = data.copy()
    data[rng.random(data.shape) < share] = value
    return data


def categorical(rng, rows=1500):
    """Numbers and codes of categories, some missing, and a target that depends on both."""
    codes = np.column_stack([rng.integers(0, 5, rows), rng.integers(0, 70, rows)]).astype(float)
    numbers = rng.normal(size=(rows, 3))
    odd = np.isin(codes[:, 1], [3, 17, 31, 32, 33, 64, 69])
    target = numbers[:, 0] + 2 * odd + (codes[:, 0] == 2) * numbers[:, 1] + rng.normal(scale=0.1, size=rows)
    codes[rng.random(rows) < 0.05, 1] = np.nan
    return np.column_stack([codes, numbers]), target


def cases():
    """Name, rows, target, parameters, what else the data set is told."""
    rng = np.random.default_rng(SEED)
    cancer, wine, diabetes = load_breast_cancer(), load_wine(), load_diabetes()
    mixed, mixed_target = categorical(rng)
    gaps = with_missing(cancer.data, 0.2, rng)
    zeros = with_missing(cancer.data, 0.2, rng, 0.0)
    counts = rng.poisson(np.exp(0.5 * mixed[:, 2]))
    share = 1 / (1 + np.exp(-mixed_target))
    groups = [len(mixed) // 30] * 30
    relevance = np.digitize(mixed_target, [0, 1, 2])
    positive = np.abs(diabetes.target) + 1
    return [
        ("binary", cancer.data, cancer.target, {"objective": "binary"}, {}),
        ("binary_sigmoid", cancer.data, cancer.target, {"objective": "binary", "sigmoid": 0.7}, {}),
        ("binary_missing", gaps, cancer.target, {"objective": "binary"}, {}),
        ("binary_zero_missing", zeros, cancer.target, {"objective": "binary", "zero_as_missing": True}, {}),
        ("binary_dart", cancer.data, cancer.target, {"objective": "binary", "boosting": "dart", "drop_rate": 0.5}, {}),
        ("binary_forest", gaps, cancer.target, {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, {}),
        ("binary_goss", cancer.data, cancer.target, {"objective": "binary", "data_sample_strategy": "goss"}, {}),
        ("binary_categories", mixed, mixed_target > 0.5, {"objective": "binary"}, {"categorical_feature": [0, 1]}),
        ("categories_missing", mixed, mixed_target, {"objective": "regression", "max_cat_to_onehot": 8, "cat_smooth": 1, "min_data_per_group": 5}, {"categorical_feature": [0, 1]}),
        ("multiclass", wine.data, wine.target, {"objective": "multiclass", "num_class": 3}, {}),
        ("multiclass_one_vs_all", wine.data, wine.target, {"objective": "multiclassova", "num_class": 3, "sigmoid": 1.5}, {}),
        ("multiclass_categories", mixed, np.digitize(mixed_target, [0, 1]), {"objective": "multiclass", "num_class": 3}, {"categorical_feature": [0, 1]}),
        ("regression", diabetes.data, diabetes.target, {"objective": "regression"}, {}),
        ("regression_sqrt", diabetes.data, diabetes.target - 150, {"objective": "regression", "reg_sqrt": True}, {}),
        ("regression_l1", diabetes.data, diabetes.target, {"objective": "regression_l1"}, {}),
        ("regression_l1_sqrt", diabetes.data, diabetes.target, {"objective": "regression_l1", "reg_sqrt": True}, {}),
        ("huber_sqrt", diabetes.data, diabetes.target, {"objective": "huber", "reg_sqrt": True}, {}),
        ("quantile_sqrt", diabetes.data, diabetes.target, {"objective": "quantile", "reg_sqrt": True}, {}),
        ("huber", diabetes.data, diabetes.target, {"objective": "huber"}, {}),
        ("quantile", diabetes.data, diabetes.target, {"objective": "quantile", "alpha": 0.9}, {}),
        ("poisson", mixed, counts, {"objective": "poisson"}, {}),
        ("gamma", diabetes.data, positive, {"objective": "gamma"}, {}),
        ("tweedie", mixed, counts, {"objective": "tweedie"}, {}),
        ("cross_entropy", mixed, share, {"objective": "cross_entropy"}, {}),
        ("cross_entropy_lambda", mixed, share, {"objective": "cross_entropy_lambda"}, {}),
        ("lambdarank", mixed, relevance, {"objective": "lambdarank"}, {"group": groups}),
        ("deep", mixed, mixed_target, {"objective": "regression", "num_leaves": 120, "min_data_in_leaf": 1}, {}),
        ("one_leaf", diabetes.data, diabetes.target, {"objective": "regression", "min_data_in_leaf": 300}, {}),
        ("forest_regression", diabetes.data, diabetes.target, {"objective": "regression", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, {}),
    ]


def thresholds(booster):
    """The numeric thresholds of each feature."""
    found = {}
    todo = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    while todo:
        node = todo.pop()
        if "split_feature" not in node:
            continue
        if node["decision_type"] == "<=":
            found.setdefault(node["split_feature"], []).append(node["threshold"])
        todo += [node["left_child"], node["right_child"]]
    return found


def lightgbm_models():
    for name, data, target, parameters, told in cases():
        names = [f"f{at}" for at in range(data.shape[1])]
        common = {"num_leaves": 8, "seed": SEED, "deterministic": True, "num_threads": 1, "verbosity": -1}
        booster = lgb.train({**common, **parameters}, lgb.Dataset(data, target, feature_name=names, **told), 12)
        text = booster.model_to_string(importance_type="split").encode()
        yield Model(f"lightgbm_{name}", f"lightgbm_{name}.txt", text, data, names, thresholds(booster), booster.predict)

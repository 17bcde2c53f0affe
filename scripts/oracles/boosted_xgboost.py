"""The XGBoost models of boosted.py: every objective, boosting and kind of split. Makes no files."""

import json

import numpy as np
import xgboost as xgb
from boosted_lightgbm import SEED, Model, categorical, with_missing
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine


def cases():
    """Name, rows, target, parameters, which columns are categories."""
    rng = np.random.default_rng(SEED)
    cancer, wine, diabetes = load_breast_cancer(), load_wine(), load_diabetes()
    mixed, mixed_target = categorical(rng)
    gaps = with_missing(cancer.data, 0.2, rng)
    counts = rng.poisson(np.exp(0.5 * mixed[:, 2]))
    positive = np.abs(diabetes.target) + 1
    classes = np.digitize(mixed_target, [0, 1])
    return [
        ("binary", cancer.data, cancer.target, {"objective": "binary:logistic"}, []),
        ("binary_base", cancer.data, cancer.target, {"objective": "binary:logistic", "base_score": 0.1}, []),
        ("binary_base_zero", cancer.data, cancer.target, {"objective": "binary:logistic", "base_score": 0.0}, []),
        ("binary_base_one", cancer.data, cancer.target, {"objective": "binary:logistic", "base_score": 1.0}, []),
        ("binary_missing", gaps, cancer.target, {"objective": "binary:logistic"}, []),
        ("binary_raw", cancer.data, cancer.target, {"objective": "binary:logitraw"}, []),
        ("binary_hinge", cancer.data, cancer.target, {"objective": "binary:hinge"}, []),
        ("dart", cancer.data, cancer.target, {"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.5}, []),
        ("parallel", cancer.data, cancer.target, {"objective": "binary:logistic", "num_parallel_tree": 3, "subsample": 0.6}, []),
        ("categories", mixed, mixed_target, {"objective": "reg:squarederror", "max_cat_to_onehot": 1}, [0, 1]),
        ("categories_one_hot", mixed, mixed_target > 0.5, {"objective": "binary:logistic", "max_cat_to_onehot": 100}, [0, 1]),
        ("softprob", wine.data, wine.target, {"objective": "multi:softprob", "num_class": 3}, []),
        ("softmax", wine.data, wine.target, {"objective": "multi:softmax", "num_class": 3}, []),
        ("softprob_categories", mixed, classes, {"objective": "multi:softprob", "num_class": 3, "max_cat_to_onehot": 4}, [0, 1]),
        ("multi_output_tree", wine.data, wine.target, {"objective": "multi:softprob", "num_class": 3, "multi_strategy": "multi_output_tree", "tree_method": "hist"}, []),
        ("squared", diabetes.data, diabetes.target, {"objective": "reg:squarederror"}, []),
        ("absolute", diabetes.data, diabetes.target, {"objective": "reg:absoluteerror"}, []),
        ("quantile", diabetes.data, diabetes.target, {"objective": "reg:quantileerror", "quantile_alpha": np.array([0.1, 0.9])}, []),
        ("poisson", mixed, counts, {"objective": "count:poisson"}, []),
        ("gamma", diabetes.data, positive, {"objective": "reg:gamma"}, []),
        ("tweedie", mixed, counts, {"objective": "reg:tweedie"}, []),
        ("targets", diabetes.data, np.column_stack([diabetes.target, -diabetes.target]), {"objective": "reg:squarederror"}, []),
        ("ranking", mixed, np.digitize(mixed_target, [0, 1, 2]), {"objective": "rank:ndcg"}, []),
        ("cox", diabetes.data, positive, {"objective": "survival:cox"}, []),
        ("lossguide", mixed, mixed_target, {"objective": "reg:squarederror", "grow_policy": "lossguide", "max_leaves": 60, "max_depth": 0, "tree_method": "hist"}, []),
        ("one_leaf", diabetes.data, diabetes.target, {"objective": "reg:squarederror", "gamma": 1e12}, []),
    ]


def thresholds(booster):
    """The numeric thresholds of each feature."""
    found = {}
    inner = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]
    for tree in inner.get("gbtree", inner)["model"]["trees"]:
        split = tree["split_type"] or [0] * len(tree["split_indices"])
        for at, left in enumerate(tree["left_children"]):
            if left != -1 and not split[at]:
                found.setdefault(tree["split_indices"][at], []).append(tree["split_conditions"][at])
    return found


def xgboost_models():
    for at, (name, data, target, parameters, categories) in enumerate(cases()):
        data = data.astype(np.float32)
        names = [f"f{column}" for column in range(data.shape[1])]
        types = ["c" if column in categories else "q" for column in range(data.shape[1])]

        def matrix(rows, target=None):
            # Codes that the booster has never seen are refused only where it encodes them itself.
            return xgb.DMatrix(rows, target, feature_names=names, feature_types=types, enable_categorical=True)

        rows = matrix(data, target)
        if name == "ranking":
            rows.set_group([len(data) // 30] * 30)
        booster = xgb.train({"max_depth": 3, "seed": SEED, "nthread": 1, **parameters}, rows, 12)
        form = "json" if name == "dart" else ["json", "ubj"][at % 2]
        predict = lambda rows, booster=booster, matrix=matrix: booster.predict(matrix(rows))  # noqa: E731
        yield Model(f"xgboost_{name}", f"xgboost_{name}.{form}", bytes(booster.save_raw(form)), data, names, thresholds(booster), predict)

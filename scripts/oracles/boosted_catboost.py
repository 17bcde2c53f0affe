"""The CatBoost models of boosted.py: symmetric trees and others, losses, missing values. Makes no files."""

import json
import tempfile
from pathlib import Path

import catboost as cb
import numpy as np
from boosted_lightgbm import SEED, Model, categorical, with_missing
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine


def cases():
    """Name, rows, target, parameters, kind of prediction."""
    rng = np.random.default_rng(SEED)
    cancer, wine, diabetes = load_breast_cancer(), load_wine(), load_diabetes()
    mixed, mixed_target = categorical(rng)
    gaps = with_missing(cancer.data, 0.2, rng)
    counts = rng.poisson(np.exp(0.5 * mixed[:, 2]))
    several = np.column_stack([diabetes.target, -diabetes.target])
    return [
        ("logloss", cancer.data, cancer.target, {"loss_function": "Logloss"}, "Probability"),
        ("missing_low", gaps, cancer.target, {"loss_function": "Logloss", "nan_mode": "Min"}, "Probability"),
        ("missing_high", gaps, cancer.target, {"loss_function": "Logloss", "nan_mode": "Max"}, "Probability"),
        ("cross_entropy", cancer.data, cancer.target * 0.8 + 0.1, {"loss_function": "CrossEntropy"}, "Probability"),
        ("multiclass", wine.data, wine.target, {"loss_function": "MultiClass"}, "Probability"),
        ("one_vs_all", wine.data, wine.target, {"loss_function": "MultiClassOneVsAll"}, None),
        ("rmse", diabetes.data, diabetes.target, {"loss_function": "RMSE"}, None),
        ("depthwise", diabetes.data, diabetes.target, {"loss_function": "RMSE", "grow_policy": "Depthwise"}, None),
        ("lossguide", gaps, cancer.target, {"loss_function": "Logloss", "grow_policy": "Lossguide", "max_leaves": 20}, "Probability"),
        ("lossguide_multiclass", wine.data, wine.target, {"loss_function": "MultiClass", "grow_policy": "Lossguide"}, "Probability"),
        ("mae", diabetes.data, diabetes.target, {"loss_function": "MAE"}, None),
        ("quantile", diabetes.data, diabetes.target, {"loss_function": "Quantile:alpha=0.9"}, None),
        ("poisson", mixed, counts, {"loss_function": "Poisson"}, "Exponent"),
        ("tweedie", mixed, counts, {"loss_function": "Tweedie:variance_power=1.5"}, "Exponent"),
        ("multi_rmse", diabetes.data, several, {"loss_function": "MultiRMSE"}, None),
    ]


def catboost_models():
    for name, data, target, parameters, kind in cases():
        data = data.astype(np.float32)
        names = [f"f{column}" for column in range(data.shape[1])]
        model = cb.CatBoost({"iterations": 12, "depth": 4, "random_seed": SEED, "thread_count": 1, "verbose": 0, "allow_writing_files": False, **parameters})
        model.fit(cb.Pool(data, target, feature_names=names))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.json"
            model.save_model(str(path), format="json")
            text = path.read_bytes()
        told = json.loads(text)
        told["model_info"] = {"params": {"loss_function": told["model_info"]["params"]["loss_function"]}}
        floats = told["features_info"]["float_features"]
        thresholds = {one["flat_feature_index"]: one["borders"] or [] for one in floats}

        def predict(rows, model=model, name=name, kind=kind):
            answer = model.predict(rows, prediction_type=kind or "RawFormulaVal")
            if name == "one_vs_all":
                return 1 / (1 + np.exp(-answer))
            return answer[:, 1] if kind == "Probability" and answer.shape[1] == 2 else answer

        # Without what says when and where it was trained.
        text = json.dumps(told).encode()
        yield Model(f"catboost_{name}", f"catboost_{name}.json", text, data, names, thresholds, predict)

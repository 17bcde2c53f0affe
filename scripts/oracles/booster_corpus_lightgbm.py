"""The LightGBM models of booster_corpus.py. Makes no files."""

import lightgbm as lgb
import numpy as np
from booster_corpus_models import SEED, Case, data, held_out
from boosted_lightgbm import thresholds


def lightgbm_objectives():
    """What its documentation lists (4.7.0, "Parameters", `objective`); it has no list of its own to ask for."""
    return [
        "regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape", "gamma", "tweedie", "binary", "multiclass",
        "multiclassova", "cross_entropy", "cross_entropy_lambda", "lambdarank", "rank_xendcg", "custom",
    ]


def squares(predictions, rows):
    """An objective of one's own, which leaves no name."""
    return predictions - rows.get_label(), np.ones(len(predictions))


def cases():
    """Name, what it shows, rows, target, parameters, what else the data set is told."""
    it = data()
    rng = np.random.default_rng(SEED)
    wide = it.mixed.copy()
    wide[:, 1] = rng.integers(0, 5_000, len(wide)) * rng.choice([1, 0], len(wide))
    codes = {"categorical_feature": [0, 1]}
    few = {"min_data_per_group": 1, "cat_smooth": 0.1, "cat_l2": 0.1, "min_data_in_leaf": 2}
    linear = {"linear_tree": True, "linear_lambda": 0.01}
    return [
        ("fair", "", it.numbers, it.target, {"objective": "fair"}, {}),
        ("mape", "", it.numbers, it.positive, {"objective": "mape"}, {}),
        ("fair_sqrt", "sqrt", it.numbers, it.target, {"objective": "fair", "reg_sqrt": True}, {}),
        ("mape_sqrt", "sqrt", it.numbers, it.positive, {"objective": "mape", "reg_sqrt": True}, {}),
        ("poisson", "", it.numbers, it.counts, {"objective": "poisson"}, {}),
        ("gamma", "", it.numbers, it.positive, {"objective": "gamma"}, {}),
        ("tweedie", "", it.numbers, it.counts, {"objective": "tweedie", "tweedie_variance_power": 1.2}, {}),
        ("custom", "an objective of one's own", it.numbers, it.target, {"objective": squares}, {}),
        ("rank_xendcg", "ranking", it.numbers, it.relevance, {"objective": "rank_xendcg"}, {"group": [30] * 20}),
        ("lambdarank", "ranking", it.gaps, it.relevance, {"objective": "lambdarank"}, {"group": [30] * 20}),
        ("unbalanced", "is_unbalance", it.numbers, it.target > 1.5, {"objective": "binary", "is_unbalance": True}, {}),
        ("dart_multiclass", "dart, softmax", it.numbers, it.classes, {"objective": "multiclass", "num_class": 3, "boosting": "dart", "drop_rate": 0.5}, {}),
        ("forest_multiclass", "rf, softmax", it.numbers, it.classes, {"objective": "multiclass", "num_class": 3, "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, {}),
        ("goss_regression", "goss", it.numbers, it.target, {"objective": "regression", "data_sample_strategy": "goss"}, {}),
        ("one_vs_all_categories", "one against all, categories", it.mixed, it.classes, {"objective": "multiclassova", "num_class": 3}, codes),
        ("wide_categories", "sets of categories up to 5,000", wide, it.target + (wide[:, 1] > 2_500), {"objective": "regression", **few}, codes),
        ("one_hot_categories", "categories one by one", it.mixed, it.target, {"objective": "regression", "max_cat_to_onehot": 100, **few}, codes),
        ("no_missing", "use_missing=false", it.numbers, it.target, {"objective": "regression", "use_missing": False}, {}),
        ("one_column_missing", "missing in one column", it.gaps, it.target, {"objective": "regression"}, {}),
        ("zeros_missing", "zero_as_missing, NaN", np.where(abs(it.gaps) < 0.3, 0, it.gaps), it.target, {"objective": "regression", "zero_as_missing": True}, {}),
        ("monotone", "monotone constraints", it.numbers, it.target, {"objective": "regression", "monotone_constraints": [1, -1, 0]}, {}),
        ("monotone_advanced", "monotone constraints, advanced", it.gaps, it.target, {"objective": "regression", "monotone_constraints": [1, 0, -1], "monotone_constraints_method": "advanced"}, {}),
        ("interaction", "interaction constraints", it.numbers, it.target, {"objective": "regression", "interaction_constraints": [[0, 1], [2]]}, {}),
        ("extra_trees", "extra_trees, path_smooth", it.numbers, it.target, {"objective": "regression", "extra_trees": True, "path_smooth": 1.0}, {}),
        ("quantized", "quantized gradients", it.numbers, it.binary, {"objective": "binary", "use_quantized_grad": True}, {}),
        ("early_stopping", "cut to best_iteration", it.numbers, it.binary, {"objective": "binary", "early_stopping_round": 3, "learning_rate": 0.9}, {}),
        ("no_average", "boost_from_average=false", it.numbers, it.binary, {"objective": "binary", "boost_from_average": False}, {}),
        ("linear", "linear trees", it.numbers, it.target, {"objective": "regression", **linear}, {}),
        ("linear_missing", "linear trees, missing", it.gaps, it.binary, {"objective": "binary", **linear}, {}),
        ("linear_categories", "linear trees, categories", it.mixed, it.classes, {"objective": "multiclass", "num_class": 3, **linear}, codes),
        ("linear_one_leaf", "linear trees of one leaf", it.numbers, it.target, {"objective": "regression", "min_data_in_leaf": 400, **linear}, {}),
    ]


def train(rows, target, parameters, told):
    common = {"num_leaves": 6, "seed": SEED, "deterministic": True, "num_threads": 1, "verbosity": -1}
    parameters = {**common, **parameters}
    names = [f"f{at}" for at in range(rows.shape[1])]
    learned = lgb.Dataset(rows, target, feature_name=names, params={k: v for k, v in parameters.items() if k != "objective"}, **told)
    if "early_stopping_round" not in parameters:
        return lgb.train(parameters, learned, 6)
    held = learned.create_valid(*held_out(rows, target))
    return lgb.train(parameters, learned, 40, valid_sets=[held])


def lightgbm_models():
    for name, shows, rows, target, parameters, told in cases():
        rows = np.asarray(rows, np.float64)
        booster = train(rows, target, parameters, told)
        text = booster.model_to_string(importance_type="split")
        if name == "early_stopping":
            assert 1 < booster.best_iteration < 40, booster.best_iteration
        own = [line for line in text.splitlines() if line.startswith("objective=")]
        objective = own[0].removeprefix("objective=").split()[0] if own else "custom"
        predict = lambda rows, booster=booster: {"prediction": np.asarray(booster.predict(rows["features"]), np.float64)}  # noqa: E731
        yield Case(
            "lightgbm", f"lightgbm_{name}", f"lightgbm_{name}.txt", text.encode(), objective, shows, data=rows, dtype=np.float64,
            thresholds=thresholds(booster), columns={"features": booster.feature_name()}, predict=predict, bound=1e-12,
        )

"""The XGBoost models of booster_corpus.py. Makes no files."""

import re

import numpy as np
import pandas as pd
import xgboost as xgb
from booster_corpus_models import SEED, Case, data, held_out
from boosted_xgboost import thresholds


def xgboost_objectives():
    """Those that it offers when it is asked for one that is none."""
    try:
        xgb.train({"objective": "none of them"}, xgb.DMatrix(np.zeros((2, 1)), np.zeros(2)), 1)
    except xgb.core.XGBoostError as error:
        return sorted(re.findall(r"Objective candidate: (\S+)", str(error)))
    raise AssertionError("XGBoost trains anything")


def squares(predictions, rows):
    return predictions - rows.get_label(), np.ones(len(predictions))


def cases():
    """Name, what it shows, rows, target, parameters, which columns are categories."""
    it = data()
    rng = np.random.default_rng(SEED)
    wide = it.mixed.copy()
    wide[:, 1] = rng.choice(rng.integers(0, 600, 50), len(wide))
    several, binary = {"multi_strategy": "multi_output_tree", "tree_method": "hist"}, {"objective": "binary:logistic"}
    squared, classes = {"objective": "reg:squarederror"}, {"objective": "multi:softprob", "num_class": 3}
    return [
        ("squared_log", "", it.numbers, it.positive, {"objective": "reg:squaredlogerror"}, []),
        ("pseudo_huber", "", it.numbers, it.target, {"objective": "reg:pseudohubererror"}, []),
        ("logistic", "", it.numbers, it.share, {"objective": "reg:logistic"}, []),
        ("linear_alias", "an old name", it.numbers, it.target, {"objective": "reg:linear"}, []),
        ("absolute", "leaves of medians", it.gaps, it.target, {"objective": "reg:absoluteerror"}, []),
        ("quantile", "", it.numbers, it.target, {"objective": "reg:quantileerror", "quantile_alpha": 0.7}, []),
        ("pairwise", "ranking", it.numbers, it.relevance, {"objective": "rank:pairwise"}, []),
        ("map", "ranking", it.numbers, it.binary, {"objective": "rank:map"}, []),
        ("ndcg", "ranking", it.gaps, it.relevance, {"objective": "rank:ndcg"}, []),
        ("aft", "survival", it.numbers, it.positive, {"objective": "survival:aft", "aft_loss_distribution": "logistic"}, []),
        ("cox", "survival", it.numbers, it.positive, {"objective": "survival:cox"}, []),
        ("hinge", "", it.numbers, it.binary, {"objective": "binary:hinge"}, []),
        ("logitraw", "", it.numbers, it.binary, {"objective": "binary:logitraw"}, []),
        ("poisson", "", it.numbers, it.counts, {"objective": "count:poisson"}, []),
        ("gamma", "", it.numbers, it.positive, {"objective": "reg:gamma"}, []),
        ("tweedie", "", it.numbers, it.counts, {"objective": "reg:tweedie", "tweedie_variance_power": 1.2}, []),
        ("custom", "an objective of one's own", it.numbers, it.target, {"obj": squares}, []),
        ("softmax_dart", "dart, the largest", it.gaps, it.classes, {"objective": "multi:softmax", "num_class": 3, "booster": "dart", "rate_drop": 0.5}, []),
        ("dart_targets", "dart, several targets", it.numbers, it.several, {**squared, "booster": "dart", "rate_drop": 0.5}, []),
        ("base_scores", "a base score a class", it.numbers, it.classes, classes, []),
        ("base_score_given", "a base score that was given", it.numbers, it.classes, {**classes, "base_score": 0.25}, []),
        ("targets_base_scores", "a base score a target", it.gaps, it.several, squared, []),
        ("several_a_leaf", "several numbers a leaf", it.gaps, it.several, {**squared, **several}, []),
        ("several_a_leaf_classes", "several numbers a leaf, softmax", it.numbers, it.classes, {**classes, **several}, []),
        ("several_labels", "several labels", it.numbers, (it.several > 0.5).astype(int), binary, []),
        ("wide_categories", "sets of categories up to 600", wide, it.target + (wide[:, 1] > 300), {**squared, "max_cat_to_onehot": 1, "max_cat_threshold": 60}, [0, 1]),
        ("one_hot_categories", "categories one by one", it.mixed, it.target, {**squared, "max_cat_to_onehot": 1000}, [0, 1]),
        ("categories_dart", "dart, categories", it.mixed, it.binary, {**binary, "booster": "dart", "rate_drop": 0.4, "max_cat_to_onehot": 4}, [0, 1]),
        ("monotone", "monotone constraints", it.numbers, it.target, {**squared, "monotone_constraints": (1, -1, 0)}, []),
        ("exact", "tree_method=exact", it.gaps, it.binary, {**binary, "tree_method": "exact"}, []),
        ("approx", "tree_method=approx", it.gaps, it.binary, {**binary, "tree_method": "approx"}, []),
        ("forest", "trees side by side", it.numbers, it.binary, {**binary, "num_parallel_tree": 4, "subsample": 0.6, "colsample_bynode": 0.7, "learning_rate": 1}, []),
        ("early_stopping", "best_iteration, of which Booster.predict makes nothing", it.numbers, it.binary, {**binary, "early": True, "learning_rate": 0.9}, []),
        ("gblinear", "gblinear", it.gaps, it.target, {**squared, "booster": "gblinear"}, []),
        ("gblinear_classes", "gblinear, softmax", it.numbers, it.classes, {**classes, "booster": "gblinear"}, []),
        ("gblinear_logistic", "gblinear", it.gaps, it.binary, {**binary, "booster": "gblinear", "updater": "coord_descent"}, []),
    ]


def train(matrix, rows, target, parameters):
    learned = matrix(rows, target)
    objective = parameters.get("objective", "")
    if objective.startswith("rank:"):
        learned.set_group([30] * 20)
    if objective == "survival:aft":
        learned.set_float_info("label_lower_bound", target)
        learned.set_float_info("label_upper_bound", target * 2)
    own = {"max_depth": 3, "seed": SEED, "nthread": 1, **parameters}
    early, obj = own.pop("early", False), own.pop("obj", None)
    if not early:
        return xgb.train(own, learned, 6, obj=obj)
    held = matrix(*held_out(rows, target))
    return xgb.train(own, learned, 12, evals=[(held, "held")], early_stopping_rounds=3, verbose_eval=False)


def coded_by_pandas():
    """Categories whose texts are in the file; rows hold their codes."""
    it = data()
    words = np.array(["left", "right", "upper", "lower", "é"])
    frame = pd.DataFrame({"site": pd.Categorical.from_codes(it.mixed[:, 0].astype(int), words), "x": it.numbers[:, 0], "y": it.numbers[:, 1]})
    model = xgb.XGBClassifier(n_estimators=6, max_depth=3, n_jobs=1, random_state=SEED, enable_categorical=True)
    return model.fit(frame, it.binary).get_booster(), np.column_stack([it.mixed[:, 0], it.numbers[:, :2]])


def case(name, shows, form, booster, rows, types, asked=None):
    names = booster.feature_names
    # Codes that the booster has never seen are refused only where it encodes them itself.
    matrix = lambda rows: xgb.DMatrix(rows, feature_names=names, feature_types=types, enable_categorical=True)  # noqa: E731
    predict = lambda rows: {"prediction": np.asarray(booster.predict(matrix(rows["features"])), np.float32)}  # noqa: E731
    objective = re.search(r'"objective":\{"name":"([^"]+)"|"name":"((?:binary|count|multi|rank|reg|survival):\w+)"', booster.save_raw("json").decode())
    linear = "gblinear" in name
    return Case(
        "xgboost", f"xgboost_{name}", f"xgboost_{name}.{form}", bytes(booster.save_raw(form)), asked or next(filter(None, objective.groups())), shows,
        data=rows, thresholds={} if linear else thresholds(booster), columns={"features": names or []}, predict=predict,
    )


def xgboost_models():
    for at, (name, shows, rows, target, parameters, categories) in enumerate(cases()):
        rows = np.asarray(rows, np.float32)
        names = [f"f{column}" for column in range(rows.shape[1])]
        types = ["c" if column in categories else "q" for column in range(rows.shape[1])]
        matrix = lambda rows, target: xgb.DMatrix(rows, target, feature_names=names, feature_types=types, enable_categorical=True)  # noqa: E731
        booster = train(matrix, rows, target, parameters)
        yield case(name, shows, ["json", "ubj"][at % 2], booster, rows, types, parameters.get("objective", "custom"))
    for form in ["json", "ubj"]:
        booster, rows = coded_by_pandas()
        yield case(f"classifier_{form}", "of XGBClassifier, texts of categories", form, booster, rows.astype(np.float32), ["c", "q", "q"])

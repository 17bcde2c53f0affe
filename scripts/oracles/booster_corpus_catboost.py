"""The CatBoost models of booster_corpus.py: every loss, and categories. Makes no files."""

import json
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import catboost as cb
import numpy as np
import pandas as pd
from booster_corpus_models import SEED, Case, data

BASE = {"iterations": 6, "depth": 3, "border_count": 16, "random_seed": SEED, "thread_count": 1, "verbose": 0, "allow_writing_files": False}
SITES = np.array(["left", "right", "upper", "lower", "é" * 9], object)


@dataclass
class Fit:
    """What a model is trained on, and with."""

    name: str
    shows: str
    parameters: dict
    target: Any
    numbers: Any
    texts: Any = None
    # What is not a plain regression: classes, ranks, and what is told of the rows.
    kind: str = "regressor"
    told: dict = field(default_factory=dict)


def said(trial):
    """What CatBoost says against it: the end of the first line, without the place in its sources."""
    try:
        trial()
    except (cb.CatBoostError, AttributeError) as error:
        return str(error).strip().splitlines()[0].split(": ", 1)[-1]
    raise AssertionError("CatBoost does it")


def not_trained(loss):
    """Why a loss is none to train with here."""
    it = data()
    told = cb.Pool(it.numbers, it.binary, group_id=it.groups)
    loss += {"Combination": ":loss0=Logloss;weight0=1;loss1=CrossEntropy;weight1=1"}.get(loss, "")
    return said(lambda: cb.CatBoost({**BASE, "loss_function": loss}).fit(told))


def not_saved():
    """What is trained, but not written as JSON."""
    it = data()
    words = np.array(["fresh air here", "salt water there", "old wood and stone"], object)[it.classes]
    frame = pd.DataFrame(it.numbers).assign(text=words, vector=[list(map(float, row)) for row in it.numbers])
    for what, columns in [("text_features", ["text"]), ("embedding_features", ["vector"])]:
        rows = cb.Pool(frame[[0, 1, 2, *columns]].rename(columns=str), it.binary, **{what: columns})
        model = cb.CatBoostClassifier(**BASE).fit(rows)
        with tempfile.TemporaryDirectory() as folder:
            yield what, said(lambda: model.save_model(f"{folder}/model.json", format="json", pool=rows))


def catboost_objectives():
    """Those that it offers when it is asked for one that is none."""
    try:
        cb.CatBoost({**BASE, "loss_function": "none of them"}).fit(np.eye(3), np.arange(3))
    except cb.CatBoostError as error:
        return sorted(set(re.findall(r"'(\w+)'", str(error).split("options are:")[1])))
    raise AssertionError("CatBoost trains anything")


def losses(it):
    """Losses by what they are trained on."""
    ranks = {"group_id": it.groups}
    yield "classifier", it.binary, {}, ["Logloss", "Focal:focal_alpha=0.4;focal_gamma=2"]
    yield "classifier", it.share, {}, ["CrossEntropy"]
    yield "classifier", it.classes, {}, ["MultiClass", "MultiClassOneVsAll"]
    yield "classifier", (it.several > 0.5).astype(int), {}, ["MultiLogloss", "MultiCrossEntropy"]
    yield "regressor", it.positive, {}, [
        "RMSE", "RMSPE", "LogCosh", "Lq:q=3", "MAE", "Quantile:alpha=0.8", "MultiQuantile:alpha=0.2,0.8", "Expectile:alpha=0.7", "LogLinQuantile",
        "MAPE", "Poisson", "Huber:delta=0.5", "Tweedie:variance_power=1.3", "Cox", "RMSEWithUncertainty",
    ]
    yield "regressor", np.column_stack([it.positive, it.positive * 2]), {}, ["SurvivalAft"]
    yield "regressor", it.several, {}, ["MultiRMSE", "MultiRMSEWithMissingValues"]
    yield "ranker", it.relevance, ranks, [
        "PairLogit", "PairLogitPairwise", "YetiRank", "YetiRankPairwise", "QueryRMSE", "GroupQuantile", "QuerySoftMax", "LambdaMart",
        "StochasticRank:metric=DCG",
    ]
    yield "ranker", it.binary, ranks, ["StochasticFilter"]


class Squares:
    """A loss of one's own."""

    def calc_ders_range(self, approxes, targets, weights):
        return [(target - approx, -1.0) for approx, target in zip(approxes, targets)]


def of_losses(it):
    for kind, target, told, names in losses(it):
        for loss in names:
            name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", loss.split(":")[0]).lower()
            yield Fit(f"loss_{name}", "", {"loss_function": loss}, target, it.gaps, kind=kind, told=told)


def of_categories(it):
    """A few texts, many texts, whole numbers."""
    few, many, whole = SITES[it.mixed[:, 0].astype(int)], np.nan_to_num(it.mixed[:, 1]).astype(int), (it.mixed[:, 0] * 7 - 9).astype(int)
    texts = np.column_stack([few, [f"ward {at}" + " of a long name" * (at % 9) for at in many], whole.astype(str)]).astype(object)
    some = texts[:, :2]
    learned = lambda kinds, **more: {"loss_function": "Logloss", "one_hot_max_size": 2, "simple_ctr": kinds, "max_ctr_complexity": 1, **more}  # noqa: E731
    of = lambda name, shows, parameters, target=it.binary, numbers=it.gaps, texts=some, kind="classifier", **more: Fit(  # noqa: E731
        f"categories_{name}", shows, parameters, target, numbers, texts, kind, **more)
    return [
        of("one_hot", "categories one by one", {"loss_function": "Logloss", "one_hot_max_size": 200}),
        of("one_hot_lossguide", "categories one by one, Lossguide", {"loss_function": "Logloss", "one_hot_max_size": 200, "grow_policy": "Lossguide", "max_leaves": 9}),
        of("one_hot_depthwise", "categories one by one, Depthwise", {"loss_function": "RMSE", "one_hot_max_size": 200, "grow_policy": "Depthwise"}, it.target, kind="regressor"),
        of("borders", "statistics: Borders", learned("Borders")),
        of("buckets", "statistics: Buckets", learned("Buckets")),
        of("mean", "statistics: BinarizedTargetMeanValue", learned("BinarizedTargetMeanValue:Prior=0.3")),
        of("counter", "statistics: Counter", learned("Counter:Prior=1")),
        of("priors", "statistics with several priors", learned(["Borders:Prior=0.1:Prior=2", "Counter:Prior=0.7"])),
        of("combined", "combinations of categories and numbers", {"loss_function": "Logloss", "one_hot_max_size": 2, "max_ctr_complexity": 4, "iterations": 12}, texts=texts),
        of("combined_one_hot", "combinations with single categories", {"loss_function": "Logloss", "one_hot_max_size": 5, "max_ctr_complexity": 4, "iterations": 12}, texts=texts),
        of("whole_numbers", "categories that are whole numbers", {"loss_function": "Logloss", "one_hot_max_size": 2}, texts=texts[:, 2:]),
        of("alone", "no numbers", {"loss_function": "Logloss", "one_hot_max_size": 2}, numbers=it.gaps[:, :0], texts=texts),
        of("classes", "statistics of three classes", {"loss_function": "MultiClass", "one_hot_max_size": 2}, it.classes),
        of("classes_buckets", "statistics of three classes: Buckets", {**learned("Buckets"), "loss_function": "MultiClass"}, it.classes),
        of("targets", "statistics of a number's borders", {"loss_function": "RMSE", "one_hot_max_size": 2, "simple_ctr": "Borders:TargetBorderCount=5", "combinations_ctr": "Buckets:TargetBorderCount=3"}, it.target, kind="regressor"),
        of("multi_target", "several numbers a leaf", {"loss_function": "MultiRMSE", "one_hot_max_size": 200}, it.several, kind="regressor"),
        of("ranking", "ranking", {"loss_function": "YetiRank", "one_hot_max_size": 2}, it.relevance, kind="ranker", told={"group_id": it.groups}),
    ]


def of_else(it):
    of = lambda name, shows, parameters, target=it.target, numbers=it.numbers, **more: Fit(name, shows, {"loss_function": "RMSE", **parameters}, target, numbers, **more)  # noqa: E731
    return [
        of("missing_high", "missing in one column, above all", {"nan_mode": "Max"}, numbers=it.gaps),
        of("missing_low", "missing in one column, below all", {"nan_mode": "Min", "grow_policy": "Depthwise"}, numbers=it.gaps),
        of("monotone", "monotone constraints", {"monotone_constraints": [1, -1, 0]}),
        of("best", "cut to the best iteration", {"use_best_model": True, "iterations": 40, "learning_rate": 1.0}),
        of("ignored", "a column that is not used", {"ignored_features": [0]}),
        of("shrunk", "a model that shrinks", {"model_shrink_rate": 0.2, "langevin": True}),
        of("unbalanced", "weights of classes", {"loss_function": "Logloss", "auto_class_weights": "Balanced"}, it.binary, kind="classifier"),
        of("lossguide_several", "Lossguide, several numbers a leaf", {"loss_function": "MultiClass", "grow_policy": "Lossguide"}, it.classes, kind="classifier"),
        of("words", "classes that are texts", {"loss_function": "MultiClass"}, SITES[it.classes], kind="classifier"),
        of("custom", "a loss of one's own", {"loss_function": Squares(), "eval_metric": "RMSE"}),
    ]


def pool(fit, numbers, texts, target=None, **told):
    """Numbers first, then categories."""
    frame = pd.DataFrame(numbers, columns=[f"n{at}" for at in range(numbers.shape[1])])
    categories = []
    if texts is not None:
        categories = [f"c{at}" for at in range(texts.shape[1])]
        frame[categories] = texts
        if fit.name == "categories_whole_numbers" and target is not None:
            frame["c0"] = frame["c0"].astype(int)
    return cb.Pool(frame, target, cat_features=categories, **told)


CLASSES = {"regressor": cb.CatBoostRegressor, "classifier": cb.CatBoostClassifier, "ranker": cb.CatBoostRanker}


def answer(fit, model, rows):
    """What the library's own class for the kind predicts: of a classifier the probabilities."""
    count = len(next(iter(rows.values())))
    given = pool(fit, rows.get("features", np.zeros((count, 0), np.float32)), rows.get("categories"))
    if fit.kind != "classifier":
        return np.asarray(model.predict(given), np.float64)
    answers = np.asarray(model.predict_proba(given), np.float64)
    multi = str(fit.parameters["loss_function"]).startswith("Multi")
    return answers if multi else answers[:, 1]


def saved(model, learned):
    """Its JSON, without what says when and where it was trained."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json", pool=learned)
        told = json.loads(path.read_text())
    loss = told["model_info"]["params"]["loss_function"]
    told["model_info"] = {"params": {"loss_function": loss}}
    for tree in told.get("oblivious_trees", []):
        tree.pop("leaf_weights", None)
    # In the order of a set, which differs from run to run.
    hashes = told["features_info"].get("cat_features_hash")
    if hashes:
        hashes.sort(key=lambda one: one["value"])
    return told, loss["type"]


def sum_of_two(it):
    """Two models as one, which says of no loss what it was trained for."""
    two = [cb.CatBoostRegressor(**BASE | {"random_seed": seed}).fit(it.numbers, it.target) for seed in [1, 2]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        cb.sum_models(two, weights=[0.5, 0.5]).save_model(str(path), format="json")
        told = json.loads(path.read_text())
    told["model_info"] = {}
    return Case("catboost", "catboost_sum", "catboost_sum.json", json.dumps(told, separators=(",", ":")).encode(), "", "sum_models", refused="sums, which name no loss,")


def catboost_models():
    it = data()
    yield sum_of_two(it)
    for fit in [*of_losses(it), *of_categories(it), *of_else(it)]:
        learned = pool(fit, fit.numbers, fit.texts, fit.target, **fit.told)
        model = CLASSES[fit.kind](**BASE | fit.parameters)
        held = {"eval_set": pool(fit, fit.numbers[::3], fit.texts, fit.target[::3] + np.random.default_rng(SEED).normal(size=200))} if fit.name == "best" else {}
        model.fit(learned, **held)
        told, loss = saved(model, learned)
        floats = told["features_info"].get("float_features") or []
        columns = {"features": [one["feature_id"] for one in floats]} if floats else {}
        if fit.texts is not None:
            columns["categories"] = [one["feature_id"] for one in told["features_info"]["categorical_features"]]
        yield Case(
            "catboost", f"catboost_{fit.name}", f"catboost_{fit.name}.json", json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode(), loss, fit.shows,
            data=fit.numbers, texts=fit.texts, thresholds={one["feature_index"]: one["borders"] or [] for one in floats}, columns=columns,
            predict=lambda rows, fit=fit, model=model: {"prediction": answer(fit, model, rows)}, bound=1e-12,
        )

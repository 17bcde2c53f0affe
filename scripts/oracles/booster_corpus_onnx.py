"""The boosted models of booster_corpus.py as ONNX, by the exporters of each library. Makes no files."""

import re
import tempfile
from pathlib import Path

import catboost as cb
import lightgbm as lgb
import numpy as np
import onnx
import onnxruntime as ort
import xgboost as xgb
from booster_corpus_models import SEED, Case, data
from onnx import helper
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

SMALL = {"n_estimators": 8, "max_depth": 3, "random_state": SEED, "n_jobs": 1}
LIGHT = {**SMALL, "num_leaves": 6, "deterministic": True, "verbose": -1}
CAT = {"iterations": 8, "depth": 3, "border_count": 16, "random_seed": SEED, "thread_count": 1, "verbose": 0, "allow_writing_files": False}


def of_lightgbm(it):
    types = [("features", FloatTensorType([None, 3]))]
    export = lambda model: convert_lightgbm(model, initial_types=types, zipmap=False, target_opset=15)  # noqa: E731
    yield "binary", export, lgb.LGBMClassifier(**LIGHT), it.numbers, it.binary
    yield "missing", export, lgb.LGBMClassifier(**LIGHT), it.gaps, it.binary
    yield "classes", export, lgb.LGBMClassifier(**LIGHT), it.numbers, it.classes
    yield "regression", export, lgb.LGBMRegressor(**LIGHT), it.gaps, it.target
    yield "poisson", export, lgb.LGBMRegressor(objective="poisson", **LIGHT), it.numbers, it.counts


def of_xgboost(it):
    types = [("features", FloatTensorType([None, 3]))]
    export = lambda model: convert_xgboost(model, initial_types=types, target_opset=15)  # noqa: E731
    yield "binary", export, xgb.XGBClassifier(**SMALL), it.numbers, it.binary
    yield "missing", export, xgb.XGBClassifier(**SMALL), it.gaps, it.binary
    yield "classes", export, xgb.XGBClassifier(**SMALL), it.numbers, it.classes
    yield "regression", export, xgb.XGBRegressor(**SMALL), it.gaps, it.target
    yield "forest", export, xgb.XGBRegressor(num_parallel_tree=2, subsample=0.6, **SMALL), it.numbers, it.target


def of_catboost(it):
    def export(model):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            model.save_model(str(path), format="onnx")
            return onnx.load(path)

    yield "binary", export, cb.CatBoostClassifier(**CAT), it.numbers, it.binary
    yield "classes", export, cb.CatBoostClassifier(**CAT), it.numbers, it.classes
    yield "regression", export, cb.CatBoostRegressor(**CAT), it.numbers, it.target
    yield "missing", export, cb.CatBoostRegressor(nan_mode="Max", **CAT), it.gaps, it.target


def thresholds(proto):
    found = {}
    for node in proto.graph.node:
        if node.op_type.startswith("TreeEnsemble"):
            given = {one.name: helper.get_attribute_value(one) for one in node.attribute}
            for mode, feature, value in zip(given["nodes_modes"], given["nodes_featureids"], given["nodes_values"]):
                if mode != b"LEAF" and np.isfinite(value):
                    found.setdefault(feature, []).append(np.float32(value))
    return found


def plain(proto):
    """Without what differs from run to run; lists of maps as tensors."""
    imports = sorted(proto.opset_import, key=lambda entry: (entry.domain, entry.version))
    del proto.opset_import[:]
    proto.opset_import.extend(imports)
    proto.graph.name = "model"
    del proto.metadata_props[:]
    return proto.SerializeToString(deterministic=True)


def answers(run, rows):
    """What ONNX Runtime says of the same file, maps as columns."""
    (given,) = run.get_inputs()
    made = {}
    for declared, value in zip(run.get_outputs(), run.run(None, {given.name: rows["features"]})):
        if isinstance(value, list):
            value = np.array([[row[key] for key in row] for row in value], np.float32)
        made[declared.name] = value
    return made


def own(model, rows):
    """The library's own numbers: probabilities or a prediction."""
    return np.asarray(model.predict_proba(rows) if hasattr(model, "predict_proba") else model.predict(rows), np.float64)


def onnx_models():
    it = data()
    for library, makes in [("lightgbm", of_lightgbm), ("xgboost", of_xgboost), ("catboost", of_catboost)]:
        for name, export, model, rows, target in makes(it):
            model.fit(rows, target)
            proto = export(model)
            bytes_ = plain(proto)
            options = ort.SessionOptions()
            options.log_severity_level = 3
            run = ort.InferenceSession(bytes_, options, providers=["CPUExecutionProvider"])
            (given,) = run.get_inputs()
            # Of the rows that were fitted: away from thresholds, where the exporter's f32 sends a row elsewhere.
            scores = list(answers(run, {"features": rows[:200]}).values())[-1]
            apart = float(np.max(np.abs(scores.reshape(len(scores), -1) - own(model, rows[:200]).reshape(len(scores), -1))))
            print(f"onnx_{library}_{name}: ONNX Runtime is {apart:.1e} from {library}")
            assert apart < 1e-5 or name == "missing", apart
            predict = lambda rows, run=run: answers(run, rows)  # noqa: E731
            yield Case(
                f"onnx of {library}", f"onnx_{library}_{name}", f"onnx_{library}_{name}.onnx", bytes_, re.sub("_", " ", name), f"{apart:.0e} from {library} on its rows",
                data=rows, thresholds=thresholds(proto), columns={given.name: []}, predict=predict, bound=1e-6,
            )

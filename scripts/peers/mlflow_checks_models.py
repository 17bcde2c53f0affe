"""Checks: scikit-learn models logged, registered, loaded and asked; autolog."""

import tempfile
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from mlflow_client import Skipped, same
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

FRAME = pd.DataFrame({"a": np.arange(60.0) % 7, "b": np.arange(60.0) % 5, "c": np.arange(60.0) % 3})
TARGET = (FRAME["a"] + FRAME["b"] > 5).astype(int)


def fitted():
    return RandomForestClassifier(n_estimators=5, random_state=0).fit(FRAME, TARGET)


def logged(peer, model, **named):
    """The model logged as this version of the client names its place."""
    place = {"name": "forest"} if peer.version >= (3, 0) else {"artifact_path": "forest"}
    if peer.version >= (3, 15):
        # The default form of late versions refuses what scikit-learn itself pickles.
        named["serialization_format"] = "cloudpickle"
    return mlflow.sklearn.log_model(
        model, signature=infer_signature(FRAME, model.predict(FRAME)), input_example=FRAME.head(2),
        pip_requirements=["scikit-learn"], **place, **named)


def by_run(peer):
    experiment, model = peer.experiment("models"), fitted()
    with mlflow.start_run() as run:
        info = logged(peer, model)
    wanted = model.predict(FRAME)
    same(mlflow.sklearn.load_model(info.model_uri).predict(FRAME).tolist(), wanted.tolist(),
         "sklearn")
    loaded = mlflow.pyfunc.load_model(info.model_uri)
    same(loaded.predict(FRAME).tolist(), wanted.tolist(), "pyfunc")
    same([i.name for i in loaded.metadata.signature.inputs], ["a", "b", "c"])
    same(mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/forest").predict(FRAME).tolist(),
         wanted.tolist(), "runs:/")
    if peer.version >= (3, 0):
        model_id = info.model_id
        found = mlflow.search_logged_models([experiment], output_format="list")
        same([(m.model_id, m.name, str(m.status)) for m in found], [(model_id, "forest", "READY")])
        outputs = mlflow.get_run(run.info.run_id).outputs.model_outputs
        same([o.model_id for o in outputs], [model_id], "outputs of the run")
        files = {f.path for f in peer.client.list_logged_model_artifacts(model_id)}
        assert "MLmodel" in files, files
    else:
        assert "mlflow.log-model.history" in mlflow.get_run(run.info.run_id).data.tags, "no history of models"


def by_name(peer):
    peer.experiment("models")
    name, model = peer.name("served"), fitted()
    with mlflow.start_run() as run:
        logged(peer, model, registered_model_name=name)
        logged(peer, model, registered_model_name=name)
    same(sorted(str(v.version) for v in peer.client.search_model_versions(f"name = '{name}'")),
         ["1", "2"])
    same(peer.client.get_model_version(name, "1").run_id, run.info.run_id)
    peer.client.set_registered_model_alias(name, "champion", "1")
    peer.client.transition_model_version_stage(name, "2", "Staging")
    wanted = model.predict(FRAME).tolist()
    for uri in (f"models:/{name}/1", f"models:/{name}@champion", f"models:/{name}/Staging",
                f"models:/{name}/latest"):
        same(mlflow.pyfunc.load_model(uri).predict(FRAME).tolist(), wanted, uri)
    copied = peer.client.copy_model_version(f"models:/{name}/1", peer.name("copied"))
    same(mlflow.sklearn.load_model(f"models:/{copied.name}/1").predict(FRAME).tolist(), wanted,
         "a copied version")
    same(mlflow.models.get_model_info(f"models:/{name}/1").flavors.keys() >= {"sklearn",
                                                                              "python_function"},
         True)


def python_model(peer):
    """A model of nobody's library, with a file of its own."""
    peer.experiment("models")

    class Scaled(mlflow.pyfunc.PythonModel):
        def load_context(self, context):
            with open(context.artifacts["factor"]) as file:
                self.factor = float(file.read())

        def predict(self, context, model_input, params=None):
            return model_input["a"] * self.factor

    place = {"name": "scaled"} if peer.version >= (3, 0) else {"artifact_path": "scaled"}
    with mlflow.start_run(), tempfile.TemporaryDirectory() as folder:
        factor = Path(folder, "factor.txt")
        factor.write_text("2.5")
        info = mlflow.pyfunc.log_model(
            python_model=Scaled(), artifacts={"factor": str(factor)}, pip_requirements=["pandas"],
            **place)
    given = mlflow.pyfunc.load_model(info.model_uri).predict(FRAME)
    same(list(given), list(FRAME["a"] * 2.5))


def autolog(peer):
    experiment = peer.experiment("autolog")
    mlflow.sklearn.autolog(log_datasets=True, silent=True, disable=False, log_input_examples=True)
    try:
        model = LogisticRegression(max_iter=50, C=0.5)
        with mlflow.start_run() as run:
            model.fit(FRAME, TARGET)
            model.score(FRAME, TARGET)
    finally:
        mlflow.sklearn.autolog(disable=True, silent=True)
    given = mlflow.get_run(run.info.run_id)
    same((given.data.params["C"], given.data.params["max_iter"]), ("0.5", "50"))
    assert {"training_accuracy_score",
            "training_f1_score"} <= set(given.data.metrics), given.data.metrics
    same(given.data.tags["estimator_name"], "LogisticRegression")
    assert given.inputs.dataset_inputs, "no dataset was logged"
    if peer.version >= (3, 0):
        found = mlflow.search_logged_models([experiment], output_format="list")
        same(len(found), 1, "logged models")
        uri = found[0].model_uri
    else:
        uri = f"runs:/{run.info.run_id}/model"
    same(mlflow.sklearn.load_model(uri).predict(FRAME).tolist(), model.predict(FRAME).tolist())


def autolog_search(peer):
    """A search over parameters: a parent with a child for each candidate."""
    experiment = peer.experiment("autolog")
    mlflow.sklearn.autolog(silent=True, disable=False, log_models=False, max_tuning_runs=3)
    try:
        with mlflow.start_run() as parent:
            GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0, 10.0]}, cv=2).fit(FRAME, TARGET)
    finally:
        mlflow.sklearn.autolog(disable=True, silent=True)
    children = peer.client.search_runs([experiment],
                                       f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    same(sorted(c.data.params["C"] for c in children), ["0.1", "1.0", "10.0"])
    assert all("mean_test_score" in c.data.metrics for c in children), "a child without a score"


def evaluated(peer):
    """Metrics that belong to a logged model and a dataset."""
    peer.needs(3, 0)
    peer.experiment("models")
    data = mlflow.data.from_pandas(FRAME.assign(y=TARGET), name="evaluation", targets="y")
    with mlflow.start_run() as run:
        info = logged(peer, fitted())
        if info.model_id is None:
            raise Skipped("this client gives a model no id")
        mlflow.log_metric("auc", 0.75, model_id=info.model_id, dataset=data)
    given = mlflow.get_logged_model(info.model_id)
    found = [(m.key, m.value, m.dataset_name, m.run_id) for m in given.metrics if m.key == "auc"]
    same(found, [("auc", 0.75, "evaluation", run.info.run_id)])


CHECKS = {
    "log_model, load_model and pyfunc: the model's own predictions": by_run,
    "a registered model by version, alias, stage and latest": by_name,
    "a Python model with an artifact": python_model,
    "autolog of scikit-learn": autolog,
    "autolog of a grid search: nested runs": autolog_search,
    "metrics of a logged model on a dataset": evaluated,
}

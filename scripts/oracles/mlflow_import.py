"""What a team has that comes from MLflow: a database and a folder, each made by MLflow's own client.

    python scripts/oracles/mlflow_import.py sqlite|mlruns OUT

Writes OUT/mlflow.db with OUT/artifacts, or OUT/mlruns, and OUT/expected.json: what the client itself reads back.
"""

import json
import math
import os
import sqlite3
import sys
from pathlib import Path

kind, out = sys.argv[1], Path(sys.argv[2]).resolve()
out.mkdir(parents=True, exist_ok=True)
os.chdir(out)
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"

import mlflow  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import ViewType  # noqa: E402

uri = "sqlite:///mlflow.db" if kind == "sqlite" else (out / "mlruns").as_uri()
mlflow.set_tracking_uri(uri)
mlflow.set_registry_uri(uri)
client = MlflowClient()


def experiment(name):
    where = None if kind == "mlruns" else (out / "artifacts" / name).as_uri()
    return client.create_experiment(name, artifact_location=where, tags={"team": "risk"})


class Twice(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[float], params=None) -> list[float]:
        return [2 * x for x in model_input]


income = experiment("income")
mlflow.set_experiment("income")
with mlflow.start_run(run_name="parent", description="the first") as parent:
    mlflow.log_params({"depth": 3, "rate": "0.1", "long": "x" * 600})
    for step in range(20):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metric("odd", math.nan)
    mlflow.log_metric("big", math.inf)
    mlflow.log_text("hello", "notes/a.txt")
    mlflow.log_text("wörld", "notes/deep/ü b.txt")
    with mlflow.start_run(run_name="child", nested=True):
        mlflow.log_metric("auc", 0.75)
        mlflow.set_tag("kind", "child")
try:
    with mlflow.start_run(run_name="broken"):
        mlflow.log_metric("auc", 0.5)
        raise RuntimeError("no")
except RuntimeError:
    pass
with mlflow.start_run(run_name="model") as run:
    mlflow.pyfunc.log_model(name="twice", python_model=Twice(), pip_requirements=[]) if kind == "sqlite" else mlflow.log_text("x", "model/MLmodel")
source = f"runs:/{run.info.run_id}/twice"
if kind == "sqlite":
    for _ in range(2):
        mlflow.register_model(source, "twice")
    client.set_registered_model_alias("twice", "champion", 1)
    client.update_registered_model("twice", description="doubles")
    client.set_model_version_tag("twice", "2", "checked", "yes")
gone = client.create_run(income, run_name="gone")
client.log_metric(gone.info.run_id, "auc", 0.1)
client.delete_run(gone.info.run_id)
old = experiment("old")
client.create_run(old, run_name="of old")
client.delete_experiment(old)

expected = {"experiments": [], "runs": []}
for own in client.search_experiments(view_type=ViewType.ALL):
    expected["experiments"].append({"name": own.name, "lifecycle": own.lifecycle_stage, "tags": own.tags})
    for found in client.search_runs([own.experiment_id], run_view_type=ViewType.ALL):
        info, data = found.info, found.data
        history = {
            key: [[point.step, point.timestamp, repr(point.value)] for point in client.get_metric_history(info.run_id, key)]
            for key in data.metrics
        }
        files, folders = [], [""]
        while folders:
            for item in client.list_artifacts(info.run_id, folders.pop() or None):
                (folders.append(item.path) if item.is_dir else files.append(item.path))
        expected["runs"].append(
            {
                "id": info.run_id, "name": info.run_name, "experiment": own.name, "status": info.status,
                "lifecycle": info.lifecycle_stage, "start": info.start_time, "end": info.end_time,
                "params": data.params, "tags": data.tags, "history": history, "files": sorted(files),
            }
        )
if kind == "sqlite":
    expected["models"] = [
        {
            "name": model.name, "description": model.description, "aliases": {k: int(v) for k, v in model.aliases.items()},
            "versions": sorted(
                [int(v.version), v.run_id, v.tags, v.source] for v in client.search_model_versions(f"name='{model.name}'")
            ),
        }
        for model in client.search_registered_models()
    ]
(out / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
if kind == "sqlite":
    with sqlite3.connect("mlflow.db") as db:
        db.execute("pragma journal_mode = delete")
    db = sqlite3.connect("mlflow.db", isolation_level=None)
    db.execute("pragma page_size = 512")
    db.execute("vacuum")
    db.close()

# Where it was made is nobody's business.
PRIVATE = "mlflow.source."
for own in expected["runs"]:
    own["tags"] = {key: value for key, value in own["tags"].items() if not key.startswith(PRIVATE)}
(out / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
if kind == "sqlite":
    db = sqlite3.connect("mlflow.db", isolation_level=None)
    db.execute("delete from tags where key like ?", (PRIVATE + "%",))
    db.execute("delete from logged_model_tags where tag_key like ?", (PRIVATE + "%",))
    db.execute("vacuum")
    db.close()
for path in out.rglob("python_model.pkl"):
    path.write_bytes(b"a pickle\n")
for path in (out / "mlruns").rglob(f"tags/{PRIVATE}*"):
    path.unlink()

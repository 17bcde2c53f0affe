"""`mlops import --from http://…` against a real `mlflow server`: what its own client reads is what our
program shows of the record that took it.

    python scripts/peers/mlflow_import.py MLOPS

MLOPS is our program; Python is that of an environment with mlflow 3 or later.
"""

import filecmp
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from mlflow_server import real_server

os.environ["NO_PROXY"] = "127.0.0.1"
import mlflow  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import ViewType  # noqa: E402

PROGRAM = Path(sys.argv[1]).resolve()


class Twice(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[float], params=None) -> list[float]:
        return [2 * x for x in model_input]


def fill(client):
    """What a team has."""
    client.create_experiment("income", tags={"team": "risk"})
    mlflow.set_experiment("income")
    with mlflow.start_run(run_name="parent", description="the first"):
        mlflow.log_params({"depth": 3, "rate": "0.1", "long": "x" * 600})
        for step in range(20):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metrics({"odd": math.nan, "big": math.inf, "small": -math.inf})
        mlflow.log_text("hello", "notes/a.txt")
        mlflow.log_text("wörld", "notes/deep/ü b.txt")
        rows = mlflow.data.from_dict({"x": [1, 2]}) if hasattr(mlflow.data, "from_dict") else None
        if rows is not None:
            mlflow.log_input(rows, "training")
        with mlflow.start_run(run_name="child", nested=True):
            mlflow.log_metric("auc", 0.75)
    with mlflow.start_run(run_name="model") as made:
        mlflow.pyfunc.log_model(name="twice", python_model=Twice(), pip_requirements=[],
                                registered_model_name="twice")
        mlflow.pyfunc.log_model(name="twice", python_model=Twice(), pip_requirements=[],
                                registered_model_name="twice")
    client.update_registered_model("twice", "doubles")
    client.set_model_version_tag("twice", "2", "checked", "yes")
    client.set_registered_model_alias("twice", "champion", 1)
    gone = client.create_run(made.info.experiment_id, run_name="gone")
    client.log_metric(gone.info.run_id, "auc", 0.1)
    client.delete_run(gone.info.run_id)
    old = client.create_experiment("old")
    client.create_run(old, run_name="of old")
    client.delete_experiment(old)


def program(*words):
    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"FAILED: mlops {' '.join(words)}: {done.stderr}")
    return done.stdout


def number(value):
    return value if isinstance(value, (int, float)) else float(value)


def same(left, right):
    return left == right or (math.isnan(left) and math.isnan(right))


def check_run(client, record, run, folder):
    own = json.loads(program("runs", "show", run.info.run_id, "--json", *record))
    assert own["name"] == run.info.run_name and own["status"] == run.info.status, own
    assert own["params"] == run.data.params, own["params"]
    tags = {key: value for key, value in own["tags"].items() if key != "mlops.imported"}
    theirs = dict(run.data.tags)
    assert tags == theirs, (tags, theirs)
    assert (own["lifecycle"] == "deleted") == (run.info.lifecycle_stage == "deleted")
    assert len(own["inputs"]) == len(run.inputs.dataset_inputs)
    assert set(own["metrics"]) == set(run.data.metrics)
    for metric in run.data.metrics:
        lines = program("runs", "history", run.info.run_id, metric, "--json", *record).splitlines()
        ours = [json.loads(line) for line in lines]
        points = client.get_metric_history(run.info.run_id, metric)
        points.sort(key=lambda point: (point.step, point.timestamp))
        assert len(ours) == len(points), metric
        for our, their in zip(ours, points):
            assert our["step"] == their.step and same(their.value, number(our["value"])), metric
    if run.info.lifecycle_stage == "deleted":
        return 0
    theirs = folder / "theirs" / run.info.run_id
    theirs.mkdir(parents=True)
    mlflow.artifacts.download_artifacts(run_id=run.info.run_id, dst_path=str(theirs))
    ours = folder / "ours" / run.info.run_id
    program("runs", "download", run.info.run_id, "--to", str(ours), *record)
    return compare(theirs, ours)


def compare(theirs, ours):
    files = [path.relative_to(theirs) for path in theirs.rglob("*") if path.is_file()]
    found = [path.relative_to(ours) for path in ours.rglob("*") if path.is_file()]
    assert sorted(files) == sorted(found), (files, found)
    for file in files:
        assert filecmp.cmp(theirs / file, ours / file, shallow=False), file
    return len(files)


def check_models(client, record, folder):
    model = client.get_registered_model("twice")
    own = json.loads(program("models", "show", "twice", "--json", *record))
    assert own["description"] == model.description and own["aliases"] == {"champion": 1}, own
    versions = {version["version"]: version for version in own["versions"]}
    assert set(versions) == {1, 2}
    assert versions[2]["tags"] == {"checked": "yes"} and versions[1]["aliases"] == ["champion"]
    for number in (1, 2):
        theirs = folder / f"model-{number}"
        uri = client.get_model_version_download_uri("twice", str(number))
        theirs.mkdir()
        mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(theirs))
        root = next(path.parent for path in theirs.rglob("MLmodel"))
        ours = folder / f"own-{number}"
        program("models", "download", f"models:/twice/{number}", "--to", str(ours), *record)
        compare(root, ours)


def main():
    with real_server() as url, tempfile.TemporaryDirectory() as folder:
        mlflow.set_tracking_uri(url)
        client, folder = MlflowClient(url), Path(folder)
        fill(client)
        record = ["--backend-store-uri", f"sqlite:///{folder}/mlops.db"]
        done = json.loads(program("import", "--from", url, "--json", *record))
        assert done["not_taken"] == [], done["not_taken"]
        experiments = client.search_experiments(view_type=ViewType.ALL)
        ids = [experiment.experiment_id for experiment in experiments]
        runs = client.search_runs(ids, run_view_type=ViewType.ALL)
        assert done["runs"] == len(runs), (done, len(runs))
        files = sum(check_run(client, record, client.get_run(run.info.run_id), folder) for run in runs)
        print(f"ok: {len(runs)} runs with {files} files are what MLflow's client reads")
        check_models(client, record, folder)
        print("ok: versions, aliases and their bytes are, too")
        again = json.loads(program("import", "--from", url, "--json", *record))
        assert (again["runs"], again["versions"], again["artifacts"]) == (0, 0, 0), again
        print("ok: again takes nothing")


main()

"""Checks: fluent logging, runs and their limits, artifacts, deletion and restoration."""

import math
import tempfile
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.entities import Metric, Param, RunTag
from mlflow_client import refused, same

HUGE = 1.7976931348623157e308


def experiments(peer):
    name = peer.name("fluent")
    made = mlflow.create_experiment(name, tags={"team": "risk"})
    found = mlflow.get_experiment_by_name(name)
    same((found.experiment_id, found.name, found.tags["team"]), (made, name, "risk"))
    same(mlflow.get_experiment(made).artifact_location, f"mlflow-artifacts:/{made}",
         "artifacts of it")
    same(mlflow.get_experiment_by_name(peer.name("none")), None, "an unknown name")
    same(mlflow.set_experiment(name).experiment_id, made, "set_experiment of an old one")
    refused("RESOURCE_ALREADY_EXISTS", mlflow.create_experiment, name)
    refused("RESOURCE_DOES_NOT_EXIST", mlflow.get_experiment, "987654321")
    peer.client.set_experiment_tag(made, "team", "care")
    peer.client.rename_experiment(made, name + " two")
    found = peer.client.get_experiment(made)
    same((found.name, found.tags["team"], found.lifecycle_stage), (name + " two", "care", "active"))
    same(peer.client.get_experiment("0").name, "Default")


def fluent(peer):
    experiment = peer.experiment("fluent")
    with mlflow.start_run(run_name="outer", tags={"colour": "red"},
                          description="the outer one") as outer:
        mlflow.log_param("lr", 0.1)
        mlflow.log_params({"depth": 3, "kind": "tree"})
        mlflow.log_metric("loss", 1.5)
        for step in range(5):
            mlflow.log_metrics({"loss": 1.0 / (step + 1), "acc": step / 5}, step=step)
        mlflow.set_tags({"a": 1, "b/c d": "é ☃"})
        mlflow.set_tag("gone", "soon")
        mlflow.delete_tag("gone")
        with mlflow.start_run(nested=True, run_name="inner") as inner:
            mlflow.log_metric("loss", 9)
    run = mlflow.get_run(outer.info.run_id)
    same(run.info.status, "FINISHED")
    same((run.info.experiment_id, run.info.run_name), (experiment, "outer"))
    assert run.info.start_time <= run.info.end_time, "it ended before it began"
    same(run.data.params, {"lr": "0.1", "depth": "3", "kind": "tree"})
    same(run.data.metrics, {"loss": 0.2, "acc": 0.8})
    same({k: run.data.tags[k] for k in ("colour", "a", "b/c d")},
         {"colour": "red", "a": "1", "b/c d": "é ☃"})
    assert "gone" not in run.data.tags, "a deleted tag is still there"
    same(run.data.tags["mlflow.note.content"], "the outer one")
    same(mlflow.get_run(inner.info.run_id).data.tags["mlflow.parentRunId"], outer.info.run_id)
    same(mlflow.get_parent_run(inner.info.run_id).info.run_id, outer.info.run_id)
    steps = [(m.step, m.value) for m in peer.client.get_metric_history(outer.info.run_id, "acc")]
    same(sorted(steps), [(step, step / 5) for step in range(5)])


def failing(peer):
    peer.experiment("fluent")
    try:
        with mlflow.start_run() as run:
            raise ValueError("as planned")
    except ValueError:
        pass
    same(mlflow.get_run(run.info.run_id).info.status, "FAILED")


def resume(peer):
    peer.experiment("resume")
    with mlflow.start_run() as first:
        mlflow.log_metric("loss", 2.0, step=1)
    with mlflow.start_run(run_id=first.info.run_id) as second:
        same(mlflow.get_run(first.info.run_id).info.status, "RUNNING", "resumed")
        mlflow.log_metric("loss", 1.0, step=2)
    same(second.info.run_id, first.info.run_id)
    run = mlflow.get_run(first.info.run_id)
    same((run.info.status, run.data.metrics["loss"]), ("FINISHED", 1.0))


def datasets(peer):
    peer.experiment("datasets")
    frame = pd.DataFrame({"a": [1, 2, 3], "y": [0.0, 1.0, 0.0]})
    of_frame = mlflow.data.from_pandas(frame, name="frame", targets="y")
    of_array = mlflow.data.from_numpy(np.arange(6.0).reshape(3, 2), name="array")
    with mlflow.start_run() as run:
        mlflow.log_input(of_frame, context="training")
        mlflow.log_input(of_array, context="test", tags={"part": "two"})
    given = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
    found = {d.dataset.name: ({t.key: t.value for t in d.tags}, d.dataset.digest) for d in given}
    same(set(found), {"frame", "array"})
    same(found["frame"], ({"mlflow.data.context": "training"}, of_frame.digest))
    same(found["array"][0], {"mlflow.data.context": "test", "part": "two"})
    again = mlflow.data.get_source(given[0])
    assert again is not None, "no source of a dataset"
    runs = mlflow.search_runs(filter_string="dataset.name = 'array'", output_format="list")
    same([r.info.run_id for r in runs], [run.info.run_id], "found by its dataset")


def numbers(peer):
    peer.experiment("numbers")
    with mlflow.start_run() as run:
        mlflow.log_metric("nan", math.nan)
        mlflow.log_metric("inf", math.inf)
        mlflow.log_metric("ninf", -math.inf)
        mlflow.log_metric("tiny", 5e-324)
        mlflow.log_metric("third", 1 / 3)
    given = mlflow.get_run(run.info.run_id).data.metrics
    assert math.isnan(given["nan"]), given
    same((given["inf"], given["ninf"], given["tiny"], given["third"]), (HUGE, -HUGE, 5e-324, 1 / 3))
    history = peer.client.get_metric_history(run.info.run_id, "nan")
    assert math.isnan(history[0].value), history


def params_once(peer):
    peer.experiment("params")
    with mlflow.start_run() as run:
        mlflow.log_param("lr", 0.1)
        mlflow.log_param("lr", 0.1)
        refused("INVALID_PARAMETER_VALUE", mlflow.log_param, "lr", 0.2)
        refused("INVALID_PARAMETER_VALUE", mlflow.log_params, {"new": 1, "lr": 0.3})
    same(mlflow.get_run(run.info.run_id).data.params["lr"], "0.1")


def batches(peer):
    run = peer.client.create_run(peer.experiment("batches")).info.run_id
    points = [Metric(f"m{i % 10}", i, 1000 + i, i) for i in range(1000)]
    peer.client.log_batch(run, metrics=points)
    peer.client.log_batch(run, params=[Param(f"p{i}", str(i)) for i in range(100)])
    peer.client.log_batch(run, tags=[RunTag(f"t{i}", str(i)) for i in range(100)])
    given = peer.client.get_run(run).data
    same(len(given.params), 100)
    same({k: v for k, v in given.metrics.items()}, {f"m{i}": 990.0 + i for i in range(10)})
    same(len(peer.client.get_metric_history(run, "m3")), 100)
    # Past the client's own check, as another program would send it.
    store = peer.client._tracking_client.store
    too_many = [Metric("more", i, 1, i) for i in range(1001)]
    refused("INVALID_PARAMETER_VALUE", store.log_batch, run, too_many, [], [])
    refused("INVALID_PARAMETER_VALUE", store.log_batch, run, [],
            [Param(f"q{i}", "x") for i in range(101)], [])
    same(len(peer.client.get_metric_history(run, "more")), 0, "points of a refused batch")


def long_history(peer):
    """More points than any page of the client's (25,000)."""
    run = peer.client.create_run(peer.experiment("history")).info.run_id
    many = 26_000
    for start in range(0, many, 1000):
        peer.client.log_batch(run, metrics=[Metric("m", i / 2, 10 + i, i) for i in range(start,
                                                                                         start + 1000)])
    history = peer.client.get_metric_history(run, "m")
    same(len(history), many)
    same([(m.step, m.value, m.timestamp) for m in history],
         [(i, i / 2, 10 + i) for i in range(many)])


def artifacts(peer):
    peer.experiment("artifacts")
    with mlflow.start_run() as run, tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "deep").mkdir()
        (folder / "deep/three.bin").write_bytes(bytes(range(256)) * 4096)
        (folder / "two words é at 10:30.txt").write_text("two\n")
        (folder / "empty").write_bytes(b"")
        mlflow.log_dict({"a": [1, 2]}, "data/one.json")
        mlflow.log_text("hello", "notes.txt")
        mlflow.log_artifact(folder / "deep/three.bin", "one")
        mlflow.log_artifacts(folder, "all")
        run_id = run.info.run_id

        def names(path=None):
            return {(f.path, f.is_dir) for f in peer.client.list_artifacts(run_id, path)}

        same(names(), {("data", True), ("notes.txt", False), ("one", True), ("all", True)})
        same(names("all"), {("all/deep", True), ("all/two words é at 10:30.txt", False),
                            ("all/empty", False)})
        same(names("nothing"), set())
        sizes = {f.path: f.file_size for f in peer.client.list_artifacts(run_id, "one")}
        same(sizes, {"one/three.bin": 256 * 4096})
        same(mlflow.artifacts.load_text(f"runs:/{run_id}/notes.txt"), "hello")
        same(mlflow.artifacts.load_dict(f"runs:/{run_id}/data/one.json"), {"a": [1, 2]})
        down = Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="all",
                                                        dst_path=folder / "down"))
        for path in ("deep/three.bin", "two words é at 10:30.txt", "empty"):
            same((down / path).read_bytes(), (folder / path).read_bytes(), path)
    mlflow.log_table({"q": ["x"], "a": [1]}, "table.json", run_id=run_id)
    table = mlflow.load_table("table.json", run_ids=[run_id])
    same(table.to_dict("list"), {"q": ["x"], "a": [1]})


def deletion(peer):
    experiment = peer.experiment("deletion")
    run = peer.client.create_run(experiment).info.run_id
    peer.client.log_metric(run, "m", 1)
    peer.client.delete_run(run)
    same(peer.client.get_run(run).info.lifecycle_stage, "deleted")
    refused("INVALID_PARAMETER_VALUE", peer.client.log_metric, run, "m", 2)
    same(len(peer.client.search_runs([experiment])), 0)
    peer.client.restore_run(run)
    same(peer.client.get_run(run).data.metrics, {"m": 1.0})
    peer.client.delete_experiment(experiment)
    same(peer.client.get_experiment(experiment).lifecycle_stage, "deleted")
    refused("INVALID_PARAMETER_VALUE", peer.client.create_run, experiment)
    same(peer.client.get_run(run).info.lifecycle_stage, "deleted", "a run of a deleted experiment")
    peer.client.restore_experiment(experiment)
    same(peer.client.get_run(run).info.lifecycle_stage, "active", "a run of a restored experiment")
    same(len(peer.client.search_runs([experiment])), 1)


def updates(peer):
    run = peer.client.create_run(peer.experiment("updates"), run_name="old").info.run_id
    peer.client.update_run(run, name="new")
    same(peer.client.get_run(run).data.tags["mlflow.runName"], "new")
    for status in ("SCHEDULED", "RUNNING"):
        peer.client.update_run(run, status)
        same(peer.client.get_run(run).info.status, status)
    for status in ("FAILED", "KILLED", "FINISHED"):
        peer.client.set_terminated(run, status, end_time=5000)
        given = peer.client.get_run(run).info
        same((given.status, given.end_time), (status, 5000))
    refused("RESOURCE_DOES_NOT_EXIST", peer.client.get_run, "0" * 32)


CHECKS = {
    "experiments: made, found, tagged, renamed": experiments,
    "fluent logging: nested runs, params, metrics, tags": fluent,
    "a run whose code fails is FAILED": failing,
    "an ended run is resumed": resume,
    "datasets as inputs": datasets,
    "NaN, infinities and small numbers": numbers,
    "a param is written once": params_once,
    "batches and their limits": batches,
    "a metric history longer than a page": long_history,
    "artifacts: up, listed, down": artifacts,
    "runs and experiments: deleted and restored": deletion,
    "runs: renamed, and every status": updates,
}

"""The small world that generated filters are asked about: requests that make it, as cases.

Everything has its own times, so that no order is left to chance. Variables: experiments e0 … e5
(runs and logged models lie in e0), runs r0 … r11, logged models l0 … l7; te0 …, tv0 …, tl0 … are the
server's times of creation.
"""

from mlflow_cases import get, post

NAMES = ["risk", "Risk model", "fraud_2", "fraud%2", "Crédit", "risk/eu"]
TAGS = [{"team": "risk"}, {"team": "Risk", "a b": "x"}, {"team": "fraud", "stage": "one"}, {},
        {"stage": "two"},
        {"team": ""}]
RUN_NAMES = ["alpha", "Alpha", "beta_1", "beta%1", "gamma", "gamma", "délta", "it's", "a b", "",
             "alpha beta", "ZETA"]
STATUSES = ["RUNNING", "FINISHED", "FAILED", "KILLED", "SCHEDULED", "FINISHED"]
MODELS = ["churn", "Churn", "fraud_2", "fraud%2", "risk model", "prix-é", "zeta", "empty"]
LOGGED = ["tree", "Tree", "forest_1", "linear", "linear", "net", "svm", "odd name"]


def pairs(of):
    return [{"key": key, "value": str(value)} for key, value in of.items()]


def experiments():
    for i, (name, tags) in enumerate(zip(NAMES, TAGS, strict=True)):
        yield post(f"experiment {i}", "experiments/create", {"name": name, "tags": pairs(tags)},
                   **{f"e{i}": "experiment_id"})
        yield get(f"experiment {i} as made", "experiments/get", {"experiment_id": "${e%d}" % i},
                  **{f"te{i}": "experiment.creation_time"})
    yield post("delete experiment 3", "experiments/delete", {"experiment_id": "${e3}"})
    yield post("tag experiment 1", "experiments/set-experiment-tag",
               {"experiment_id": "${e1}", "key": "late", "value": "yes"})


def metrics(i):
    """The latest values: loss falls, acc is there for two of three, some are NaN or infinite."""
    points = [("loss", 5, 0), ("loss", 12 - i, 1)]
    points += [("acc", i / 10, 0)] if i % 3 else []
    points += [("val loss", i * 1.5, 2)] if i % 2 else []
    points += {4: [("loss", "NaN", 2)], 5: [("odd", "NaN", 0)], 6: [("odd", "Infinity", 0)],
               7: [("odd", "-Infinity", 0)], 8: [("odd", 0, 0)], 9: [("a.b", 1, 0)],
               10: [("loss", 100, 0)]}.get(i, [])
    return [{"key": k, "value": v, "timestamp": 10, "step": s} for k, v, s in points]


def params(i):
    given = {"lr": ["0.1", "0.01", "1e-3"][i % 3], "kind": ["tree", "Tree", "net", "it's"][i % 4]}
    given |= {"learning rate": "x"} if i == 2 else {}
    given |= {"empty": ""} if i == 3 else {}
    return pairs(given | ({"a.b": "dotted"} if i == 4 else {}))


def runs():
    for i, name in enumerate(RUN_NAMES):
        tags = {"team": ["risk", "Risk",
                         "fraud"][i % 3]} | ({"mlflow.source.name": f"train{i}.py"} if i % 2 else {})
        tags |= {"note": 'say "hi"'} if i == 5 else {}
        yield post(f"run {i}", "runs/create",
                   {"experiment_id": "${e0}", "run_name": name or "unnamed",
                    "user_id": ["ann", "bob", "Ann"][i % 3],
                    "start_time": 1000 + 10 * i, "tags": pairs(tags)},
                   **{f"r{i}": "run.info.run_id"})
        yield post(f"batch of run {i}", "runs/log-batch",
                   {"run_id": "${r%d}" % i, "metrics": metrics(i), "params": params(i)})
        if STATUSES[i % 6] != "RUNNING":
            yield post(f"end of run {i}", "runs/update",
                       {"run_id": "${r%d}" % i, "status": STATUSES[i % 6],
                        "end_time": 5000 - 10 * i})
        if i % 4 == 1:
            yield post(f"input of run {i}", "runs/log-inputs",
                       {"run_id": "${r%d}" % i, "datasets": [
                {"tags": [{"key": "mlflow.data.context", "value": ["train", "test"][i % 8 == 1]}],
                 "dataset": {"name": ["census", "Census 2"][i % 8 == 1], "digest": f"d{i}",
                             "source_type": "local",
                             "source": "s"}}]})
    yield post("delete run 11", "runs/delete", {"run_id": "${r11}"})


def models():
    for i, name in enumerate(MODELS):
        tags = {"team": ["risk", "Risk", "fraud"][i % 3]} if i != 7 else {}
        tags |= {"mlflow.prompt.is_prompt": "true"} if i == 6 else {}
        yield post(f"model {i}", "registered-models/create", {"name": name, "tags": pairs(tags)})
    for i, name in enumerate([MODELS[0]] * 3 + [MODELS[1], MODELS[2], MODELS[2], MODELS[3],
                                                MODELS[4], MODELS[5]]):
        of_run = {"run_id": "${r1}"} if i in (1, 4) else {}
        yield post(f"version {i}", "model-versions/create",
                   {"name": name, "source": f"s3://bucket/m{i}" if i % 2 else f"S3://Bucket/M_{i}",
                    "tags": pairs({"cv": i % 3, "a b": "x"} if i != 4 else {}), **of_run},
                   **{f"tv{i}": "model_version.creation_timestamp"})
    yield post("tag version 1", "model-versions/set-tag",
               {"name": "churn", "version": "1", "key": "late", "value": "yes"})


def logged():
    for i, name in enumerate(LOGGED):
        made = {"experiment_id": "${e0}", "name": name, "model_type": ["tree", "Tree", ""][i % 3],
                "params": pairs({"depth": i % 4, "kind": ["a", "A"][i % 2]}),
                "tags": pairs({"team": ["x", "X", "y"][i % 3]})}
        if i % 2:
            made["source_run_id"] = "${r0}"
        yield post(f"logged model {i}", "logged-models", made,
                   **{f"l{i}": "model.info.model_id", f"tl{i}": "model.info.creation_timestamp_ms"})
        yield post(f"metrics of logged model {i}", "runs/log-batch",
                   {"run_id": "${r0}", "metrics": [
            {"key": "auc", "value": i / 8, "timestamp": 1, "step": 0, "model_id": "${l%d}" % i},
            *([{"key": "f1", "value": 1 - i / 8, "timestamp": 1, "step": 0,
                "model_id": "${l%d}" % i,
                "dataset_name": "census", "dataset_digest": "d1"}] if i % 2 else [])]})


POPULATION = [*experiments(), *runs(), *models(), *logged()]

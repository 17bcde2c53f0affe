"""Requests about metrics, batches, and the inputs and outputs of runs."""

from mlflow_cases import API, call, get, group, mistakes, post, raw

METRIC = {"run_id": "${m}", "key": "loss", "value": 0.5, "timestamp": 10, "step": 1}
BULK = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
INTERVAL = "metrics/get-history-bulk-interval"


def batch(name, **parts):
    return post(name, "runs/log-batch", {"run_id": "${m}", **parts})


def metric(name, **changed):
    return post(name, "runs/log-metric", {**METRIC, **changed})


METRICS = group(
    "metrics",
    post("an experiment", "experiments/create", {"name": "metrics"}, metrics="experiment_id"),
    post("a run", "runs/create",
         {"experiment_id": "${metrics}", "run_name": "m", "start_time": 1}, m="run.info.run_id"),
    post("another", "runs/create",
         {"experiment_id": "${metrics}", "run_name": "n", "start_time": 2}, n="run.info.run_id"),
    metric("one"),
    metric("the same again"),
    metric("a later step, an earlier time", value=0.25, timestamp=5, step=2),
    metric("an earlier step, a later time", value=0.75, timestamp=100, step=0),
    metric("the last step, a greater value", value=0.3, timestamp=5, step=2),
    metric("another key without a step", key="acc", step=None),
    post("no step at all", "runs/log-metric",
         {"run_id": "${m}", "key": "stepless", "value": 1, "timestamp": 3}),
    metric("a whole number", key="whole", value=3),
    metric("digits as text", key="text", value="1.5", timestamp="11", step="4"),
    metric("a negative step", key="neg", step=-5),
    metric("a great step", key="great", step=9_000_000_000),
    metric("not a number", key="nan", value="NaN"),
    raw("not a number, bare", API + "runs/log-metric",
        '{"run_id": "${m}", "key": "nan2", "value": NaN, "timestamp": 1}'),
    metric("infinity", key="inf", value="Infinity"),
    metric("minus infinity", key="ninf", value="-Infinity"),
    raw("infinity, bare", API + "runs/log-metric",
        '{"run_id": "${m}", "key": "inf2", "value": Infinity, "timestamp": 1}'),
    metric("a tiny value", key="tiny", value=5e-324),
    metric("a huge value", key="huge", value=1.7976931348623157e308),
    metric("then a number after NaN", key="nan", value=1.0, step=0),
    metric("by run_uuid", run_id=None, run_uuid="${m}", key="uuid"),
    metric("with a model and a dataset", key="linked", dataset_name="d", dataset_digest="1"),
    mistakes("runs/log-metric", {**METRIC, "run_id": "${n}", "key": "odd"},
             {"run_id": ["0123456789abcdef0123456789abcdef"],
              "key": ["", 5, "${k*251}", "a/../b", "a\tb"], "value": ["high", None, True, [1]],
              "timestamp": ["now", None, 1.5], "step": ["one", 1.5]},
             ["run_id", "key", "value", "timestamp"]),
    get("of the run", "runs/get", {"run_id": "${m}"}),
)

HISTORY = group(
    "history",
    get("of a key", "metrics/get-history", {"run_id": "${m}", "metric_key": "loss"}),
    get("with NaN", "metrics/get-history", {"run_id": "${m}", "metric_key": "nan"}),
    get("by run_uuid", "metrics/get-history", {"run_uuid": "${m}", "metric_key": "inf"}),
    get("of no such key", "metrics/get-history", {"run_id": "${m}", "metric_key": "none"}),
    get("of no such run", "metrics/get-history",
        {"run_id": "0123456789abcdef0123456789abcdef", "metric_key": "loss"}),
    get("without a key", "metrics/get-history", {"run_id": "${m}"}),
    get("without a run", "metrics/get-history", {"metric_key": "loss"}),
    post("7 points", "runs/log-batch",
         {"run_id": "${n}", "metrics": {"$repeat": 7, "of": {
             "key": "p", "value": "${i}", "timestamp": "${i}", "step": "${i}"}}}),
    get("page 1", "metrics/get-history",
        {"run_id": "${n}", "metric_key": "p", "max_results": 3}, page="next_page_token"),
    get("page 2", "metrics/get-history",
        {"run_id": "${n}", "metric_key": "p", "max_results": 3, "page_token": "${page}"},
        page="next_page_token"),
    get("page 3", "metrics/get-history",
        {"run_id": "${n}", "metric_key": "p", "max_results": 3, "page_token": "${page}"}),
    get("max_results 0", "metrics/get-history",
        {"run_id": "${n}", "metric_key": "p", "max_results": 0}),
    get("max_results -1", "metrics/get-history",
        {"run_id": "${n}", "metric_key": "p", "max_results": -1}),
    get("max_results of letters", "metrics/get-history",
        {"run_id": "${n}", "metric_key": "p", "max_results": "many"}),
    get("a token that is none", "metrics/get-history",
        {"run_id": "${n}", "metric_key": "p", "max_results": 3, "page_token": "zzz"}),
    get("bulk", BULK, [("run_id", "${n}"), ("metric_key", "p")]),
    get("bulk of some", BULK, {"run_id": "${n}", "metric_key": "p", "max_results": 2}),
    get("bulk of another key", BULK, [("run_id", "${m}"), ("metric_key", "loss")]),
    get("bulk with NaN", BULK, {"run_id": "${m}", "metric_key": "nan"}),
    get("bulk without a run", BULK, {"metric_key": "p"}),
    get("bulk without a key", BULK, {"run_id": "${n}"}),
    get("bulk of no such run", BULK,
        {"run_id": "0123456789abcdef0123456789abcdef", "metric_key": "p"}),
    get("bulk of 101 runs", BULK, [("run_id", "${n}")] * 101 + [("metric_key", "p")]),
    get("interval", INTERVAL, {"run_ids": "${n}", "metric_key": "p"}),
    get("interval of two runs", INTERVAL, [("run_ids", "${n}"), ("run_ids", "${m}"),
                                           ("metric_key", "p")]),
    get("interval of steps", INTERVAL,
        {"run_ids": "${n}", "metric_key": "p", "start_step": 2, "end_step": 4}),
    get("interval of one step", INTERVAL,
        {"run_ids": "${n}", "metric_key": "p", "start_step": 2, "end_step": 2}),
    get("interval, sampled", INTERVAL, {"run_ids": "${n}", "metric_key": "p", "max_results": 3}),
    get("interval, sampled to one", INTERVAL, {"run_ids": "${n}", "metric_key": "p",
                                               "max_results": 1}),
    get("interval with a start only", INTERVAL,
        {"run_ids": "${n}", "metric_key": "p", "start_step": 2}),
    get("interval, backwards", INTERVAL,
        {"run_ids": "${n}", "metric_key": "p", "start_step": 4, "end_step": 2}),
    get("interval, max_results 0", INTERVAL,
        {"run_ids": "${n}", "metric_key": "p", "max_results": 0}),
    get("interval, max_results 2501", INTERVAL,
        {"run_ids": "${n}", "metric_key": "p", "max_results": 2501}),
    get("interval without runs", INTERVAL, {"metric_key": "p"}),
    get("interval without a key", INTERVAL, {"run_ids": "${n}"}),
    get("interval of no such run", INTERVAL,
        {"run_ids": "0123456789abcdef0123456789abcdef", "metric_key": "p"}),
    get("interval of 101 runs", INTERVAL, [("run_ids", "${n}")] * 101 + [("metric_key", "p")]),
    get("interval by ajax", "/ajax-api/2.0/mlflow/" + INTERVAL,
        {"run_ids": "${n}", "metric_key": "p", "max_results": 4}),
)

POINT = {"key": "b", "value": 1.0, "timestamp": 1, "step": 0}

BATCHES = group(
    "batch",
    batch("everything", metrics=[POINT], params=[{"key": "bp", "value": "1"}],
          tags=[{"key": "bt", "value": "1"}]),
    batch("the same again", metrics=[POINT], params=[{"key": "bp", "value": "1"}],
          tags=[{"key": "bt", "value": "1"}]),
    batch("nothing"),
    batch("one param twice, the same", params=[{"key": "d", "value": "1"}] * 2),
    batch("one param twice, another", params=[{"key": "d2", "value": "1"},
                                              {"key": "d2", "value": "2"}]),
    batch("one tag twice", tags=[{"key": "t", "value": "1"}, {"key": "t", "value": "2"}]),
    batch("one point twice", metrics=[{**POINT, "key": "twice"}] * 2),
    batch("a param with another value", metrics=[{**POINT, "key": "kept"}],
          params=[{"key": "bp", "value": "2"}], tags=[{"key": "kept", "value": "1"}]),
    batch("a bad key among good", metrics=[{**POINT, "key": "good"}, {**POINT, "key": "a/../b"}]),
    batch("NaN among numbers", metrics=[POINT | {"key": "bn", "value": "NaN", "step": 3},
                                        POINT | {"key": "bn", "value": 2.0, "step": 3}]),
    batch("1000 metrics", metrics={"$repeat": 1000, "of": {
        "key": "thousand", "value": "${i}", "timestamp": 1, "step": "${i}"}}),
    batch("1001 metrics", metrics={"$repeat": 1001, "of": {
        "key": "more", "value": "${i}", "timestamp": 1, "step": "${i}"}}),
    batch("100 params", params={"$repeat": 100, "of": {"key": "p${i}", "value": "${i}."}}),
    batch("101 params", params={"$repeat": 101, "of": {"key": "q${i}", "value": "x"}}),
    batch("101 tags", tags={"$repeat": 101, "of": {"key": "t${i}", "value": "x"}}),
    batch("901 and 100", metrics={"$repeat": 901, "of": {
        "key": "all", "value": 1, "timestamp": 1, "step": "${i}"}},
        params={"$repeat": 100, "of": {"key": "p${i}", "value": "${i}."}}),
    batch("over a million bytes", tags={"$repeat": 100, "of": {"key": "u${i}",
                                                               "value": "${v*11000}"}}),
    batch("a metric without a value", metrics=[{"key": "a", "timestamp": 1}]),
    batch("a metric without a time", metrics=[{"key": "a", "value": 1}]),
    batch("a metric without a key", metrics=[{"value": 1, "timestamp": 1}]),
    batch("a param without a key", params=[{"value": "1"}]),
    batch("a tag without a key", tags=[{"value": "1"}]),
    batch("metrics of text", metrics="many"),
    batch("params of numbers", params=[{"key": "a", "value": 5}]),
    batch("a long param", params=[{"key": "longer", "value": "${v*6001}"}]),
    post("no such run", "runs/log-batch", {"run_id": "0123456789abcdef0123456789abcdef"}),
    post("without a run", "runs/log-batch", {"metrics": [POINT]}),
    post("a run for what was kept", "runs/search",
         {"experiment_ids": ["${metrics}"], "filter": "metrics.kept > 0"}),
    post("a run for the good among bad", "runs/search",
         {"experiment_ids": ["${metrics}"], "filter": "metrics.good > 0"}),
    get("the latest of a thousand", "metrics/get-history",
        {"run_id": "${m}", "metric_key": "bn"}),
)

DATASET = {"tags": [{"key": "mlflow.data.context", "value": "training"}],
           "dataset": {"name": "census", "digest": "abc123", "source_type": "local",
                       "source": "{\"uri\": \"x.csv\"}", "schema": "{\"a\": 1}",
                       "profile": "{\"rows\": 5}"}}


def dataset(**changed):
    return {**DATASET, "dataset": {**DATASET["dataset"], **changed}}


def inputs(name, datasets):
    return post(name, "runs/log-inputs", {"run_id": "${i}", "datasets": datasets})


INPUTS = group(
    "inputs",
    post("an experiment", "experiments/create", {"name": "inputs"}, inputs="experiment_id"),
    post("a run", "runs/create",
         {"experiment_id": "${inputs}", "run_name": "i", "start_time": 1}, i="run.info.run_id"),
    inputs("one", [DATASET]),
    inputs("the same again", [DATASET]),
    inputs("two at once", [dataset(name="two"), dataset(name="three", digest="d3")]),
    inputs("no tags", [{"dataset": dataset(name="tagless")["dataset"]}]),
    inputs("another context", [{**DATASET, "tags": [{"key": "mlflow.data.context",
                                                     "value": "test"}]}]),
    inputs("none", []),
    inputs("without a name", [{"dataset": {"digest": "1", "source_type": "l", "source": "s"}}]),
    inputs("without a digest", [{"dataset": {"name": "x", "source_type": "l", "source": "s"}}]),
    inputs("without a source", [{"dataset": {"name": "x", "digest": "1"}}]),
    inputs("a long name", [dataset(name="${n*501}")]),
    inputs("a long digest", [dataset(digest="${d*37}")]),
    inputs("a long tag", [{**DATASET, "tags": [{"key": "k", "value": "${v*501}"}]}]),
    inputs("not a list", "census"),
    post("no such run", "runs/log-inputs",
         {"run_id": "0123456789abcdef0123456789abcdef", "datasets": [DATASET]}),
    post("without a run", "runs/log-inputs", {"datasets": [DATASET]}),
    get("of the run", "runs/get", {"run_id": "${i}"}),
    post("searched", "runs/search",
         {"experiment_ids": ["${inputs}"], "filter": "dataset.name = 'census'"}),
    post("summaries", "/ajax-api/2.0/mlflow/experiments/search-datasets",
         {"experiment_ids": ["${inputs}"]}),
    post("summaries of none", "/ajax-api/2.0/mlflow/experiments/search-datasets",
         {"experiment_ids": ["${alpha}"]}),
    post("summaries without experiments", "/ajax-api/2.0/mlflow/experiments/search-datasets"),
    post("summaries of 21", "/ajax-api/2.0/mlflow/experiments/search-datasets",
         {"experiment_ids": {"$repeat": 21, "of": "1"}}),
    post("summaries at the other path", "experiments/search-datasets",
         {"experiment_ids": ["${inputs}"]}),
    call("GET", "summaries by GET", "/ajax-api/2.0/mlflow/experiments/search-datasets",
         query={"experiment_ids": "${inputs}"}),
)

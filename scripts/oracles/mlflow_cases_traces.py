"""Requests about traces, and searches over runs and experiments with order and pages."""

from mlflow_cases import API3, call, delete, get, group, patch, post

TRACES = API3 + "traces"


def trace(number, **changed):
    info = {"trace_id": f"tr-{number:032x}",
            "trace_location": {"type": "MLFLOW_EXPERIMENT",
                               "mlflow_experiment": {"experiment_id": "${traces}"}},
            "request_time": f"2020-01-01T00:00:0{number}.500Z", "execution_duration": "1.250s",
            "state": "OK", "request_preview": '{"x": 1}', "response_preview": "2",
            "trace_metadata": {"mlflow.sourceRun": "${t}"},
            "tags": {"mlflow.traceName": f"call {number}"}}
    return {"trace": {"trace_info": {**info, **changed}}}


def span(trace_id, span_id, name, parent=None):
    return {"traceId": trace_id, "spanId": span_id, "name": name, "kind": 1,
            **({"parentSpanId": parent} if parent else {}),
            "startTimeUnixNano": "1577836800000000000", "endTimeUnixNano": "1577836801000000000",
            "status": {"code": 1},
            "attributes": [{"key": "mlflow.traceRequestId",
                            "value": {"stringValue": f'"tr-{trace_id}"'}},
                           {"key": "mlflow.spanInputs", "value": {"stringValue": '{"x": 1}'}}]}


def spans(*of):
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": list(of)}]}]}


ONE, TWO, THREE = (f"tr-{n:032x}" for n in (1, 2, 3))
OTHER = f"tr-{99:032x}"
HEX = f"{2:032x}"
PLACE = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "${traces}"}}
TO_EXPERIMENT = {"x-mlflow-experiment-id": "${traces}"}


def found(name, **changed):
    return post(name, f"{TRACES}/search", {"locations": [PLACE], **changed})


TRACE_CASES = group(
    "traces",
    post("an experiment", "experiments/create", {"name": "traces"}, traces="experiment_id"),
    post("a run", "runs/create",
         {"experiment_id": "${traces}", "run_name": "t", "start_time": 1}, t="run.info.run_id"),
    post("start", TRACES, trace(1)),
    post("start again", TRACES, trace(1, state="ERROR")),
    post("start a second", TRACES, trace(2)),
    post("start a third, in progress", TRACES, trace(3, state="IN_PROGRESS",
                                                     execution_duration=None)),
    post("start in an unknown experiment", TRACES, trace(4, trace_location={
        "type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "987654321"}})),
    post("start without a trace", TRACES),
    get("get the info", f"{TRACES}/{ONE}"),
    get("get the info, unknown", f"{TRACES}/{OTHER}"),
    get("get", f"{TRACES}/get", {"trace_id": ONE}),
    get("get without an id", f"{TRACES}/get"),
    call("POST", "spans", "/v1/traces", spans(span(HEX, f"{1:016x}", "root"),
                                             span(HEX, f"{2:016x}", "inner", f"{1:016x}")),
         headers=TO_EXPERIMENT),
    call("POST", "spans without an experiment", "/v1/traces", spans(span(HEX, f"{3:016x}", "x"))),
    call("POST", "spans of nothing", "/v1/traces", {}, headers=TO_EXPERIMENT),
    call("POST", "spans that are none", "/v1/traces", text="zzz", type="application/x-protobuf",
         headers=TO_EXPERIMENT),
    call("POST", "spans as text", "/v1/traces", text="zzz", type="text/plain",
         headers=TO_EXPERIMENT),
    get("get with spans", f"{TRACES}/get", {"trace_id": TWO}),
    get("get partly", f"{TRACES}/get", {"trace_id": THREE, "allow_partial": "true"}),
    get("batch", f"{TRACES}/batchGet", [("trace_ids", TWO), ("trace_ids", OTHER)]),
    get("batch of none", f"{TRACES}/batchGet"),
    post("batch of infos", f"{TRACES}/batchGetInfos", {"trace_ids": [ONE, THREE, OTHER]}),
    patch("tag", f"{TRACES}/{ONE}/tags", {"key": "colour", "value": "red"}),
    patch("tag, unknown", f"{TRACES}/{OTHER}/tags", {"key": "colour", "value": "red"}),
    patch("tag without a key", f"{TRACES}/{ONE}/tags", {"value": "red"}),
    get("get the tagged", f"{TRACES}/{ONE}"),
    delete("delete a tag", f"{TRACES}/{ONE}/tags", {"key": "colour"}),
    delete("delete a tag again", f"{TRACES}/{ONE}/tags", {"key": "colour"}),
    found("search"),
    found("search by status", filter="trace.status = 'OK'"),
    found("search by name", filter="trace.name = 'call 2'"),
    found("search by a tag", filter="tags.`mlflow.traceName` = 'call 1'"),
    found("search, ordered", order_by=["timestamp_ms ASC"]),
    found("search, page 1", max_results=2),
    found("search by a bad filter", filter="colour ="),
    found("search, max_results 501", max_results=501),
    found("search, max_results 0", max_results=0),
    post("search without places", f"{TRACES}/search"),
    post("link to a run", "traces/link-to-run", {"trace_ids": [ONE], "run_id": "${t}"}),
    post("link without a run", "traces/link-to-run", {"trace_ids": [ONE]}),
    post("delete", f"{TRACES}/delete-traces",
         {"experiment_id": "${traces}", "request_ids": [ONE, OTHER]}),
    post("delete all before", f"{TRACES}/delete-traces",
         {"experiment_id": "${traces}", "max_timestamp_millis": 9_000_000_000_000}),
    post("delete without saying which", f"{TRACES}/delete-traces", {"experiment_id": "${traces}"}),
    post("delete without an experiment", f"{TRACES}/delete-traces", {"request_ids": [ONE]}),
    get("get a deleted one", f"{TRACES}/{ONE}"),
)
for case in TRACE_CASES:
    if case["name"] == "traces: search, page 1":
        case["capture"] = {"page": "next_page_token"}
at = next(i for i, case in enumerate(TRACE_CASES) if case["name"] == "traces: search, page 1") + 1
TRACE_CASES[at:at] = group("traces", found("search, page 2", max_results=2, page_token="${page}"))


def run(number, **changed):
    return post(f"run {number}", "runs/create",
                {"experiment_id": "${searched}", "run_name": f"r{number}",
                 "start_time": 100 + number,
                 **changed}, **{f"s{number}": "run.info.run_id"})


def log(number, **metrics):
    points = [{"key": k, "value": v, "timestamp": 1} for k, v in metrics.items()]
    return post(f"metrics of run {number}", "runs/log-batch",
                {"run_id": "${s%d}" % number, "metrics": points,
                 "params": [{"key": "n", "value": str(number)}]})


def search(name, more=None, **changed):
    return post(name, "runs/search", {"experiment_ids": ["${searched}"], **changed}, **(more or {}))


def experiments(name, more=None, **changed):
    return post(name, "experiments/search", {"filter": "name LIKE 'find %'", "max_results": 100,
                                             **changed},
                **(more or {}))


PAGE = {"page": "next_page_token"}

SEARCHES = group(
    "searches",
    post("an experiment", "experiments/create", {"name": "searched"}, searched="experiment_id"),
    [run(n) for n in range(1, 7)],
    log(1, a=1, b=5), log(2, a=3), log(3, a="NaN", b=5), log(4, a=2), log(5, b=1),
    post("delete run 6", "runs/delete", {"run_id": "${s6}"}),
    search("all"),
    search("deleted", run_view_type="DELETED_ONLY"),
    search("both", run_view_type="ALL"),
    search("a view that is none", run_view_type="SOME"),
    search("page 1", PAGE, max_results=2),
    search("page 2", PAGE, max_results=2, page_token="${page}"),
    search("page 3", max_results=2, page_token="${page}"),
    search("ordered by a metric", order_by=["metrics.a"]),
    search("ordered by a metric, falling", order_by=["metrics.a DESC"]),
    search("ordered by two", order_by=["metrics.b DESC", "metrics.a ASC"]),
    search("ordered by a param", order_by=["params.n DESC"]),
    search("ordered by start", order_by=["attributes.start_time ASC"]),
    search("ordered by nothing known", order_by=["attributes.weight"]),
    search("ordered by text", order_by="metrics.a"),
    search("filtered and ordered", filter="metrics.a > 1", order_by=["metrics.a DESC"]),
    search("max_results 0", max_results=0),
    search("max_results 50001", max_results=50001),
    search("max_results -1", max_results=-1),
    search("max_results of letters", max_results="many"),
    search("a filter that is none", filter="metrics.a >"),
    search("a filter with OR", filter="metrics.a > 1 OR metrics.b > 1"),
    search("a token that is none", page_token="zzz"),
    post("no experiments", "runs/search", {"experiment_ids": []}),
    post("nothing said", "runs/search"),
    post("an unknown experiment", "runs/search", {"experiment_ids": ["987654321"]}),
    post("experiments of text", "runs/search", {"experiment_ids": "1"}),
    [post(f"experiment {n}", "experiments/create",
          {"name": f"find {n}", "tags": [{"key": "n", "value": str(n % 2)}]},
          **{f"f{n}": "experiment_id"})
     for n in range(1, 6)],
    post("delete experiment 5", "experiments/delete", {"experiment_id": "${f5}"}),
    experiments("experiments"),
    experiments("experiments deleted", view_type="DELETED_ONLY"),
    experiments("experiments both", view_type="ALL"),
    experiments("experiments, page 1", PAGE, max_results=3),
    experiments("experiments, page 2", max_results=3, page_token="${page}"),
    experiments("experiments by name", order_by=["name"]),
    experiments("experiments by time", order_by=["creation_time ASC"]),
    experiments("experiments by two", order_by=["last_update_time DESC", "name ASC"]),
    experiments("experiments by nothing known", order_by=["weight"]),
    experiments("experiments of a tag", filter="tags.n = '1'"),
    experiments("experiments, a filter that is none", filter="name"),
    experiments("experiments, max_results 0", max_results=0),
    experiments("experiments, max_results 50001", max_results=50001),
    experiments("experiments, max_results of letters", max_results="x"),
    experiments("experiments, a token that is none", max_results=1, page_token="zzz"),
    post("experiments without max_results", "experiments/search", {"filter": "name = 'find 1'"}),
    get("experiments by GET", "experiments/search",
        [("filter", "name LIKE 'find %'"), ("max_results", "2"), ("order_by", "name DESC"),
         ("view_type", "ACTIVE_ONLY")]),
)

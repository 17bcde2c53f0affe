"""Checks: traces of functions, kept and found again."""

import time

import mlflow
from mlflow.exceptions import MlflowException
from mlflow_client import Skipped, same


@mlflow.trace(name="inner", attributes={"kind": "leaf"})
def inner(x):
    return x + 1


@mlflow.trace(name="outer")
def outer(x):
    return inner(x) * 2


@mlflow.trace(name="fails")
def fails():
    raise ValueError("as planned")


def waited(find):
    """What `find` gives once it gives something: traces may be logged behind the caller's back."""
    for _ in range(40):
        found = find()
        if found:
            return found
        time.sleep(0.25)
    raise AssertionError("nothing came within 10 s")


def traced(peer):
    peer.needs(3, 0)
    experiment = peer.experiment("traces")
    same(outer(3), 8)
    found = waited(lambda: peer.client.search_traces(**places(peer, experiment)))
    same(len(found), 1, "traces")
    trace = mlflow.get_trace(found[0].info.trace_id)
    same(str(trace.info.state).rsplit(".")[-1], "OK")
    spans = {span.name: span for span in trace.data.spans}
    same(set(spans), {"outer", "inner"})
    same(spans["inner"].parent_id, spans["outer"].span_id)
    same((spans["outer"].inputs, spans["outer"].outputs), ({"x": 3}, 8))
    same(spans["inner"].get_attribute("kind"), "leaf")


def places(peer, experiment):
    if peer.version >= (3, 6):
        return {"locations": [experiment]}
    return {"experiment_ids": [experiment]}


def names(traces):
    return sorted(trace.info.tags["mlflow.traceName"] for trace in traces)


def found_again(peer):
    peer.needs(3, 0)
    experiment = peer.experiment("traces")
    with mlflow.start_run() as run:
        outer(1)
    inner(1)
    try:
        fails()
    except ValueError:
        pass

    def search(text=None, **more):
        return peer.client.search_traces(filter_string=text, **places(peer, experiment), **more)

    waited(lambda: len(search()) == 3)
    same(names(search()), ["fails", "inner", "outer"])
    same(names(search("attributes.status = 'ERROR'")), ["fails"])
    same(names(search("attributes.name = 'inner'")), ["inner"])
    same(names(search(run_id=run.info.run_id)), ["outer"])
    first = search(max_results=2)
    rest = search(max_results=2, page_token=first.token)
    same(names([*first, *rest]), ["fails", "inner", "outer"], "by pages")
    trace_id = search("attributes.name = 'inner'")[0].info.trace_id
    peer.client.set_trace_tag(trace_id, "colour", "red")
    same([t.info.trace_id for t in search("tags.colour = 'red'")], [trace_id])
    peer.client.delete_trace_tag(trace_id, "colour")
    same(len(search("tags.colour = 'red'")), 0)
    same(peer.client.delete_traces(experiment, trace_ids=[trace_id]), 1)
    same(names(search()), ["fails", "outer"])


def assessed(peer):
    peer.needs(3, 2)
    experiment = peer.experiment("traces")
    outer(2)
    trace = waited(lambda: peer.client.search_traces(**places(peer, experiment)))[0]
    try:
        mlflow.log_feedback(trace_id=trace.info.trace_id, name="good", value=True,
                            rationale="it is")
    except MlflowException as error:
        if error.error_code != "NOT_IMPLEMENTED":
            raise
        raise Skipped("the server says that it has no assessments") from None
    given = mlflow.get_trace(trace.info.trace_id).info.assessments
    same([(a.name, a.feedback.value) for a in given], [("good", True)])


CHECKS = {
    "a traced function: its spans, inputs and outputs": traced,
    "traces: searched, paged, tagged, deleted": found_again,
    "feedback on a trace": assessed,
}

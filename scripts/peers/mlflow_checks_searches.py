"""Checks: searches with filters and orders, page by page."""

import math

from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow_client import refused, same


def pages(search, **named):
    """All of a search, by pages of two, and how many there were."""
    found, token, count = [], None, 0
    while True:
        page = search(max_results=2, page_token=token, **named)
        assert len(page) <= 2, f"a page of {len(page)}"
        found, count, token = found + list(page), count + 1, page.token
        if not token:
            return found, count


def population(peer):
    """Seven runs: the metric a falls, b is there for some, one is NaN, one deleted."""
    experiment = peer.experiment("search")
    runs = []
    for i in range(7):
        run = peer.client.create_run(experiment, start_time=1000 + i,
                                     run_name=f"run {i}").info.run_id
        metrics = [Metric("a", math.nan if i == 3 else 10 - i, 1, 0)]
        metrics += [Metric("b", i % 2, 1, 0)] if i < 5 else []
        peer.client.log_batch(run, metrics, [Param("n", str(i)),
                                             Param("kind", "even" if i % 2 == 0 else "odd")],
                              [RunTag("half", "first" if i < 4 else "second")])
        runs.append(run)
    peer.client.set_terminated(runs[5], "FAILED")
    peer.client.delete_run(runs[6])
    return experiment, runs


def runs(peer):
    experiment, made = population(peer)
    cases = {
        "": [5, 4, 3, 2, 1, 0],
        "metrics.a > 7": [2, 1, 0],
        "metrics.a >= 7 and params.kind = 'even'": [2, 0],
        "metrics.b = 1": [3, 1],
        "metrics.b != 1": [4, 2, 0],
        "params.n != '2'": [5, 4, 3, 1, 0],
        "params.kind LIKE 'e%'": [4, 2, 0],
        "params.kind ILIKE 'ODD'": [5, 3, 1],
        "tags.half = 'second'": [5, 4],
        "tags.`half` LIKE '%st'": [3, 2, 1, 0],
        "attributes.status = 'FAILED'": [5],
        "attributes.start_time > 1002": [5, 4, 3],
        "attributes.run_name = 'run 1'": [1],
        f"attributes.run_id IN ('{made[0]}', '{made[4]}')": [4, 0],
        f"attributes.run_id NOT IN ('{made[0]}', '{made[4]}')": [5, 3, 2, 1],
    }
    for text, wanted in cases.items():
        found = peer.client.search_runs([experiment], text)
        same([made.index(r.info.run_id) for r in found], wanted, text)
    for order, wanted in (
        (["metrics.a ASC"], [5, 4, 2, 1, 0, 3]), (["metrics.a DESC"], [0, 1, 2, 4, 5, 3]),
        (["metrics.b DESC", "attributes.start_time ASC"], [1, 3, 0, 2, 4, 5]),
        (["params.n ASC"], [0, 1, 2, 3, 4, 5]), (["tags.half DESC", "metrics.a ASC"],
                                                 [5, 4, 2, 1, 0, 3]),
    ):
        found = peer.client.search_runs([experiment], order_by=order)
        same([made.index(r.info.run_id) for r in found], wanted, f"order {order}")
    found, count = pages(peer.client.search_runs, experiment_ids=[experiment],
                         order_by=["params.n"])
    same(([made.index(r.info.run_id) for r in found], count), (list(range(6)), 3), "by pages")
    for view, wanted in ((ViewType.DELETED_ONLY, [6]), (ViewType.ALL, [6, 5, 4, 3, 2, 1, 0])):
        found = peer.client.search_runs([experiment], run_view_type=view)
        same([made.index(r.info.run_id) for r in found], wanted, f"view {view}")
    for wrong in ("metrics.a >", "metrics.a > 1 OR metrics.b > 1", "colour = 'red'",
                  "params.n > 'x'"):
        refused("INVALID_PARAMETER_VALUE", peer.client.search_runs, [experiment], wrong)


def experiments(peer):
    mark = peer.name("find")
    made = [peer.client.create_experiment(f"{mark} {i}",
                                          tags={"n": str(i % 2), mark: "x"}) for i in range(5)]
    peer.client.delete_experiment(made[4])
    like = f"name LIKE '{mark}%'"
    for text, wanted in (
        (like, [3, 2, 1, 0]), (f"{like} AND tags.n = '1'", [3, 1]), (f"name = '{mark} 2'", [2]),
        (f"tags.`{mark}` = 'x' AND tags.n != '1'", [2, 0]),
        (f"name ILIKE '{mark.upper()}%' AND tags.n = '0'", [2, 0]),
    ):
        found = peer.client.search_experiments(filter_string=text)
        same([made.index(e.experiment_id) for e in found], wanted, text)
    found = peer.client.search_experiments(filter_string=like, order_by=["name ASC"])
    same([made.index(e.experiment_id) for e in found], [0, 1, 2, 3])
    found, count = pages(peer.client.search_experiments, filter_string=like, view_type=ViewType.ALL)
    same(([made.index(e.experiment_id) for e in found], count), ([4, 3, 2, 1, 0], 3), "by pages")
    found = peer.client.search_experiments(filter_string=like, view_type=ViewType.DELETED_ONLY)
    same([made.index(e.experiment_id) for e in found], [4])
    refused("INVALID_PARAMETER_VALUE", peer.client.search_experiments, filter_string="colour = 1")


def models(peer):
    mark = peer.name("find")
    for i in range(5):
        peer.client.create_registered_model(f"{mark}-{i}", tags={"n": str(i % 2)})
    like = f"name LIKE '{mark}%'"
    for text, wanted in (
        (like, [0, 1, 2, 3, 4]), (f"name = '{mark}-3'", [3]), (f"{like} AND tags.n = '1'", [1, 3]),
        (f"name ILIKE '{mark.upper()}-%' AND tags.n != '1'", [0, 2, 4]),
    ):
        found = peer.client.search_registered_models(text)
        same([int(m.name.rsplit("-", 1)[1]) for m in found], wanted, text)
    found = peer.client.search_registered_models(like, order_by=["name DESC"], max_results=2)
    same([m.name for m in found], [f"{mark}-4", f"{mark}-3"])
    found, count = pages(peer.client.search_registered_models, filter_string=like)
    same(([m.name for m in found], count), ([f"{mark}-{i}" for i in range(5)], 3), "by pages")
    refused("INVALID_PARAMETER_VALUE", peer.client.search_registered_models, "colour = 'red'")


def versions(peer):
    name = peer.name("versions")
    run = peer.client.create_run(peer.experiment("versions")).info
    peer.client.create_registered_model(name)
    for i in range(5):
        of = {"source": f"{run.artifact_uri}/m",
              "run_id": run.run_id} if i == 2 else {"source": f"s3://bucket/{i}"}
        peer.client.create_model_version(name, tags={"n": str(i % 2)}, **of)
    mine = f"name = '{name}'"
    for text, wanted in (
        (mine, [5, 4, 3, 2, 1]), (f"{mine} AND tags.n = '1'", [4, 2]),
        (f"{mine} AND version_number > 3", [5, 4]),
        (f"run_id = '{run.run_id}'", [3]), (f"{mine} AND source_path = 's3://bucket/0'", [1]),
        (f"name IN ('{name}', 'none') AND version_number <= 2", [2, 1]),
    ):
        found = peer.client.search_model_versions(text)
        same([int(v.version) for v in found], wanted, text)
    found = peer.client.search_model_versions(mine, order_by=["version_number ASC"])
    same([int(v.version) for v in found], [1, 2, 3, 4, 5])
    found, count = pages(peer.client.search_model_versions, filter_string=mine)
    same(([int(v.version) for v in found], count), ([5, 4, 3, 2, 1], 3), "by pages")


def logged_models(peer):
    peer.needs(3, 0)
    experiment = peer.experiment("logged")
    run = peer.client.create_run(experiment).info.run_id
    made = []
    for i in range(5):
        model = peer.client.create_logged_model(
            experiment, name=f"model{i}", source_run_id=run, tags={"n": str(i % 2)},
            params={"depth": str(i)},
            model_type="tree")
        peer.client.log_metric(run, "auc", i / 10, model_id=model.model_id)
        peer.client.finalize_logged_model(model.model_id, "READY")
        made.append(model.model_id)
    for text, wanted in (
        (None, [4, 3, 2, 1, 0]), ("metrics.auc > 0.25", [4, 3]), ("params.depth = '1'", [1]),
        ("tags.n = '1'", [3, 1]), ("name = 'model2'", [2]),
        ("name LIKE 'model%' AND metrics.auc < 0.15", [1, 0]),
        (f"source_run_id = '{run}' AND model_type = 'tree'", [4, 3, 2, 1, 0]),
    ):
        found = peer.client.search_logged_models([experiment], filter_string=text)
        same([made.index(m.model_id) for m in found], wanted, str(text))
    order = [{"field_name": "metrics.auc", "ascending": True}]
    found, count = pages(peer.client.search_logged_models, experiment_ids=[experiment],
                         order_by=order)
    same(([made.index(m.model_id) for m in found], count), ([0, 1, 2, 3, 4], 3), "by pages")
    model = peer.client.get_logged_model(made[2])
    same((model.name, model.params, model.tags["n"]), ("model2", {"depth": "2"}, "0"))
    same([(m.key, m.value) for m in model.metrics], [("auc", 0.2)])
    peer.client.set_logged_model_tags(made[2], {"n": "7", "x": "y"})
    peer.client.delete_logged_model_tag(made[2], "x")
    same(peer.client.get_logged_model(made[2]).tags.get("n"), "7")
    assert "x" not in peer.client.get_logged_model(made[2]).tags, "a deleted tag is still there"
    peer.client.delete_logged_model(made[2])
    refused("RESOURCE_DOES_NOT_EXIST", peer.client.get_logged_model, made[2])


CHECKS = {
    "search_runs: filters, orders, views, pages": runs,
    "search_experiments: filters, orders, views, pages": experiments,
    "search_registered_models: filters, orders, pages": models,
    "search_model_versions: filters, orders, pages": versions,
    "search_logged_models: filters, orders, pages; tags, params, metrics": logged_models,
}

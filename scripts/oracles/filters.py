"""What MLflow's own parser makes of filters and order keys.

Writes mlops-core/tests/data/search/mlflow.json.
Made with Python 3.11 and mlflow-skinny 3.17.2:
    pip install mlflow-skinny==3.17.2 && python scripts/oracles/filters.py
"""

import itertools

from common import ROOT, write_json
from mlflow.exceptions import MlflowException
from mlflow.utils.search_utils import (
    SearchExperimentsUtils,
    SearchModelUtils,
    SearchModelVersionUtils,
    SearchUtils,
)

OUT = ROOT / "mlops-core/tests/data/search/mlflow.json"
LISTS = {
    "runs": (SearchUtils, SearchUtils.parse_order_by_for_search_runs),
    "experiments": (
        SearchExperimentsUtils,
        SearchExperimentsUtils.parse_order_by_for_search_experiments,
    ),
    "models": (SearchModelUtils, SearchModelUtils.parse_order_by_for_search_registered_models),
    "versions": (
        SearchModelVersionUtils,
        SearchModelVersionUtils.parse_order_by_for_search_model_versions,
    ),
}
KEYS = [
    "metrics.loss", "metric.loss", "metrics.`val loss`", 'metrics."val/loss"', "metrics.a.b",
    "params.lr", "param.lr", "parameter.lr", "parameters.lr", "params.`learning rate`",
    "tags.team", "tag.team", "tags.`mlflow.source.name`", "tags.mlflow.source.name",
    "status", "attribute.status", "attributes.status", "attr.status", "run.status",
    "run_id", "attributes.run_id", "run_name", "attributes.`run name`", "attribute.`Run name`",
    "user_id", "artifact_uri", "start_time", "attributes.end_time", "attributes.created",
    "attributes.Created", "dataset.name", "datasets.digest", "dataset.context", "dataset.profile",
    "name", "attribute.name", "experiment_id", "creation_time", "last_update_time",
    "version_number", "source_path", "creation_timestamp", "last_updated_timestamp",
    "nonsense", "other.key", "metrics.", "`metrics`.loss", "attributes.nonsense",
]
TESTS = [
    "= 1", "!= 1.5", "< -3", "<= 1e-3", "> 10", ">= 0.5", "= 'a'", "!= 'a'", "= \"a\"", "= ''",
    "LIKE 'a%'", "like '%a_'", "ILIKE 'A%'", "ilike 'a'", "IN ('a', 'b')", "IN ('a')",
    "NOT IN ('a','b')", "in ('a')", "IN ()", "IN ('a',)", "IN (1)", "IS NULL", "IS NOT NULL",
    "is null", "= a", "= nan", "> 'a'", "<= 'a'", "", "=", "== 1", "BETWEEN 1 AND 2", "= NULL",
    "= (1)", "LIKE 1", "IN 'a'",
]
WHOLE = [
    "metrics.a > 1 AND params.b = 'x'", "metrics.a > 1 and tags.c LIKE '%'",
    "metrics.a > 1 OR params.b = 'x'", "NOT metrics.a > 1", "(metrics.a > 1)",
    "metrics.a > 1 AND", "AND metrics.a > 1", "metrics.a > 1 metrics.b > 2", "metrics.a>1",
    "  metrics.a   >   1  ", "metrics.a > 1;", "metrics.a > 1; metrics.b > 2", "1 < metrics.a",
    "params.b = 'AND'", "params.b = 'x AND y'", "params.b = 'it is \"quoted\"'", "tags.`a.b` = 'x'",
    "tags.a = 'x' AND tags.a != 'y' AND tags.a IS NOT NULL", "status = 'RUNNING'",
    "attributes.start_time >= 1664067852747", "attributes.run_id IN ('a', 'b') AND metrics.x < 2",
    "name LIKE 'risk%' AND tags.team = 'x'", "params.`a``b` = 'x'", "tags.x = 'é'",
]
ORDERS = [
    "metrics.loss", "metrics.loss ASC", "metrics.loss DESC", "metrics.loss desc", "start_time DESC",
    "attribute.start_time", "attributes.start_time DESC", "params.`a b` DESC", 'params."a b"',
    "tags.`mlflow.user` ASC", "name", "name ASC", "name DESC", "creation_time DESC",
    "last_update_time ASC", "experiment_id", "version_number DESC", "creation_timestamp",
    "last_updated_timestamp DESC", "nonsense", "metrics.loss UP", "metrics.loss ASC DESC",
    "loss DESC", "attributes.nonsense", "run_id", "attributes.`run name` DESC", "", "status",
    "attributes.end_time", "attributes.Created DESC", "tags.a", "attribute.name desc",
]


def clause(found):
    """One condition in plain words; sets have no order, so lists are sorted."""
    value = found["value"]
    if isinstance(value, (set, frozenset, tuple, list)):
        value = sorted(value)
    return [found["type"], found["key"], found["comparator"].upper(), value]


def outcome(parse):
    """What was made of it; None if it was refused. Anything else that it raises is a refusal too."""
    try:
        return parse()
    except (MlflowException, ValueError, TypeError, IndexError, AttributeError):
        return None


def matched(name, clauses):
    """MLflow checks some comparators only when it matches: do so on nothing at all."""
    from types import SimpleNamespace

    utils = LISTS[name][0]
    for found in clauses:
        kind, key, comparator = found["type"], found["key"], found["comparator"].upper()
        checks = [utils.is_string_attribute, utils.is_numeric_attribute]
        if kind == "metric":
            utils.is_metric(kind, comparator)
        elif kind == "parameter":
            utils.is_param(kind, comparator)
        elif kind == "tag":
            utils.is_tag(kind, comparator)
        elif kind == "dataset":
            utils.is_dataset(kind, comparator)
        elif not any(check(kind, key, comparator) for check in checks):
            raise ValueError(SimpleNamespace(**found))
    return [clause(found) for found in clauses]


def filters():
    texts = [f"{key} {test}".strip() for key, test in itertools.product(KEYS, TESTS)] + WHOLE
    for name, (utils, _) in LISTS.items():
        for text in texts:
            parsed = outcome(lambda: matched(name, utils.parse_search_filter(text)))
            if name == "runs" or parsed is not None or text in WHOLE:
                yield {"list": name, "text": text, "parsed": parsed}


def orders():
    for name, (_, parse) in LISTS.items():
        for text in ORDERS:
            yield {"list": name, "text": text, "parsed": outcome(lambda: parse(text))}


def main():
    write_json(OUT, {"filters": list(filters()), "orders": list(orders())})


if __name__ == "__main__":
    main()

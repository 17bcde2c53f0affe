"""What a real MLflow's searches find: generated filters and orders over a small population.

Writes mlops-registry/tests/data/mlflow_filters.json: `population` are cases as
scripts/peers/mlflow_wire.py describes them, to be sent to an empty server first; `cases` are
    {"list": runs|experiments|models|versions|logged, "filter": text, "order_by": [text or object],
     "found": [names, in order]}   or   "error": "400 INVALID_PARAMETER_VALUE"
mlflow_wire.py says how each list is asked and what the names are. `${variables}` of the population
stand in filters. Of all that is generated every filter that finds something is kept, and of those
that are refused twice as many.
    export MLOPS_PEERS=…; python3 scripts/oracles/mlflow_filters.py [URL of a fresh server]
"""

import itertools
import random
import sys

from common import ROOT, write_json
from mlflow_filter_words import LISTS, ORDERS, WHOLE
from mlflow_population import POPULATION

sys.path.insert(0, str(ROOT / "scripts/peers"))
from mlflow_server import real_server  # noqa: E402
from mlflow_wire import Session, searched  # noqa: E402

OUT = ROOT / "mlops-registry/tests/data/mlflow_filters.json"
SEED = 3
# Of each list: filters of one condition that are asked, accepted ones kept, and several joined.
ASKED, SINGLE, JOINED = 420, 110, 40


def singles(words):
    """One condition each: every key with every comparison that its kind of key is asked with."""
    return [f"{key} {test}".strip() for keys, tests in words for key,
            test in itertools.product(keys, tests)]


def joined(good, bad, shuffle):
    """Two or three conditions; a few have one that is refused alone."""
    for _ in range(JOINED):
        yield " AND ".join(shuffle.sample(good, shuffle.choice((2, 2, 3))))
    for _ in range(JOINED // 2):
        yield f"{shuffle.choice(good)} {shuffle.choice(('and', 'AND', 'OR', ',', ''))} {shuffle.choice(bad)}"


def ask(session, name, text, order=None):
    case = {"list": name, "filter": text}
    if order is not None:
        case["order_by"] = order
    return {**case, **searched(session, case)}


def chosen(session, name, shuffle):
    """The cases of one list."""
    pool = singles(LISTS[name])
    shuffle.shuffle(pool)
    good, empty, bad = [], [], []
    for text in pool[:ASKED]:
        case = ask(session, name, text)
        (bad if "error" in case else good if case["found"] else empty).append(case)
    kept = good[:SINGLE] + empty[: SINGLE // 5]
    refused = bad[: 2 * len(kept)]
    texts = [case["filter"] for case in good], [case["filter"] for case in bad]
    more = [ask(session, name, text) for text in joined(*texts, shuffle)]
    whole = [ask(session, name, text) for text in WHOLE]
    orders = [ask(session, name, "", order) for order in ORDERS[name]]
    both = [ask(session, name, shuffle.choice(texts[0]), order)
            for order, ordered in zip(ORDERS[name], orders, strict=True) if "error" not in ordered]
    return kept + refused + more + whole + orders + both


def main():
    def record(url):
        session, shuffle = Session(url), random.Random(SEED)
        population = []
        for case in POPULATION:
            status, answer = session.ask(case)
            assert status == 200, f"{case['name']}: {status} {answer}"
            population.append({**case, "status": status, "answer": answer})
        return population, [case for name in LISTS for case in chosen(session, name, shuffle)]

    if len(sys.argv) > 1:
        written(*record(sys.argv[1]))
    else:
        with real_server() as url:
            written(*record(url))


def written(population, cases):
    seen = {}
    for case in cases:
        seen.setdefault((case["list"], case["filter"], str(case.get("order_by"))), case)
    cases = list(seen.values())
    about = "recorded by scripts/oracles/mlflow_filters.py, which says what the fields mean"
    write_json(OUT, {"about": about, "server": "mlflow 3.17.2, SQLite", "population": population,
                     "cases": cases})
    accepted = sum("found" in case for case in cases)
    print(f"{len(cases)} cases, {accepted} accepted; {OUT.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

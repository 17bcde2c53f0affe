"""What a real MLflow server answers to hand-designed requests.

Writes mlops-registry/tests/data/mlflow_replay.json; scripts/peers/mlflow_wire.py says what a case
in it is, how requests are filled and answers normalised, and scripts/peers/mlflow_replay.py asks
another server the same. The server is a fresh one of mlflow 3.17.2 on SQLite with proxied artifacts.
    export MLOPS_PEERS=…   (where mlflow-3.17 lies; scripts/peers/environment.sh)
    python3 scripts/oracles/mlflow_replay.py [URL of a fresh server]
"""

import sys
from collections import Counter

from common import ROOT, write_json
from mlflow_cases_metrics import BATCHES, HISTORY, INPUTS, METRICS
from mlflow_cases_models import ARTIFACTS, LOGGED
from mlflow_cases_registry import ALIASES, MODELS, SEARCHED, STAGES, VERSIONS
from mlflow_cases_runs import EXPERIMENTS, RUNS, SERVER
from mlflow_cases_traces import SEARCHES, TRACE_CASES

sys.path.insert(0, str(ROOT / "scripts/peers"))
from mlflow_server import real_server  # noqa: E402
from mlflow_wire import Session  # noqa: E402

OUT = ROOT / "mlops-registry/tests/data/mlflow_replay.json"
GROUPS = (SERVER, EXPERIMENTS, RUNS, METRICS, HISTORY, BATCHES, INPUTS, SEARCHES, MODELS, VERSIONS,
          STAGES, ALIASES, SEARCHED, LOGGED, ARTIFACTS, TRACE_CASES)
CASES = [case for group in GROUPS for case in group]


def record(url):
    session = Session(url)
    for case in CASES:
        status, answer = session.ask(case)
        yield {**case, "status": status, "answer": answer}


def main():
    twice = [name for name, count in Counter(c["name"] for c in CASES).items() if count > 1]
    assert not twice, f"names given twice: {twice}"
    if len(sys.argv) > 1:
        recorded = list(record(sys.argv[1]))
    else:
        with real_server() as url:
            recorded = list(record(url))
    about = "recorded by scripts/oracles/mlflow_replay.py; the form: scripts/peers/mlflow_wire.py"
    write_json(OUT, {"about": about, "server": "mlflow 3.17.2, SQLite", "cases": recorded})
    print(f"{len(recorded)} cases, {OUT.stat().st_size:,} bytes: {OUT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

"""Our server and `mlflow server` on the same calls, turn by turn.

Both are asked by this one client: HTTP/1.1 with kept connections, bodies that are
encoded before the clock starts, no library of either side. So the figures are the
servers' own, and the client's share of them is the same. Times are wall-clock;
what counts is the ratio.

Run:  python scripts/peers/record_bench.py PROGRAM [--seconds S]
      PROGRAM is `mlops`, built in release mode (scripts/bench record builds it)
"""

import contextlib
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from mlflow_server import real_server
from record_fill import METRICS, RUNS, STEPS, fill_ours, fill_theirs

POINTS, HISTORY, PAGE = 1000, 15_000, 25_000
# How many batches are encoded before the clock starts: more than are sent while it runs.
ENCODED = 4000


class Server:
    """One server, asked over one connection for each thread."""

    def __init__(self, name, url):
        self.name, self.place, self.own = name, urlsplit(url).netloc, threading.local()

    def send(self, method, path, body=None):
        # A server closes what was silent for some seconds.
        connection, used = getattr(self.own, "connection", (None, 0))
        if connection is None or time.monotonic() - used > 2:
            connection = http.client.HTTPConnection(self.place, timeout=120)
        self.own.connection = connection, time.monotonic()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, "/api/2.0/mlflow/" + path, body, headers)
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise SystemExit(f"{self.name}: {method} {path}: {response.status} {answer[:300]!r}")
        return answer

    def post(self, path, **body):
        return json.loads(self.send("POST", path, json.dumps(body)))

    def experiment(self):
        name = f"bench-{time.time_ns()}"
        return self.post("experiments/create", name=name)["experiment_id"]

    def run(self, experiment):
        made = self.post("runs/create", experiment_id=experiment, start_time=1)
        return made["run"]["info"]["run_id"]


@contextlib.contextmanager
def our_server(program):
    """`mlops server` on a new record; prints when it was ready and what it takes while idle."""
    with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
        arguments = ["server", "--port", "0", "--json", "--backend-store-uri", f"sqlite:///{folder}/mlops.db"]
        started = time.perf_counter()
        with subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, text=True) as process:
            try:
                url = json.loads(process.stdout.readline())["listening"]
                print(f"ready in {1000 * (time.perf_counter() - started):.0f} ms on a new record", flush=True)
                Server("ours", url).post("experiments/search", max_results=1)
                time.sleep(1)
                status = Path(f"/proc/{process.pid}/status").read_text()
                resident = int(status.split("VmRSS:")[1].split()[0])
                print(f"resident idle {resident / 1024:.1f} MiB", flush=True)
                yield url
            finally:
                process.terminate()


def main(arguments):
    options = dict(zip(arguments[1::2], arguments[2::2]))
    seconds = float(options.get("--seconds", 4))
    with (
        tempfile.TemporaryDirectory(prefix="mlflow-") as folder,
        our_server(arguments[0]) as ours,
        real_server(folder=folder) as theirs,
    ):
        servers = [Server("mlops", ours), Server("mlflow", theirs)]
        print(f"{'':62} {servers[0].name:>12} {servers[1].name:>12} {'ratio':>8}")
        writing(servers, seconds)
        compare(f"history of {HISTORY:,} points, ms", [median(history(server), 9) for server in servers])
        searching(servers, f"{folder}/mlflow.db")


def writing(servers, seconds):
    measures = [
        ("create_run a second", lambda server: rate(create_run(server), seconds)),
        ("create_run a second, 8 clients", lambda server: rate(create_run(server), seconds, 8)),
        ("log_metric a second", lambda server: rate(log_metric(server), seconds)),
        ("points a second, batches of 1,000", lambda server: POINTS * rate(log_batch(server), seconds)),
        ("points a second, batches of 1,000, 4 clients",
         lambda server: POINTS * rate(log_batch(server), seconds, 4)),
    ]
    for what, measure in measures:
        ours, theirs = (measure(server) for server in servers)
        print(f"{what:62} {ours:12,.0f} {theirs:12,.0f} {ours / theirs:7.1f}x", flush=True)


def searching(servers, database):
    """By metric and parameter among many runs: of either side the same ones."""
    experiments = [fill_ours(servers[0]), fill_theirs(servers[1], database)]
    print(f"{RUNS:,} runs, {RUNS * METRICS * STEPS:,} points:", flush=True)
    for filter, order, page in [
        ("metrics.metric_0 < 0.05 AND params.depth = '7'", "metrics.metric_0 ASC", 100),
        ("metrics.metric_0 < 0.5 AND params.depth = '7'", "metrics.metric_1 DESC", 20),
        ("metrics.metric_0 < 0.001", "metrics.metric_0 ASC", 20),
    ]:
        calls, answers = [], []
        for server, experiment in zip(servers, experiments, strict=True):
            wanted = {"experiment_ids": [experiment], "filter": filter, "order_by": [order], "max_results": page}
            calls.append(partial(server.send, "POST", "runs/search", json.dumps(wanted)))
            found = json.loads(calls[-1]())["runs"]
            answers.append([{p["key"]: p["value"] for p in run["data"]["params"]}["seed"] for run in found])
        assert sorted(answers[0]) == sorted(answers[1]) and answers[0], (filter, answers)
        compare(f"{filter} ({len(answers[0])}), ms", [median(call, 15) for call in calls])


def compare(what, times):
    print(f"{what:62} {times[0]:12,.2f} {times[1]:12,.2f} {times[1] / times[0]:7.1f}x", flush=True)


def rate(call, seconds, clients=1):
    """Calls a second. Every client makes its own; what is shared is the server."""
    call(), call()
    counts, until = [0] * clients, time.perf_counter() + seconds

    def work(client):
        while time.perf_counter() < until:
            call()
            counts[client] += 1

    started = time.perf_counter()
    threads = [threading.Thread(target=work, args=(client,)) for client in range(clients)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    return sum(counts) / (time.perf_counter() - started)


def create_run(server):
    body = json.dumps({"experiment_id": server.experiment(), "start_time": 1, "run_name": "bench"})
    return lambda: server.send("POST", "runs/create", body)


def log_metric(server):
    run, steps = server.run(server.experiment()), iter(range(10**9))

    def call():
        step = next(steps)
        body = f'{{"run_id":"{run}","key":"loss","value":0.5,"timestamp":{step},"step":{step}}}'
        server.send("POST", "runs/log-metric", body)

    return call


def points(run, first, names=10):
    """A batch of a thousand points: ten metrics, a hundred steps."""
    metrics = [
        {"key": f"metric-{number}", "value": 1.0 / (step + number + 1), "timestamp": step, "step": step}
        for step in range(first, first + POINTS // names)
        for number in range(names)
    ]
    return json.dumps({"run_id": run, "metrics": metrics})


def log_batch(server):
    run = server.run(server.experiment())
    # Encoded before the clock starts; the same point is never sent twice while they last.
    bodies = iter([points(run, 100 * batch) for batch in range(ENCODED)])
    more = iter(range(ENCODED, 10**9))
    return lambda: server.send("POST", "runs/log-batch", next(bodies, None) or points(run, 100 * next(more)))


def history(server):
    run = server.run(server.experiment())
    for first in range(0, HISTORY, POINTS):
        server.send("POST", "runs/log-batch", points(run, first, names=1))
    path = f"metrics/get-history?run_id={run}&metric_key=metric-0&max_results={PAGE}"
    assert len(json.loads(server.send("GET", path))["metrics"]) == HISTORY
    return lambda: server.send("GET", path)


def median(call, times):
    """The median of some calls, in milliseconds."""
    took = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        took.append(1000 * (time.perf_counter() - started))
    return statistics.median(took)


if __name__ == "__main__":
    main(sys.argv[1:])

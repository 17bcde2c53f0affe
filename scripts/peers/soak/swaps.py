"""1,000 swaps of the version behind an endpoint, under load.

`mlops server` keeps the record, `mlops serve` follows its alias `champion`, and the alias goes to and fro between two
versions of different bytes. Each swap is waited for: it is done when the endpoint says that the new version answers.
Meanwhile an open loop asks; an answer that is no 200 ends it. Memory is read after half of the swaps and after all, and
then, without swaps, after N requests of a closed loop and after 2N: N are what it answers in CLOSED_S, and the second
N are asked in turns until there are as many.
"""

import contextlib
import http.client
import json
import math
import os
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from mlflow_server import free_port
from served import DATA, Load, Served, Server, until

SWAPS = int(os.environ.get("SOAK_SWAPS", 1000))
RATE, CONNECTIONS, SLICE_S = 500, 16, 5
VERSIONS = ("lightgbm", "mlp")
WIDTH, NAME = 30, "risk"
SLACK = 1.03
# Before memory is first read: both versions were loaded, every thread has allocated.
WARM_UP_SWAPS, CLOSED_S, TURN_S = 20, 8, 1


def run(verdicts, program, load, folder):
    # A new record each time.
    folder = folder / f"record-{time.time_ns()}"
    folder.mkdir()
    (folder / "rows.f32").write_bytes(rows())
    uri = f"sqlite:///{folder / 'record.db'}"
    with contextlib.ExitStack() as stack:
        record = stack.enter_context(Record(program, folder, uri))
        for version in VERSIONS:
            record.register(DATA / f"{version}.onnx")
        record.point(1)
        flags = ["--model", f"{NAME}=models:/{NAME}@champion", "--registry-uri", uri, "--cache-dir", folder / "cache"]
        served = stack.enter_context(Served(program, folder, *flags)).ready()
        load = Load(load, served, NAME, "features", folder / "rows.f32", WIDTH)
        swap(record, served, load, WARM_UP_SWAPS)
        halves = [swap(record, served, load, SWAPS // 2) for _ in range(2)]
        told(verdicts, served, "swaps", halves)
        told(verdicts, served, "no swaps", closed(load, served))
        made = served.count("mlops_endpoint_swaps_total")
        verdicts.holds(f"{made:.0f} swaps", made >= SWAPS // 2 * 2)
        failed, faults = served.failed(), served.faults()
        verdicts.holds(f"{failed:.0f} failed, {faults}", failed == 0 and not any(faults.values()))


def closed(load, served):
    """N requests of a closed loop, then N more, and the memory after each: the first N are counted as well, the swaps
    went before."""
    first = load.turn("closed", CONNECTIONS, CLOSED_S)[0]
    after_first, second = served.resident_kib(), 0
    while second < first:
        second += load.turn("closed", CONNECTIONS, TURN_S)[0]
    return [(first, after_first), (second, served.resident_kib())]


def told(verdicts, served, what, halves):
    (first, after_first), (second, after_second) = halves
    text = f"{what}: {after_first / 1024:.1f} MiB resident after {first:,.0f} requests"
    verdicts.holds(f"{text}, {after_second / 1024:.1f} MiB after {second:,.0f} more: "
                   f"{after_second / after_first - 1:+.1%}; at most {SLACK - 1:+.0%}",
                   after_second <= SLACK * after_first)


def swap(record, served, load, count):
    """So many swaps under load: how many requests were answered, and the memory after."""
    over, turns, began = threading.Event(), [], time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask, load, over, turns)
        try:
            for _ in range(count):
                wanted = 3 - record.current
                record.point(wanted)
                until(f"version {wanted} answers", lambda: version(served) == str(wanted))
        finally:
            over.set()
        # A request that failed is raised here.
        asking.result()
    requests, p99 = sum(turn[0] for turn in turns), max(turn[3] for turn in turns)
    took = time.monotonic() - began
    print(f"{count} swaps in {took:.0f} s, {requests:,.0f} requests answered meanwhile, p99 {p99 / 1e3:.1f} ms at most",
          flush=True)
    time.sleep(1)
    return requests, served.resident_kib()


def ask(load, over, turns):
    while not over.is_set():
        turns.append(load.turn(RATE, CONNECTIONS, SLICE_S))


def version(served):
    return json.loads(served.send("GET", f"/v2/models/{NAME}")[1])["versions"][0]


def rows():
    """Rows of the test data that JSON can say."""
    values = (DATA / "lightgbm.inputs.bin").read_bytes()
    size = 4 * WIDTH
    all_rows = (values[at:at + size] for at in range(0, 500 * size, size))
    return b"".join(row for row in all_rows if all(map(math.isfinite, struct.unpack(f"<{WIDTH}f", row))))


class Record(Server):
    """`mlops server`, asked as MLflow's clients ask it."""

    def __init__(self, program, folder, uri):
        port = free_port()
        super().__init__("mlops server", [program, "server", "--backend-store-uri", uri, "--port", port], port, folder)
        self.current = None
        until(f"the record is open; see {self.log}", self.is_open)

    def is_open(self):
        with contextlib.suppress(OSError):
            return self.call("GET", "/health") == b"OK"

    def register(self, model):
        """A new version whose package is this file."""
        run = self.ask_for("runs/create", experiment_id="0")["run"]["info"]["run_id"]
        files = {"MLmodel": b"flavors:\n  onnx:\n    data: model.onnx\n", "model.onnx": model.read_bytes()}
        for name, content in files.items():
            self.call("PUT", f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/model/{name}", content)
        with contextlib.suppress(RuntimeError):
            # It is there for the second version.
            self.ask_for("registered-models/create", name=NAME)
        self.ask_for("model-versions/create", name=NAME, source=f"runs:/{run}/model", run_id=run)

    def point(self, version):
        self.ask_for("registered-models/alias", name=NAME, alias="champion", version=str(version))
        self.current = version

    def ask_for(self, what, **wanted):
        return json.loads(self.call("POST", f"/api/2.0/mlflow/{what}", json.dumps(wanted)))

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"content-type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
        if response.status != 200:
            raise RuntimeError(f"{method} {path}: {response.status} {answer[:300]!r}")
        return answer

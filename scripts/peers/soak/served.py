"""`mlops serve` as the areas of `scripts/soak` start it, ask it, and look at it from outside."""

import contextlib
import http.client
import json
import re
import subprocess
import sys
import time
from pathlib import Path

PEERS = Path(__file__).resolve().parents[1]
sys.path += [str(PEERS), str(PEERS / "serving")]

from mlflow_server import free_port
from servers import Server

DATA = PEERS.parents[1] / "mlops-serve/tests/data/tabular"
PATIENCE_S = 60
FAILED = "mlops_http_failed_total"


class Served(Server):
    """One `mlops serve` with these flags, over HTTP and gRPC on 127.0.0.1, until it is left."""

    def __init__(self, program, folder, *flags):
        port, grpc_port = free_port(), free_port()
        command = [program, "serve", *flags, "--port", port, "--grpc-port", grpc_port]
        super().__init__("mlops serve", command, port, folder, grpc_port=grpc_port)

    def ready(self, pause=0.01):
        until(f"{self.name} is ready; see {self.log}", self.is_ready, pause)
        # While it starts, 503 is the answer to who asks whether it is ready.
        self.failed_before = self.count(FAILED)
        return self

    def failed(self):
        """Requests since it was ready that it answered with a 5xx or its like."""
        return self.count(FAILED) - self.failed_before

    def is_ready(self):
        if self.process.poll() is not None:
            raise SystemExit(f"{self.name} ended: {self.log.read_text()[-600:]}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.send("GET", "/v2/health/ready")[0] == 200

    def send(self, method, path, body=None):
        """The status and the body of one request, over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        with contextlib.closing(connection):
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, response.read()

    def infer(self, model, *inputs):
        """The status and the answer to inputs of one number a row or more: (name, datatype, rows)."""
        def tensor(name, datatype, rows):
            shape = [len(rows), *([len(rows[0])] if isinstance(rows[0], list) else [])]
            return {"name": name, "shape": shape, "datatype": datatype, "data": rows}

        body = json.dumps({"inputs": [tensor(*one) for one in inputs]})
        status, answer = self.send("POST", f"/v2/models/{model}/infer", body)
        return status, json.loads(answer)

    def count(self, name):
        """What /metrics says of this, all its series together."""
        text = self.send("GET", "/metrics")[1].decode()
        found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
        assert found, f"/metrics does not have {name}"
        return sum(map(float, found))

    def faults(self):
        """Panics and internal errors that it has counted, wherever."""
        names = ("mlops_http_panics", "mlops_http_internal_errors", "mlops_endpoint_panics", "mlops_batcher_panics")
        return {name: self.count(f"{name}_total") for name in names}

    def resident_kib(self):
        return self._status("VmRSS")

    def threads(self):
        return self._status("Threads")

    def _status(self, name):
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)[1])


class Load:
    """The load generator of `scripts/bench serving`: rows of a file, one a request, to a model of a server."""

    def __init__(self, program, served, model, tensor, rows, width):
        path = f"/v2/models/{model}/infer"
        self.command = [program, "http", f"127.0.0.1:{served.port}", path, tensor, rows, width]

    def turn(self, mode, connections, seconds, *answers):
        """Requests, seconds, p50, p99 and p999 in µs. Without a file for answers one that is no 200 is a
        `RuntimeError`."""
        command = [*self.command, mode, connections, 1, seconds, *answers]
        ran = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if ran.returncode != 0:
            raise RuntimeError(ran.stderr)
        return list(map(float, ran.stdout.split()))


class Verdicts:
    """Says of each line whether it holds."""

    def __init__(self):
        self.broken, self.late = [], []

    def holds(self, line, does):
        """A count or an amount of memory: one that does not hold fails the area."""
        print(f"{'ok' if does else 'FAILED'}: {line}", flush=True)
        if not does:
            self.broken.append(line)

    def in_time(self, line, does):
        """A duration, which whatever else the machine does may lengthen: said, and no failure."""
        print(f"{'ok' if does else 'MISSED'}: {line}", flush=True)
        if not does:
            self.late.append(line)


def until(what, holds, pause=0.005, patience=PATIENCE_S):
    limit = time.monotonic() + patience
    while not holds():
        if time.monotonic() > limit:
            raise SystemExit(f"waited {patience} s in vain until {what}")
        time.sleep(pause)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else float("nan")

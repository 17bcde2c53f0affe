"""The servers of `scripts/bench serving`: how each is started, asked and ended, and what it has used."""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from mlflow_server import end, free_port

HERE = Path(__file__).parent
# Importing takes a busy machine long.
READY_S = 120
PATH = "/v2/models/gbdt/infer"
TICK = os.sysconf("SC_CLK_TCK")


class Server:
    """One that runs, and listens on 127.0.0.1."""

    def __init__(self, name, command, port, folder, path=PATH, grpc_port=None, environment=None):
        self.name, self.port, self.path, self.grpc_port = name, port, path, grpc_port
        self.log = Path(folder) / f"{name.replace(' ', '_').replace(',', '')}.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **(environment or {})}, start_new_session=True,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.process)

    def wait_until_ready(self, body):
        """Until it answers a request of the bench; `RuntimeError` if it never does."""
        until = time.monotonic() + READY_S
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                status, _ = self.ask(body)
                if status == 200:
                    return
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} does not answer; its log ends with {self.log.read_text()[-600:]!r}")

    def ask(self, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("POST", self.path, body, {"content-type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()

    def scores(self, body):
        """What its answer says of a row: the last output's numbers."""
        status, answer = self.ask(body)
        assert status == 200, f"{self.name}: {status} {answer[:300]!r}"
        return json.loads(answer)["outputs"][-1]["data"]

    def processor_seconds(self):
        """Of its process and of all that come from it."""
        parents, used = {}, {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                # The name before the last parenthesis may hold anything.
                fields = path.read_text().rpartition(")")[2].split()
                pid = int(path.parent.name)
                parents[pid], used[pid] = int(fields[1]), int(fields[11]) + int(fields[12])
        own = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in own} - own:
            own |= more
        return sum(used.get(pid, 0) for pid in own) / TICK


def mlops(program, model, folder):
    port, grpc_port = free_port(), free_port()
    command = [program, "serve", "--model", f"gbdt={model}", "--port", port, "--grpc-port", grpc_port]
    return Server("mlops serve", command, port, folder, grpc_port=grpc_port)


def handler(program, model, folder):
    port = free_port()
    return Server("hand-written axum", [program, model, port], port, folder)


def furnace(program, batch, model, folder):
    if not program:
        raise RuntimeError("it could not be built")
    port = free_port()
    name = "furnace-server" if batch == 1 else f"furnace-server, batch {batch}"
    return Server(name, [program, model, port, batch], port, folder)


def fastapi(workers, model, folder):
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "fastapi_server:app", "--app-dir", HERE, "--workers", workers,
               "--host", "127.0.0.1", "--port", port, "--log-level", "warning", "--no-access-log"]
    name = "FastAPI, 1 worker" if workers == 1 else f"FastAPI, {workers} workers"
    return Server(name, command, port, folder, environment={"MODEL": str(model)})


def mosec(model, folder):
    port = free_port()
    command = [sys.executable, HERE / "mosec_server.py", "--address", "127.0.0.1", "--port", port,
               "--log-level", "warning"]
    return Server("mosec", command, port, folder, "/inference", environment={"MODEL": str(model)})


def triton(model, folder):
    """Out of the wheel: its server, and its Python backend with the stub for this Python beside it."""
    import pytriton

    wheel = Path(pytriton.__file__).parent
    own, stub = folder / "triton", "triton_python_backend_stub"
    if not own.exists():
        shutil.copytree(wheel / "tritonserver", own)
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        shutil.copy(own / "python_backend_stubs" / version / stub, own / "backends/python" / stub)
        for program in (own / "bin/tritonserver", own / "backends/python" / stub):
            program.chmod(0o755)
    version = folder / "triton_models/gbdt/1"
    version.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "triton_model.py", version / "model.py")
    (version.parent / "config.pbtxt").write_text(TRITON.replace("MODEL", str(model)))
    port, grpc_port = free_port(), free_port()
    command = [own / "bin/tritonserver", "--model-repository", folder / "triton_models",
               "--backend-directory", own / "backends", "--http-address", "127.0.0.1", "--http-port", port,
               "--grpc-address", "127.0.0.1", "--grpc-port", grpc_port, "--allow-metrics", "false",
               "--log-warning", "false"]
    # The stub finds the packages of the Python that comes first here.
    environment = {"LD_LIBRARY_PATH": str(wheel.parent / "nvidia_pytriton.libs"),
                   "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return Server("Triton", command, port, folder, grpc_port=grpc_port, environment=environment)


# A millisecond of delay fills its batches: without it it answers fewer requests a second.
TRITON = """
name: "gbdt" backend: "python" max_batch_size: 32
input [{ name: "X" data_type: TYPE_FP32 dims: [30] }]
output [{ name: "label" data_type: TYPE_INT64 dims: [1] },
        { name: "probabilities" data_type: TYPE_FP32 dims: [2] }]
instance_group [{ count: 1 kind: KIND_CPU }]
dynamic_batching { max_queue_delay_microseconds: 1000 }
parameters { key: "model" value: { string_value: "MODEL" } }
"""

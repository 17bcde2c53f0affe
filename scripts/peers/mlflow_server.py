"""A real `mlflow server`, fresh and on SQLite, to record from and to measure ourselves against."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PEERS = Path(os.environ.get("MLOPS_PEERS", TARGET / "interop"))
# Importing it takes a busy machine long.
READY_S = 400
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # Its runner of jobs is eight processes that no request here needs.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


@contextlib.contextmanager
def real_server(version="3.17", folder=None):
    """Gives the URL of a new one, whose record is thrown away afterwards if it has no folder given."""
    program = PEERS / f"mlflow-{version}/bin/mlflow"
    if not program.exists():
        raise SystemExit(f"{program} is missing: scripts/interop makes it, or set MLOPS_PEERS")
    kept = contextlib.nullcontext(folder) if folder else tempfile.TemporaryDirectory(prefix="mlflow-")
    with kept as folder:
        port = free_port()
        with open(f"{folder}/log", "w") as log:
            process = subprocess.Popen(
                [program, "server", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
                 "--serve-artifacts", "--artifacts-destination", f"{folder}/artifacts",
                 "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
                cwd=folder, stdout=log, stderr=log, env={**os.environ, **ENVIRONMENT},
                start_new_session=True,
            )
        try:
            wait_until_ready(f"http://127.0.0.1:{port}", process, f"{folder}/log")
            yield f"http://127.0.0.1:{port}"
        finally:
            end(process)


def end(process):
    """Its workers, too: they are of its session, which is new."""
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until_ready(url, process, log):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            opener.open(f"{url}/health", timeout=2)
            return
        time.sleep(0.2)
    raise SystemExit(f"mlflow server is not ready:\n{Path(log).read_text()[-2000:]}")

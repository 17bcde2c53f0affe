"""Servers of one model beside each other: gradient boosting of 100 trees of depth 5 over 30 features, one row a
request, 32 calls at a time. The hand-written handler (axum_handler) is the limit: the same engine and nothing else.

Every round asks each server in turn, so that whatever slows the machine slows all; a ratio is the median of the
rounds' ratios. The client shares the processors with the servers: one thread, whose work is the same for all. It
takes more from whoever needs it more often; so the processor time that a server takes for a request is beside.

On 2026-11-22, 23:45, two cores that nobody else used, ROUNDS=9 TURN_SECONDS=2; closed loop: requests/s, the median ratio to
the handler's, p99 µs and its ratio, processor µs:

    mlops serve                63,990   0.93      973   1.11    21.5
    hand-written axum          68,891   1.00      905   1.00    19.4
    furnace-server 0.16.2      30,766   0.47    2,099   2.33    53.8     batch 8: 32,224, 0.48
    Triton 2.51                 9,255   0.15    5,870   6.48   137.6
    mosec 0.9.8                15,460   0.23    2,936   3.30    71.6
    FastAPI 0.165, 1 worker     5,232   0.07   11,213  12.6    191.5     2 workers: 7,552, 0.11
    gRPC: mlops serve          30,210           2,275           53.6
    gRPC: Triton                5,009          11,541          255.0     0.16 of ours

So ours is 6.9 times Triton (6.4 over gRPC), 12.1 times FastAPI with one worker (wanted: 13; 14.5 on the same day in a slower
phase of the machine), 4.1 times mosec (wanted: 4.5, which is what the handler has). Two runs before had 0.90 and 0.89.

Run:  python scripts/peers/serving_bench.py FOLDER LOAD MLOPS AXUM_HANDLER FURNACE   (see scripts/bench; FURNACE may
      be empty)
"""

import contextlib
import importlib.metadata
import json
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "serving"))

import numpy as np
import servers
from trees_models import FEATURES, TRAINED, boosting, data

ROUNDS = int(os.environ.get("ROUNDS", 5))
SECONDS = float(os.environ.get("TURN_SECONDS", 1.5))
CONNECTIONS, CALLS = 32, 32
# Requests a second of the open loop: what every server bears, and shares of what the handler bears.
COMMON_RATE, SHARES = 400, (0.3, 0.6)
CLOSE = 1e-5


def main(folder, load, ours, handler, furnace):
    # Whoever ends this ends its servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(folder)
    model, rows = made(folder)
    machine(ours)
    wanted = [
        partial(servers.mlops, ours), partial(servers.handler, handler),
        partial(servers.furnace, furnace, 1), partial(servers.furnace, furnace, 8),
        servers.triton, servers.mosec, partial(servers.fastapi, 1), partial(servers.fastapi, 2),
    ]
    bodies = [body(row) for row in rows[:50]]
    with contextlib.ExitStack() as stack:
        up = started(wanted, model, folder, bodies[0], stack)
        agree(up, bodies)
        bench = partial(Turn, load, folder / "rows.f32")
        fastest = closed(bench, up)
        open_loop(bench, up, COMMON_RATE)
        fast = up[:2] + [server for server in up if server.name == "furnace-server"]
        for share in SHARES:
            open_loop(bench, fast, int(fastest * share))
        grpc(bench, [server for server in up if server.grpc_port])


def made(folder):
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "sklearn.onnx"
    if not model.exists():
        features, classes = data(np.random.default_rng(7))
        features[TRAINED:].tofile(folder / "rows.f32")
        model.write_bytes(boosting(features[:TRAINED], classes[:TRAINED])[1])
    return model, np.fromfile(folder / "rows.f32", "<f4").reshape(-1, FEATURES)


def body(row):
    numbers = [float(str(number)) for number in row]
    return json.dumps({"inputs": [{"name": "X", "shape": [1, FEATURES], "datatype": "FP32", "data": numbers}]})


def machine(ours):
    own = subprocess.run([ours, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{os.cpu_count()} cores, shared with the client; load {os.getloadavg()[0]:.1f}")
    peers = "nvidia-pytriton mosec fastapi uvicorn onnxruntime orjson".split()
    print(", ".join([own, *(f"{name} {importlib.metadata.version(name)}" for name in peers)]))
    here = Path(__file__).parent
    for crate, names in (("axum_handler", ("axum", "hyper", "tokio")), ("furnace", ("furnace-server",))):
        locked = (here / crate / "Cargo.lock").read_text()
        found = (re.search(rf'name = "{name}"\nversion = "([^"]+)"', locked) for name in names)
        print(f"{crate}: " + ", ".join(f"{name} {match[1]}" for name, match in zip(names, found)))


def started(wanted, model, folder, first, stack):
    up = []
    for start in wanted:
        name = getattr(start, "func", start).__name__
        try:
            server = stack.enter_context(start(model, folder))
            server.wait_until_ready(first)
            up.append(server)
        except (RuntimeError, OSError, ImportError) as error:
            print(f"skipped: {name}: {error}")
    assert [server.name for server in up[:2]] == ["mlops serve", "hand-written axum"], "there is nothing to compare"
    return up


def agree(up, bodies):
    """All say the same: there would be nothing to compare."""
    for server in up:
        off = max(
            np.abs(np.ravel(server.scores(body)) - np.ravel(up[0].scores(body))).max() for body in bodies
        )
        assert off <= CLOSE, f"{server.name} differs by {off}"
        assert off == 0 or server.name != "hand-written axum", "the handler answers otherwise than we do"


class Turn:
    """One server asked for a while."""

    def __init__(self, load, rows, protocol, mode, connections, calls, server):
        port, path = (server.grpc_port, "gbdt") if protocol == "grpc" else (server.port, server.path)
        before, client = server.processor_seconds(), resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [load, protocol, f"127.0.0.1:{port}", path, "X", rows, FEATURES, mode, connections, calls, SECONDS]
        ran = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        assert ran.returncode == 0, f"{server.name}: {ran.stderr}"
        requests, seconds, self.p50, self.p99, _ = map(float, ran.stdout.split())
        self.rate = requests / seconds
        self.processor = (server.processor_seconds() - before) / requests * 1e6
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took = after.ru_utime + after.ru_stime - client.ru_utime - client.ru_stime
        self.client = took / requests * 1e6


def rounds(turn, up):
    for server in up:
        # Once before the clock: connections, caches, branches.
        turn(server)
    made = {server.name: [] for server in up}
    for at in range(ROUNDS):
        order = up if at % 2 == 0 else up[::-1]
        for server in order:
            made[server.name].append(turn(server))
    return made


def table(title, made, compared=("mlops serve", "hand-written axum")):
    """Medians, and the medians of the rounds' ratios to these servers."""
    print(f"\n{title}; medians of {ROUNDS} interleaved rounds of {SECONDS} s")
    heads = "".join(f"{head:>12}" for head, *_ in COLUMNS)
    ratios = "".join(f"{f'{head} ÷ {SHORT[other]}':>20}" for head, *_ in COMPARED for other in compared)
    print(f"{'':<24}{heads}{ratios}")
    for name, turns in made.items():
        cells = "".join(f"{statistics.median(map(get, turns)):>12,.{digits}f}" for _, get, digits in COLUMNS)
        cells += "".join(
            f"{ratio(turns, made[other], get):>20.3f}" for _, get, _ in COMPARED for other in compared
        )
        print(f"{name:<24}{cells}", flush=True)


def ratio(own, others, get):
    return statistics.median(get(one) / get(other) for one, other in zip(own, others))


COLUMNS = [
    ("requests/s", lambda turn: turn.rate, 0),
    ("p50 µs", lambda turn: turn.p50, 0),
    ("p99 µs", lambda turn: turn.p99, 0),
    ("cpu µs", lambda turn: turn.processor, 1),
    ("client µs", lambda turn: turn.client, 1),
]
COMPARED = [COLUMNS[0], COLUMNS[2], COLUMNS[3]]
SHORT = {"mlops serve": "ours", "hand-written axum": "limit"}


def closed(bench, up):
    turns = rounds(partial(bench, "http", "closed", CONNECTIONS, 1), up)
    table(f"HTTP JSON, closed loop, {CONNECTIONS} connections", turns)
    return statistics.median(turn.rate for turn in turns["hand-written axum"])


def open_loop(bench, up, rate):
    turns = rounds(partial(bench, "http", rate, 4 * CONNECTIONS, 1), up)
    title = f"HTTP JSON, open loop, {rate:,} requests/s at Poisson times, {4 * CONNECTIONS} connections"
    table(title, turns)


def grpc(bench, up):
    # In few connections, as clients of gRPC do.
    connections, calls = 4, CALLS // 4
    turns = rounds(partial(bench, "grpc", "closed", connections, calls), up)
    table(f"gRPC, closed loop, {connections} connections of {calls} calls", turns, ["mlops serve"])
    turns = rounds(partial(bench, "grpc", COMMON_RATE, connections, CALLS), up)
    table(f"gRPC, open loop, {COMMON_RATE} requests/s at Poisson times", turns, ["mlops serve"])


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])

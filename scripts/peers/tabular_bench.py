"""The `tabular` engine and ONNX Runtime on the same rows and model, turn by turn.

One thread each. Every round measures ours, then ONNX Runtime, then the floor: a
model that only hands its input back, by the same Python binding, so that one
sees how much of the peer's figure is the call itself. Figures are processor
time, which other programs on the machine disturb least: the best of the rounds,
and the spread is the median over the best.

Run:  python scripts/peers/tabular_bench.py PROGRAM   (see scripts/bench)
"""

import os
import platform
import sys
import time
from pathlib import Path

from turns import MILLISECONDS, ROUNDS, Program, Runtime, rounds, spread

import numpy as np
import onnx
import onnxruntime as ort
import pyarrow.parquet as pq
from onnx import TensorProto, helper

ROOT = Path(__file__).resolve().parents[2]
DATA, OUT = ROOT / "examples/data", ROOT / "target/bench"
MODEL = DATA / "employment_lightgbm.onnx"
ROWS, BATCHES = 32_768, (1, 32, 1024)
COLUMNS = (
    "AGEP SCHL MAR RELP DIS ESP CIT MIG MIL ANC NATIVITY DEAR DEYE DREM SEX RAC1P"
).split()
# Float32 sums of 80 trees in another order.
CLOSE = 1e-6


def main(program):
    OUT.mkdir(parents=True, exist_ok=True)
    rows = sample()
    theirs = Runtime(MODEL.read_bytes(), rows)
    with Ours(program, rows) as ours:
        off = float(np.abs(ours.answers - theirs.answers()).max())
        assert off <= CLOSE, f"the two differ by {off}: there is nothing to compare"
        machine()
        print(f"{MODEL.name}, {len(rows)} rows of {rows.shape[1]} features; "
              f"largest difference of probabilities {off:.1e}")
        print(f"best of {ROUNDS} interleaved rounds of {MILLISECONDS} ms, one thread; µs of processor time a call\n")
        table(ours, theirs, Runtime(identity(rows.shape[1]), rows))


def sample():
    """Rows at even distances over all years, as float32, in a file for ours too."""
    table = pq.read_table(DATA / "employment_ma.parquet", columns=COLUMNS)
    step = table.num_rows // ROWS
    columns = [table[name].to_numpy()[::step][:ROWS] for name in COLUMNS]
    rows = np.ascontiguousarray(np.stack(columns, axis=1).astype("<f4"))
    rows.tofile(OUT / "employment.f32")
    return rows


class Ours(Program):
    """Our program, which measures when told to."""

    def __init__(self, program, rows):
        answers = OUT / "answers.f32"
        super().__init__(program, MODEL, OUT / "employment.f32", answers)
        # Once for each, so that the answers are there and the requests made.
        for batch in BATCHES:
            self.microseconds(batch, 1)
        self.answers = np.fromfile(answers, "<f4").reshape(len(rows), -1)


def identity(width):
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, width])
        for name in ("features", "same")
    ]
    node = helper.make_node("Identity", ["features"], ["same"])
    graph = helper.make_graph([node], "floor", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def machine():
    """What the figures depend on beside the programs."""
    block, copies = np.ones(1 << 25, np.uint64), []
    target = np.empty_like(block)
    for _ in range(5):
        began = time.perf_counter()
        np.copyto(target, block)
        copies.append(2 * block.nbytes / (time.perf_counter() - began) / 1e9)
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
          f"copies {max(copies):.1f} GB/s, fsync {min(fsyncs()):.2f} ms (best of five); "
          f"onnxruntime {ort.__version__}, Python {platform.python_version()}")


def fsyncs():
    OUT.mkdir(parents=True, exist_ok=True)
    with open(OUT / "fsync", "wb", buffering=0) as file:
        for _ in range(5):
            file.write(b"\0" * 4096)
            began = time.perf_counter()
            os.fsync(file.fileno())
            yield 1e3 * (time.perf_counter() - began)


def table(ours, theirs, floor):
    print(f"{'batch':>6} {'ours':>10} {'spread':>7} {'onnxruntime':>12} {'spread':>7} "
          f"{'(floor)':>9} {'ratio':>7} {'our rows/s':>12}")
    for batch in BATCHES:
        own, peer, empty = rounds((ours, theirs, floor), batch)
        ratio = min(peer) / min(own)
        print(f"{batch:>6} {min(own):>10.2f} {spread(own):>6.2f}x {min(peer):>12.2f} "
              f"{spread(peer):>6.2f}x {min(empty):>9.2f} {ratio:>6.2f}x "
              f"{batch / min(own) * 1e6:>12,.0f}", flush=True)
    print("\nratio: how many times faster ours is. floor: ONNX Runtime's Python binding with a model "
          "that does nothing.")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])

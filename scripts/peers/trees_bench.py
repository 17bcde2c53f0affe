"""Gradient boosting of 100 trees, depth 5, over 30 features: the `tabular` engine beside ONNX
Runtime (from Python and from Rust), LightGBM's own predictor, lleaves and tl2cgen, on rows that
do not repeat within 8,192, so that no branch can be learnt. See trees_models.py for the models and
turns.py for what is measured.

On 2026-11-22, two shared cores at load 7, one run; how many times faster than each peer `tabular` was:

    peer (version)                        1 row   128 rows
    scikit-learn's model, as ONNX        0.86 µs    43.8 µs
      onnxruntime (1.31.1), Python         15.5       10.8     the call of an empty model alone: 8.0 at 1 row
      onnxruntime, Rust (ort rc.15)        10.4       10.4
      tl2cgen (1.0.0, gcc -O3)              3.0        7.1
    LightGBM's model, as ONNX            1.06 µs    51.2 µs
      onnxruntime, Python                  14.1       10.8
      onnxruntime, Rust                    10.0       10.4
    LightGBM's model, as text            0.89 µs    69.8 µs
      lleaves (1.3.0), the better way       2.3        2.9
      tl2cgen                               3.3        5.3
      LightGBM (4.7.0), fast single row     6.7       11.6

The ratios follow the machine: on 2026-11-22, 23:42 and 23:53, with nobody beside, a row was 8.8 and 9.5 times faster than
ONNX Runtime from Rust by the median round (10.5 and 10.7 by the best of each), 128 rows 7.4 and 7.8 times; after that a graph of
one kernel lost 7 % of a row's time.

Run:  python scripts/peers/trees_bench.py OURS ONNXRUNTIME_DIRECT FOLDER   (see scripts/bench)
"""

import sys
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from turns import Program, Runtime, ratio, rounds, spread

import numpy as np
import onnxruntime as ort
from tabular_bench import identity, machine
from trees_models import DEPTH, FEATURES, TREES, make

# Many short turns: the machine may be shared, and has its phases.
BATCHES, ROUNDS, MILLISECONDS = (1, 128), 25, 80
PEERS = "onnxruntime lightgbm lleaves llvmlite tl2cgen treelite scikit-learn".split()
# Sums of f32 beside sums of f64; sums of f64 in the same order.
CLOSE, CLOSER = 1e-5, 1e-12
# In the order in which trees_peers.c answers.
LIGHTGBM = ("tl2cgen", "lleaves", "lleaves_single", "lightgbm")


def main(ours, direct, folder):
    folder = Path(folder)
    rows = make(folder)
    machine()
    print(", ".join(f"{name} {version(name)}" for name in PEERS))
    print(f"{TREES} trees of depth {DEPTH}, {len(rows)} distinct rows of {FEATURES} features in turn")
    print(f"best of {ROUNDS} interleaved rounds of {MILLISECONDS} ms, one thread; µs of processor "
          "time a call, and the median round's ratio")
    library = next((Path(ort.__file__).parent / "capi").glob("libonnxruntime.so*"))
    with ExitStack() as stack:
        def program(*command, word=""):
            return stack.enter_context(Program(*command, word=word))

        def own(model):
            return program(ours, folder / model, folder / "rows.f32", answers(folder, model))

        def compiled(model, word):
            return program(folder / f"peers_{model}", folder / "rows.f32", str(FEATURES),
                           answers(folder, f"peers_{model}"), folder / "lightgbm.txt", word=word)

        def runtime(model):
            path = folder / f"{model}.onnx"
            return {"onnxruntime, Python": Runtime(str(path), rows),
                    "onnxruntime, Rust": program(direct, path, folder / "rows.f32", str(FEATURES), library)}

        floor = {"onnxruntime's binding and no model": Runtime(identity(FEATURES), rows)}
        compare("scikit-learn, as ONNX", own("sklearn.onnx"),
                runtime("sklearn") | {"tl2cgen": compiled("sklearn", "tl2cgen")} | floor)
        compare("LightGBM, as ONNX", own("lightgbm.onnx"), runtime("lightgbm"))
        compare("LightGBM, as text", own("lightgbm.txt"),
                {name: compiled("lightgbm", name) for name in LIGHTGBM})
    check(folder, rows)


def answers(folder, name):
    return folder / f"{name}.answers"


def compare(title, ours, peers):
    print(f"\n{title:<36} " + " ".join(f"{f'{batch} rows':>10} {'spread':>7} {'ratio':>7}" for batch in BATCHES))
    measured = {"tabular": ours} | peers
    times = {batch: rounds(measured.values(), batch, ROUNDS, MILLISECONDS) for batch in BATCHES}
    for at, name in enumerate(measured):
        cells = []
        for batch in BATCHES:
            own, theirs = times[batch][0], times[batch][at]
            cells.append(f"{min(theirs):>10.2f} {spread(theirs):>6.2f}x {ratio(own, theirs):>6.2f}x")
        print(f"{name:<36} {' '.join(cells)}", flush=True)


def check(folder, rows):
    """All say the same: there would be nothing to compare."""
    def ours(name, kind):
        return np.fromfile(answers(folder, name), kind).reshape(len(rows), -1)[:, -1]

    def theirs(model):
        return np.fromfile(answers(folder, f"peers_{model}"), "<f8").reshape(-1, len(rows))

    def runtime(model):
        return Runtime(str(folder / f"{model}.onnx"), rows).answers()[:, -1]

    pairs = {
        f"{model}.onnx, onnxruntime": (ours(f"{model}.onnx", "<f4"), runtime(model), CLOSE)
        for model in ("sklearn", "lightgbm")
    }
    pairs["sklearn.onnx, tl2cgen"] = (ours("sklearn.onnx", "<f4"), theirs("sklearn")[0], CLOSE)
    text = ours("lightgbm.txt", "<f8")
    for name, own in zip(LIGHTGBM, theirs("lightgbm")):
        pairs[f"lightgbm.txt, {name}"] = (text, own, CLOSER)
    print("\nlargest difference of a probability")
    for name, (one, other, close) in pairs.items():
        off = np.abs(one - other).max()
        print(f"  {name:<34} {off:.1e}")
        assert off <= close, f"{name}: the two differ"


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])

"""A window of 1,000,000 × 50 float64 beside a fitted reference of as many rows: Kolmogorov–Smirnov, Wasserstein, the
population stability index and Jensen–Shannon of all columns, ours beside scipy, Evidently's DataDriftPreset, and one
plain read of the window. Then the request path: a row of 50 features, one by one.

On 2026-11-23, two shared cores (EPYC, AVX2), 1,000,000 × 50: ours 5.5 ns a value, 9.0 plain reads of 0.6 ns (wanted:
6; where memory was slower it was 4.3 to 6.9 reads); scipy's KS takes 55 times what all four of ours take, its
Wasserstein 96; Evidently's preset 1,121 times; the request path 25.8 ns a feature, least 17.4 (wanted: 25; 16 to 21 in
other runs). Of counting, to find the cell takes 35%, to add to it 26, squares 16, units 14, buckets 11. What did not
help it, all within 3% (5.2 to 5.7 ns a value, interleaved): units and sums in one loop, all of a bucket's cuts in one
line of the cache compared at once, touching the next numbers ahead, chunks of 256, 1,024 and 2,048. With 32 cells, all
in the nearest cache, it takes 4.4 ns: the rest is not memory.

One thread each, processor time, interleaved rounds, medians; every peer judges the same arrays. Evidently takes
minutes a round at full size and is measured there as many times as EVIDENTLY says.

Run:  python scripts/peers/drift_bench.py OURS FOLDER [ROWS [COLUMNS [ROUNDS [EVIDENTLY]]]]   (see scripts/bench)
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", DO_NOT_TRACK="1")

import json
import platform
import statistics
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

from turns import Program

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
from scipy.stats import ks_2samp, wasserstein_distance

warnings.filterwarnings("ignore")

PEERS = "scipy evidently numpy pandas".split()
# scipy adds up in another order.
CLOSE = 1e-10


def main(ours, folder, rows=1_000_000, columns=50, rounds=3, evidently=1):
    rows, columns, rounds, evidently = int(rows), int(columns), int(rounds), int(evidently)
    folder = Path(folder)
    sides = [side(folder / f"{name}.f64", rows, columns, seed) for seed, name in enumerate(("reference", "window"))]
    print(platform.processor() or platform.machine(), cpu(), f"load {os.getloadavg()[0]:.1f}")
    print(", ".join(f"{name} {version(name)}" for name in PEERS))
    print(f"{rows:,} rows × {columns} columns of float64 on either side; {rounds} interleaved rounds, medians of seconds "
          f"of processor time, one thread")
    answers = folder / "answers.json"
    with Program(ours, *(folder / f"{name}.f64" for name in ("reference", "window")), str(columns), answers) as program:
        asked(program, "read", 1)  # It answers once it has written what it says of the window.
        check(json.loads(answers.read_text().replace("inf", "1e999")), sides)
        table(measure(program, sides, rounds), rows, columns)
        presets(program, sides, columns, evidently)
        request(program, columns)


def side(path, rows, columns, seed):
    """Columns of five shapes; the window's are moved by up to a quarter of a deviation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([2026, seed])
    made = np.empty((columns, rows))
    for at, column in enumerate(made):
        normal = rng.normal(size=rows) + seed * 0.005 * (at // 5 * 5)
        column[:] = (normal, np.exp(normal), np.round(5 * normal), rng.random(rows) + 0.01 * seed * (at % 7),
                     normal / np.sqrt(rng.chisquare(3, rows) / 3))[at % 5]
    made.tofile(path)
    return made


def cpu():
    names = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]
    return f"{len(names)} × {names[0]}" if names else "?"


def check(answers, sides):
    """All say the same: there would be nothing to compare."""
    undecided = 0
    for at, (reference, window) in enumerate(zip(*sides)):
        theirs = {"ks": ks_2samp(reference, window).statistic, "wasserstein": wasserstein_distance(reference, window)}
        for name, value in theirs.items():
            low, high = answers["bounds"][at][name]
            assert low * (1 - CLOSE) <= value <= high * (1 + CLOSE), (at, name, low, value, high)
            undecided = max(undecided, (high - low) / value)
            low, high = answers["exact"][at][name]
            assert abs(low - value) <= CLOSE * value and high - low <= CLOSE * value, (at, name, low, value, high)
    print(f"scipy's distances lie between our bounds, which are {undecided:.1e} of the distance apart at most, and "
          f"equal what the second pass makes exact to {CLOSE:.0e}")


def seconds(do):
    began = time.process_time()
    do()
    return time.process_time() - began


def measure(program, sides, rounds):
    times = {}
    each = lambda function: lambda: [function(*pair) for pair in zip(*sides)]
    own = lambda what: lambda: asked(program, what, 1)
    tasks = {
        "plain read, ours": own("read"),
        "plain read, numpy": lambda: seconds(lambda: [column.sum() for column in sides[1]]),
        "ours": own("judge"),
        "ours, exact (both sides read again)": own("exact"),
        "scipy, KS": lambda: seconds(each(ks_2samp)),
        "scipy, Wasserstein": lambda: seconds(each(wasserstein_distance)),
    }
    for _ in range(rounds):
        for name, task in tasks.items():
            times.setdefault(name, []).append(task())
    return times


def asked(program, what, count, milliseconds=1):
    """Seconds that so many of these take."""
    program.word = what + " "
    return program.microseconds(count, milliseconds) / 1e6


def ratio(own, theirs):
    return statistics.median(other / mine for mine, other in zip(own, theirs))


def table(times, rows, columns):
    own = times["ours"]
    print(f"\n{'':<40} {'seconds':>9} {'least':>9} {'ns a value':>11}")
    for name, taken in times.items():
        median = statistics.median(taken)
        print(f"{name:<40} {median:>9.3f} {min(taken):>9.3f} {median / rows / columns * 1e9:>11.2f}")
    read = [min(pair) for pair in zip(times["plain read, ours"], times["plain read, numpy"])]
    both = [a + b for a, b in zip(times["scipy, KS"], times["scipy, Wasserstein"])]
    print(f"\nours takes {ratio(read, own):.1f} plain reads (wanted: at most 6)")
    print(f"scipy's KS takes {ratio(own, times['scipy, KS']):.0f} times what all four of ours take, "
          f"Wasserstein {ratio(own, times['scipy, Wasserstein']):.0f}, both {ratio(own, both):.0f} (wanted: 50)")
    exact = times["ours, exact (both sides read again)"]
    print(f"beside ours with a second pass: KS {ratio(exact, times['scipy, KS']):.0f}, "
          f"Wasserstein {ratio(exact, times['scipy, Wasserstein']):.0f}, both {ratio(exact, both):.0f}")


def presets(program, sides, columns, times):
    for share, label in ((10, "a tenth of the rows"), (1, "all rows"))[: 1 + (times > 0)]:
        tables = [pd.DataFrame({f"x{at}": column[: len(column) // share] for at, column in enumerate(side)})
                  for side in sides]
        own, theirs = [], []
        for _ in range(max(times, 1)):
            own.append(asked(program, "judge", 1))
            theirs.append(seconds(lambda: preset(tables)))
        note = "" if share == 1 else " (ours: all rows)"
        print(f"Evidently's preset, {label}: {statistics.median(theirs):.1f} s, {ratio(own, theirs):.0f} times ours{note}"
              f"{' (wanted: 200)' if share == 1 else ''}", flush=True)


def preset(tables):
    definition = DataDefinition(numerical_columns=list(tables[0].columns))
    reference, window = (Dataset.from_pandas(side, data_definition=definition) for side in tables)
    Report([DataDriftPreset()]).run(window, reference).dict()


def request(program, features):
    taken = [asked(program, "request", 1_000, 200) / 1_000 for _ in range(15)]
    row = statistics.median(taken)
    print(f"\nrequest path: {row / features * 1e9:.1f} ns a feature (wanted: at most 25), least "
          f"{min(taken) / features * 1e9:.1f}; a row of {features} features {row * 1e6:.2f} µs")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])

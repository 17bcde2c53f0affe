"""The data of the power study: references, windows without drift, and windows with twenty kinds of it.

Usage: python shifts.py FOLDER BLOCKS NULLS REPETITIONS

A block is a reference of 5,000 rows and windows of 1,000 rows beside it: NULLS without drift, and REPETITIONS of
every size of every kind. It is written once, as float64 column after column (categories as whole numbers, missing
ones as NaN), and every system reads the same files. Seeded.
"""

import json
import sys
from pathlib import Path

import numpy as np

REFERENCE, WINDOW = 5_000, 1_000
NUMBERS = "normal skewed heavy whole left right sparse spiked".split()
CATEGORIES = {"plan": 6, "city": 51}  # The last of each is in no reference.
COLUMNS = NUMBERS + list(CATEGORIES)
PLANS = np.array([0.40, 0.25, 0.20, 0.10, 0.05])
CITIES = 1 / np.arange(1, 51)
CITIES /= CITIES.sum()


def rows(rng, count):
    """Rows without drift."""
    left, other = rng.normal(size=(2, count))
    spiked = np.where(rng.random(count) < 1 / REFERENCE, 1e6, rng.normal(size=count))
    return {
        "normal": rng.normal(size=count),
        "skewed": rng.lognormal(size=count),
        "heavy": rng.standard_t(3, count),
        "whole": rng.poisson(4, count).astype(float),
        "left": left,
        "right": 0.8 * left + 0.6 * other,
        "sparse": np.where(rng.random(count) < 0.05, np.nan, rng.normal(size=count)),
        "spiked": spiked,
        "plan": rng.choice(5, count, p=PLANS).astype(float),
        "city": rng.choice(50, count, p=CITIES).astype(float),
    }


def reference(rng):
    table = rows(rng, REFERENCE)
    # Someone's slip, once, as people's references have.
    table["spiked"][0] = 1e6
    return table


def some(rng, share):
    return rng.random(WINDOW) < share


def put(column, change):
    """A change of one column: of its values, the random numbers and the size."""
    def apply(rng, table, size):
        table[column] = change(rng, table[column], size)
    return apply


def rotate(rng, table, size):
    fresh = rng.normal(size=WINDOW)
    table["right"] = size * table["left"] + np.sqrt(1 - size**2) * fresh


def beside_an_outlier(rng, x, size):
    moved = x + size
    moved[0] = 1e6
    return moved


def two_humps(rng, x, size):
    return np.sqrt(1 - size**2) * x + size * rng.choice([-1.0, 1.0], WINDOW)


def more_missing(rng, x, size):
    # The share of all rows that becomes missing beside the 5% that are.
    return np.where(some(rng, size / 0.95), np.nan, x)


def shares_move(rng, x, size):
    # From the most frequent city to the second.
    return np.where((x == 0) & some(rng, size / CITIES[0]), 1.0, x)


def rarest_grows(rng, x, size):
    return np.where(some(rng, size / 0.95), 4.0, x)


def season(rng, x, size):
    return x + size * np.sin(np.arange(WINDOW) * 2 * np.pi / 250)


KINDS = {
    "mean": ((0.08, 0.15, 0.25), put("normal", lambda rng, x, s: x + s)),
    "spread": ((1.1, 1.2, 1.35), put("normal", lambda rng, x, s: x * s)),
    "tail": ((0.01, 0.03, 0.06), put("normal", lambda rng, x, s: np.where(some(rng, s), 5 * x, x))),
    "mixture": ((0.02, 0.04, 0.08),
                put("normal", lambda rng, x, s: np.where(some(rng, s), rng.normal(2, 0.3, WINDOW), x))),
    "two humps, same mean and spread": ((0.5, 0.65, 0.8), put("normal", two_humps)),
    "counts": ((1.03, 1.07, 1.12), put("whole", lambda rng, x, s: rng.poisson(4 * s, WINDOW).astype(float))),
    "more missing": ((0.02, 0.04, 0.07), put("sparse", more_missing)),
    "missing appears": ((0.002, 0.005, 0.02), put("normal", lambda rng, x, s: np.where(some(rng, s), np.nan, x))),
    "missing becomes zero": ((0.4, 0.7, 1.0),
                             put("sparse", lambda rng, x, s: np.where(np.isnan(x) & some(rng, s), 0.0, x))),
    "unseen category": ((0.002, 0.005, 0.02), put("plan", lambda rng, x, s: np.where(some(rng, s), 5.0, x))),
    "rare category grows": ((0.02, 0.04, 0.07), put("plan", rarest_grows)),
    "shares of 50 categories": ((0.03, 0.06, 0.10), put("city", shares_move)),
    "rotation of two columns": ((0.7, 0.4, 0.0), rotate),
    "mean, one outlier in the window": ((0.1, 0.2, 0.4), put("normal", beside_an_outlier)),
    "mean, one outlier in the reference": ((0.1, 0.2, 0.4), put("spiked", lambda rng, x, s: x + s)),
    "rounding": ((0.25, 0.5, 1.0), put("normal", lambda rng, x, s: np.round(x / s) * s)),
    "another unit in some rows": ((0.03, 0.08, 0.15),
                                  put("skewed", lambda rng, x, s: np.where(some(rng, s), 2.54 * x, x))),
    "clipping": ((1.8, 1.4, 1.0), put("normal", lambda rng, x, s: np.minimum(x, s))),
    "stuck sensor": ((0.02, 0.05, 0.1), put("heavy", lambda rng, x, s: np.where(np.arange(WINDOW) < s * WINDOW, 0.3, x))),
    "season": ((0.3, 0.5, 0.8), put("left", season)),
}


def block(rng, nulls, repetitions):
    """A reference, what its windows are, and their rows."""
    names, windows = [], []
    for _ in range(nulls):
        names.append(["none", 0])
        windows.append(rows(rng, WINDOW))
    for kind, (sizes, change) in KINDS.items():
        for size in sizes:
            for _ in range(repetitions):
                table = rows(rng, WINDOW)
                change(rng, table, size)
                names.append([kind, size])
                windows.append(table)
    return reference(rng), names, windows


def write(path, tables):
    """Column after column."""
    np.concatenate([np.concatenate([table[name] for table in tables]) for name in COLUMNS]).tofile(path)


def main(folder, blocks, nulls, repetitions):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(int(blocks)):
        rng = np.random.default_rng([2026, 11, 22, number])
        own, names, windows = block(rng, int(nulls), int(repetitions))
        write(folder / f"{number}.reference.f64", [own])
        write(folder / f"{number}.windows.f64", windows)
        (folder / f"{number}.json").write_text(json.dumps(names))
    said = {"blocks": int(blocks), "reference": REFERENCE, "window": WINDOW, "numbers": NUMBERS, "categories": CATEGORIES}
    (folder / "study.json").write_text(json.dumps(said))


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])

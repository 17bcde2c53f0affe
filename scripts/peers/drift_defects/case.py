"""The rows of the table, and the situations that two systems share.

A row is one situation of a test of ours: the same laws, sizes and shifts. Its last cell is what that test decides.
"""

import math
from importlib.metadata import version

import numpy as np

CHI_SQUARE = "calibration.rs::chi_square_of_two_samples_of_one_law_is_wrong_one_time_in_twenty"
NEW_CATEGORY = "defects.rs::a_new_category_is_drift_and_no_crash"


class System:
    def __init__(self, name, package):
        self.name = f"{name} {version(package)}"

    def row(self, defect, situation, right, says, passes, test):
        cells = [defect, self.name, situation, right, says, f"`{test}`", "passes" if passes else "fails"]
        print("|", " | ".join(" ".join(cell.split()).replace("|", "/") for cell in cells), "|", flush=True)


def words(counts):
    """A column with so many rows of each word."""
    return np.repeat(np.array(list(counts), dtype=object), list(counts.values()))


def one_law(system, defect, random, trials, p):
    """How often `p(reference, window)` is under 0.05 for two samples of one law: no more often than that, but for one
    time in a thousand, and not hardly ever."""
    low, high = 0.03 * trials, 0.05 * trials + 3.1 * math.sqrt(trials * 0.05 * 0.95)
    said, passes = [], True
    for k in (3, 10, 20):
        weights = 1.0 + np.arange(k) % 3
        sample = lambda: sampled(random, weights, 1000)
        wrong = sum(p(sample(), sample()) < 0.05 for _ in range(trials))
        passes &= low < wrong < high
        said.append(f"{wrong / trials:.1%}")
    system.row(defect, f"chi-square, 1,000 rows and 1,000 of one law of 3, 10 and 20 categories, {trials:,} times each",
               f"p < 0.05 in 5% (from {low / trials:.1%} to {high / trials:.1%})", ", ".join(said), passes, CHI_SQUARE)


def sampled(random, weights, rows):
    counts = random.multinomial(rows, weights / weights.sum())
    return words({f"w{at}": count for at, count in enumerate(counts)})


def new_category(system, defect, compare):
    """`compare(reference, window)` answers p and whether it is drift."""
    half = words({"a": 500, "b": 500})
    p, drifted = compare(half, words({"a": 500, "b": 499, "new": 1}))
    system.row(defect, "chi-square, 1,000 rows; 1 row of 1,000 has a new category", "no drift, p > 0.2",
               verdict(p, drifted), not drifted and p > 0.2, NEW_CATEGORY)
    p, drifted = compare(half, words({"a": 400, "b": 400, "new": 200}))
    system.row(defect, "chi-square, 1,000 rows; 200 rows of 1,000 have a new category", "drift",
               verdict(p, drifted), drifted, NEW_CATEGORY)
    p, _ = compare(words({"a": 900, "b": 100}), words({"a": 500, "b": 80, "new": 1}))
    system.row(defect, "chi-square, 900 and 100 rows of two categories; 500 and 80, and 1 row of a new one", "p > 0",
               f"p = {p:.3g}", p > 0, NEW_CATEGORY)
    constant = words({"a": 700})
    p, drifted = compare(constant, constant)
    system.row(defect, "chi-square, a column of one value, 700 rows twice", "no drift, p is a number",
               verdict(p, drifted), not drifted and math.isfinite(p), NEW_CATEGORY)


def verdict(p, drifted):
    return f"{'drift' if drifted else 'no drift'}, p = {p:.3g}"

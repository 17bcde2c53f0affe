"""whylogs' default scores of drift: Kolmogorov–Smirnov on its sketches, chi-square for text. Its sketches draw from a
generator of their own that cannot be seeded: the numbers differ a little from run to run.

Usage: defects_whylogs.py     prints rows of Markdown
"""

import logging
import math
import os
from functools import reduce

os.environ["WHYLOGS_NO_ANALYTICS"] = "1"

import numpy as np
import pandas as pd
import whylogs as why
from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

from case import System, new_category, one_law

MANY_ROWS = "defects.rs::many_rows_have_one_p_that_means_what_it_says"


def main():
    logging.disable(logging.CRITICAL)
    system = System("whylogs", "whylogs")
    parts(system, np.random.default_rng(1))
    wrong(system, np.random.default_rng(2), 40, 60_000)
    # As many pairs of so many rows would take minutes.
    wrong(system, np.random.default_rng(3), 20, 1_000_000)
    one_law(system, "D13", np.random.default_rng(4), 300, lambda *sides: chi_square(*sides)[0])
    new_category(system, "D13", chi_square)


def profile(values):
    return why.log(pd.DataFrame({"x": values})).view()


def score(reference, window):
    return calculate_drift_scores(target_view=window, reference_view=reference, with_thresholds=True)["x"]


def ks(reference, window):
    said = score(reference, window)
    assert said["algorithm"] == "ks", said
    return said["pvalue"]


def chi_square(reference, window):
    said = score(profile(reference), profile(window))
    assert said["algorithm"] == "chi-square", said
    return said["pvalue"], said["drift_category"] == "DRIFT"


def parts(system, random):
    reference, rows = profile(random.normal(size=60_000)), random.normal(size=60_000)
    merged = reduce(lambda whole, part: whole.merge(part), map(profile, np.split(rows, 6)))
    said = [ks(reference, profile(rows)), ks(reference, profile(rows)), ks(reference, merged)]
    system.row("D12", "ks, 60,000 rows twice of N(0,1); the window profiled at once, again, and as six parts, merged",
               "the same p", "p = " + ", ".join(f"{p:.3f}" for p in said), len(set(said)) == 1, MANY_ROWS)


def wrong(system, random, trials, rows):
    sample = lambda: profile(random.normal(size=rows))
    small = sum(ks(sample(), sample()) <= 0.05 for _ in range(trials))
    # 5%, and three deviations.
    most = math.floor(0.05 * trials + 3 * math.sqrt(trials * 0.05 * 0.95))
    ours = "" if rows == 60_000 else " (our test: 60,000)"
    system.row("D12", f"ks, {rows:,} rows twice of N(0,1){ours}, {trials} times",
               f"p ≤ 0.05 in at most {most} of {trials}", f"{small} of {trials}", small <= most, MANY_ROWS)


if __name__ == "__main__":
    main()

"""Frouros' index of population stability, of ten bins as it is by default.

Usage: defects_frouros.py     prints rows of Markdown
"""

import numpy as np
from frouros.detectors.data_drift import PSI

from case import System

TEST = "defects.rs::an_empty_cell_does_not_make_the_index"


def main():
    system = System("Frouros", "frouros")
    # The data of its own documentation's example, which takes twenty bins of them; ours has ten cells.
    legacy = np.random.RandomState(31)
    value = index(legacy.normal(0, 1, 100), legacy.normal(1, 1, 100))
    system.row("D14", "PSI, 100 rows of N(0,1) and 100 of N(1,1), those of its documentation; the law's index is 1",
               "from 0.4 to 2", f"{value:.1f}", right(value), TEST)
    random = np.random.default_rng(1)
    values = [index(random.normal(0, 1, 100), random.normal(1, 1, 100)) for _ in range(200)]
    median = np.median(values)
    system.row("D14", "PSI, 200 such pairs (our test: one)", "a median from 0.4 to 2",
               f"a median of {median:.1f}; {sum(map(right, values))} of 200 are from 0.4 to 2", right(median), TEST)


def index(reference, window):
    detector = PSI()
    detector.fit(X=reference)
    return float(detector.compare(X=window)[0].distance)


def right(value):
    return 0.4 <= value < 2


if __name__ == "__main__":
    main()

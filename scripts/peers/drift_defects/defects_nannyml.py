"""NannyML's univariate drift with its default thresholds, of each of its methods for numbers.

Usage: defects_nannyml.py     prints rows of Markdown
"""

import os
import warnings

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml as nml
import numpy as np
import pandas as pd

from case import System

METHODS = ["jensen_shannon", "kolmogorov_smirnov", "hellinger", "wasserstein"]


def main():
    warnings.filterwarnings("ignore")
    system = System("NannyML", "nannyml")
    outlier(system, np.random.default_rng(1))
    false_alarms(system, np.random.default_rng(2))


def answers(reference, windows, rows):
    """Of windows of so many rows, thresholds from ten chunks as long of the reference."""
    calculator = nml.UnivariateDriftCalculator(
        column_names=list(reference), continuous_methods=METHODS, chunk_size=rows)
    calculator.fit(reference)
    return calculator.calculate(windows).filter(period="analysis").to_df()


def outlier(system, random):
    reference, window = random.normal(size=20_000), random.normal(3, size=2000)
    plain = answers(table(reference), table(window), 2000)
    reference[77] = 1e6
    said = answers(table(reference), table(window), 2000)
    for method in METHODS:
        system.row("D9", f"{method}, 20,000 rows of N(0,1) and one value of 1e6; 2,000 rows of N(3,1)", "an alert",
                   f"{shown(said, method)} (without the outlier {shown(plain, method)})", alert(said, method),
                   "defects.rs::an_outlier_in_the_reference_hides_nothing")


def table(values):
    return pd.DataFrame({"x": values})


def alert(said, method):
    assert len(said) == 1
    return bool(said[("x", method, "alert")].iloc[0])


def shown(said, method):
    value, threshold = (said[("x", method, of)].iloc[0] for of in ("value", "upper_threshold"))
    return f"{'an alert' if alert(said, method) else 'no alert'}, {value:.3g} of {threshold:.3g}"


def false_alarms(system, random):
    names = [f"c{at}" for at in range(50)]
    rows = lambda: pd.DataFrame(random.normal(size=(5000, 50)), columns=names)
    said = answers(rows(), rows(), 500)
    assert len(said) == 10
    for method in METHODS:
        alerts = sum(int(said[(name, method, "alert")].sum()) for name in names)
        system.row("D11", f"{method}, 50 columns of N(0,1), 5,000 rows; 10 windows of 500 rows of the same law",
                   "no alert (3 deviations promise 0.7)", f"{alerts} alerts of 500", alerts == 0,
                   "defects.rs::fifty_columns_in_ten_windows_raise_no_false_alarm")


if __name__ == "__main__":
    main()

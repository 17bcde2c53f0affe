"""Evidently's tests of drift (its default where no method is named), and its DataDriftPreset for missing values.

Usage: defects_evidently.py     prints rows of Markdown
"""

import warnings

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.legacy.calculations.stattests import get_stattest
from evidently.legacy.core import ColumnType
from evidently.presets import DataDriftPreset

from case import System, new_category, one_law, sampled

BINNED = ["psi", "jensenshannon", "kl_div", "hellinger"]
OUTLIER = 1e6
NULLS = "defects.rs::nulls_are_drift_and_a_column_of_them_ends_nothing"


def main():
    # Of pandas' and of divisions by zero, which its rows show.
    warnings.filterwarnings("ignore")
    system = System("Evidently", "evidently")
    one_law(system, "D1", np.random.default_rng(1), 1500, lambda *sides: categories(*sides, "chisquare").drift_score)
    noise_of_numbers(system, np.random.default_rng(2))
    noise_of_categories(system, np.random.default_rng(3))
    outlier_of_bins(system, np.random.default_rng(4))
    skewed(system, np.random.default_rng(5))
    outlier_of_the_default(system, np.random.default_rng(6))
    one_sided(system, np.random.default_rng(7))
    g_test(system, np.random.default_rng(8))
    new_category(system, "D7", chi_square)
    nulls(system, np.random.default_rng(9))


def score(kind, reference, window, method=None):
    reference, window = pd.Series(reference), pd.Series(window)
    return get_stattest(reference, window, kind, method)(reference, window, kind, None)


def numbers(*sides_and_method):
    return score(ColumnType.Numerical, *sides_and_method)


def categories(*sides_and_method):
    return score(ColumnType.Categorical, *sides_and_method)


def chi_square(reference, window):
    said = categories(reference, window, "chisquare")
    return said.drift_score, said.drifted


def noise_of_numbers(system, random):
    reference, sizes = random.normal(size=5000), (30, 50, 100, 200, 500, 1000)
    wrong = [sum(numbers(reference, random.normal(size=rows)).drifted for _ in range(20)) for rows in sizes]
    system.row("D2", "default (Wasserstein), 5,000 rows of N(0,1); 20 windows of 30, 50, 100, 200, 500 and 1,000 rows "
               "of the same law", "none is drift", f"{listed(wrong)} of 20 are drift", not any(wrong),
               "defects.rs::noise_alone_is_no_distance")


def noise_of_categories(system, random):
    wrong = []
    for levels, rows in ((50, 500), (200, 1000), (200, 5000)):
        column = lambda rows: sampled(random, np.ones(levels), rows)
        reference = column(5000)
        wrong.append(sum(categories(reference, column(rows)).drifted for _ in range(10)))
    system.row("D2", "default (Jensen–Shannon), 5,000 rows; 10 windows of the same law: 50 categories and 500 "
               "rows, 200 and 1,000, 200 and 5,000", "none is drift", f"{listed(wrong)} of 10 are drift",
               not any(wrong), "defects.rs::noise_alone_is_no_distance")


def outlier_of_bins(system, random):
    """The outlier in the window, and in the reference."""
    clean, moved = random.normal(size=5000), random.normal(3, size=5000)
    for method in BINNED:
        plain = numbers(clean, moved, method)
        said = [numbers(clean, with_outlier(moved, 17), method), numbers(with_outlier(clean, 17), moved, method)]
        system.row("D3", f"{method}, 5,000 rows of N(0,1) and of N(3,1), one value of 1e6 in the window; "
                   "in the reference", "drift; drift",
                   f"{'; '.join(map(shown, said))} (without the outlier {shown(plain)})",
                   all(each.drifted for each in said), "detector.rs::one_outlier_hides_nothing")


def skewed(system, random):
    values = lambda scale: scale * np.exp(2 * random.normal(size=5000))
    reference, window = values(1), values(2)
    for method in BINNED:
        said = numbers(reference, window, method)
        system.row("D3", f"{method}, lognormal(0, 2) and twice that, 5,000 rows each", "drift", shown(said),
                   said.drifted, "defects.rs::a_doubled_skewed_value_is_drift")


def outlier_of_the_default(system, random):
    reference = with_outlier(random.normal(size=20_000), 77)
    said = numbers(reference, random.normal(3, size=2000))
    system.row("D4", "default (Wasserstein), 20,000 rows of N(0,1) and one value of 1e6; 2,000 rows of N(3,1)", "drift",
               shown(said), said.drifted, "defects.rs::an_outlier_in_the_reference_hides_nothing")
    said = numbers(random.normal(size=5000), with_outlier(random.normal(size=5000), 17))
    system.row("D4", "default (Wasserstein), 5,000 rows twice of N(0,1), one value of 1e6 in the window", "no drift",
               shown(said), not said.drifted, "detector.rs::one_outlier_hides_nothing")


def one_sided(system, random):
    reference, down, up = (random.normal(shift, size=5000) for shift in (0, -0.3, 0.3))
    said = [numbers(reference, window, "mannw").drift_score for window in (down, up)]
    system.row("D5", "Mann–Whitney, N(0,1) and a shift of 0.3 down; up; 5,000 rows each", "p < 1e-30 for both",
               f"p = {said[0]:.3g}; {said[1]:.3g}", all(p < 1e-30 for p in said),
               "defects.rs::a_shift_down_is_as_surprising_as_a_shift_up")


def g_test(system, random):
    for rows in (300, 1000):
        sample = lambda rows: sampled(random, np.arange(5.0, 0, -1), rows)
        try:
            p = [categories(sample(1000), sample(rows), "g_test").drift_score for _ in range(400)]
            wrong = sum(each <= 0.05 for each in p)
            said, passes = f"{wrong} of 400", wrong <= 33
        except ValueError as error:
            said, passes = f"ValueError: {str(error)[:80]} …", False
        system.row("D6", f"G-test, 1,000 rows and {rows:,} of one law of 5 categories, 400 times",
                   "p ≤ 0.05 in at most 33 of 400", said, passes, "defects.rs::the_g_test_takes_sides_of_any_size")


def nulls(system, random):
    full, void = random.normal(size=1000), np.full(500, np.nan)
    half = np.where(np.arange(1000) % 2 == 0, np.nan, full)
    of_nulls(system, "1,000 rows; the same, every other one missing", "drift", {"x": full}, {"x": half}, {"x": True},
             NULLS)
    of_nulls(system, "500 missing values twice", "no drift", {"x": void}, {"x": void}, {"x": False}, NULLS)
    of_nulls(system, "1,000 rows; 500 missing values", "drift", {"x": full}, {"x": void}, {"x": True}, NULLS)
    void = np.full(1000, np.nan)
    of_nulls(system, "a column of missing values beside one that moves by 2 deviations, 1,000 rows each",
             "drift of the second", {"void": void, "x": full}, {"void": void, "x": random.normal(2, size=1000)},
             {"void": False, "x": True}, "detector.rs::a_column_of_nulls_does_not_end_the_report")


def of_nulls(system, situation, right, reference, window, expected, test):
    try:
        drifted = {name: p < 0.05 for name, p in preset(reference, window).items()}
        said = ", ".join(f"{name}: {'drift' if drifted[name] else 'no drift'}" for name in drifted)
    except ValueError as error:
        drifted, said = None, f"no report: ValueError: {error}"
    system.row("D8", f"DataDriftPreset, {situation}", right, said, drifted == expected, test)


def preset(reference, window):
    """By column its p: of so few rows it takes Kolmogorov and Smirnov's test."""
    definition = DataDefinition(numerical_columns=list(reference))
    of = lambda table: Dataset.from_pandas(pd.DataFrame(table), data_definition=definition)
    columns = [each for each in Report([DataDriftPreset()]).run(of(window), of(reference)).dict()["metrics"]
               if "column" in each["config"]]
    assert all(each["config"]["method"] == "K-S p_value" for each in columns), columns
    return {each["config"]["column"]: each["value"] for each in columns}


def with_outlier(values, at):
    values = values.copy()
    values[at] = OUTLIER
    return values


def shown(said):
    return f"{'drift' if said.drifted else 'no drift'}, {said.drift_score:.3g}"


def listed(counts):
    return ", ".join(map(str, counts))


if __name__ == "__main__":
    main()

"""Evidently's default per column, by the functions that its DataDriftPreset calls (the preset itself takes a second a
window, most of it for pictures; `--check` shows that it says the same of one window).

Usage: judge_evidently.py FOLDER OUT
"""

import sys
import warnings

import numpy as np
from evidently import DataDefinition, Dataset, Report
from evidently.legacy.calculations.stattests import get_stattest
from evidently.legacy.core import ColumnType
from evidently.presets import DataDriftPreset

from study import Study, or_error

warnings.filterwarnings("ignore")


def main(folder, out):
    study = Study(folder)
    kinds = {name: ColumnType.Numerical for name in study.numbers}
    kinds |= {name: ColumnType.Categorical for name in study.categories}

    def start(reference):
        own = {name: finite(reference[name]) for name in kinds}

        def scores(window):
            def score(name, kind):
                now = finite(window[name])
                test = get_stattest(own[name], now, kind, None)
                result = test(own[name], now, kind, None)
                # The auto rule may change the test with the window: everything in units of its own threshold.
                return result.drift_score / result.actual_threshold
            return {name: or_error(lambda name=name, kind=kind: score(name, kind)) for name, kind in kinds.items()}

        return scores

    check(study, start)
    study.judge(out, start)


def finite(column):
    return column.replace([-np.inf, np.inf], np.nan).dropna()


def check(study, start):
    """The preset says the same of a window."""
    reference, windows = next(study.each_block())
    window = next(study.each_window(windows))
    definition = DataDefinition(numerical_columns=study.numbers, categorical_columns=study.categories)
    of = lambda table: Dataset.from_pandas(table, data_definition=definition)
    report = Report([DataDriftPreset()]).run(of(window), of(reference)).dict()
    said = {m["config"]["column"]: m["value"] / m["config"]["threshold"]
            for m in report["metrics"] if "column" in m["config"]}
    ours = start(reference)(window)
    for name, score in said.items():
        assert abs(ours[name] - score) < 1e-9, (name, ours[name], score)
    print(f"the preset says the same of {len(said)} columns", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])

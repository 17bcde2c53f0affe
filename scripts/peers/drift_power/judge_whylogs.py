"""whylogs' default scores of drift: Kolmogorov–Smirnov on its sketches, chi-square for categories, and what its
profiles say of missing values.

Usage: judge_whylogs.py FOLDER OUT
"""

import logging
import math
import sys

import whylogs as why
from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

from study import Study, of_p

logging.disable(logging.CRITICAL)


def main(folder, out):
    study = Study(folder)

    def start(reference):
        own = why.log(reference).view()
        usual = reference.isna().mean()

        def scores(window):
            try:
                drift = calculate_drift_scores(target_view=why.log(window).view(), reference_view=own,
                                               with_thresholds=True)
            except Exception:  # noqa: BLE001: whatever it raises, an alarm in its favour
                return {name: math.inf for name in study.columns}
            said = {name: None if of is None else of_p(of["pvalue"]) for name, of in drift.items()}
            # Its profiles count nulls; the score leaves them out.
            return said | {f"missing {name}": abs(window[name].isna().mean() - usual[name]) for name in study.numbers}

        return scores

    study.judge(out, start)


if __name__ == "__main__":
    main(*sys.argv[1:])

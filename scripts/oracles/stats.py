"""What other people's software says about intervals, corrections and metrics.

For mlops_core::stats and mlops_core::evaluation: statsmodels, scipy and
scikit-learn wherever they have the same definition, else the definition itself
written out in numpy (stats_cases.py and stats_metrics.py say which is which).

Run:    /work/venv/bin/python scripts/oracles/stats.py
Writes: mlops-core/tests/data/intervals.json and metrics.json
Made with Python 3.11 and the versions that the files name.
"""

import os

# Before numpy is loaded: the results must not depend on how many cores there are.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

from common import ROOT, versions, write_json
from stats_cases import adjustments, means, paired, proportions
from stats_metrics import areas, area_differences, comparisons, evaluations

OUT = ROOT / "mlops-core/tests/data"


def main():
    made_with = {"versions": versions("numpy", "scipy", "statsmodels", "scikit-learn")}
    intervals = proportions() | paired() | {
        "mean": means(), "adjustments": adjustments(),
    }
    metrics = {
        "auc": areas(), "auc_difference": area_differences(),
        "evaluation": evaluations(), "comparison": comparisons(),
    }
    for name, sections in (("intervals", intervals), ("metrics", metrics)):
        path = OUT / f"{name}.json"
        write_json(path, made_with | sections)
        counts = {section: len(cases) for section, cases in sections.items()}
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes, {counts}")


if __name__ == "__main__":
    main()

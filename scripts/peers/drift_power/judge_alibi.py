"""alibi-detect's TabularDrift with its defaults: Kolmogorov–Smirnov, chi-square for categories.

It takes no missing values: rows that lack one are left out, column by column, as its users must.

Usage: judge_alibi.py FOLDER OUT
"""

import sys

import numpy as np
from alibi_detect.cd import ChiSquareDrift, KSDrift

from study import Study, of_p, or_error


def main(folder, out):
    study = Study(folder)

    def start(reference):
        numbers = {name: KSDrift(present(reference[name])) for name in study.numbers}
        categories = {name: ChiSquareDrift(codes(reference[name])) for name in study.categories}

        def scores(window):
            ks = {name: or_error(lambda d=d, name=name: score(d, present(window[name]))) for name, d in numbers.items()}
            chi = {name: or_error(lambda d=d, name=name: score(d, codes(window[name]))) for name, d in categories.items()}
            return ks | chi

        return scores

    study.judge(out, start)


def score(detector, values):
    return of_p(detector.predict(values)["data"]["p_val"][0])


def present(column):
    return column.dropna().to_numpy().reshape(-1, 1)


def codes(column):
    # The text's number; new ones are new numbers.
    return column.str.extract(r"(\d+)")[0].astype(np.int64).to_numpy().reshape(-1, 1)


if __name__ == "__main__":
    main(*sys.argv[1:])

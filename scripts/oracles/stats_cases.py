"""Cases of intervals and corrections with the answers of scipy and statsmodels.

Imported by stats.py. Where no library has our definition, it is written out
here after its paper: the paired difference of Newcombe (1998, method 10).
"""

import itertools
import math
from decimal import Decimal, getcontext

import numpy as np
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import (
    confint_proportions_2indep, proportion_confint,
)

SEED = 19270101
LEVELS = [0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 0.999999]
# Small, ordinary and extreme; 277,677 are the census rows of the examples.
SHARES = [
    (0, 1), (1, 1), (0, 2), (1, 2), (2, 2), (1, 3), (0, 10), (1, 10), (5, 10),
    (9, 10), (10, 10), (3, 30), (29, 30), (0, 300), (1, 300), (150, 300),
    (247, 300), (300, 300), (1, 10_000), (8_271, 10_000), (9_999, 10_000),
    (0, 277_677), (229_674, 277_677), (277_677, 277_677), (1, 1_000_000_000),
    (3, 1_000_000_000), (827_000_000, 1_000_000_000),
]


def proportions():
    """wilson and clopper_pearson of one share, difference_interval of two."""
    cases = list(itertools.product(SHARES, LEVELS))
    one = lambda method: [share(k, n, level, method) for (k, n), level in cases]
    rng = np.random.default_rng(SEED)
    pairs = list(itertools.product(SHARES[:18], SHARES[:18]))
    chosen = [pairs[at] for at in rng.permutation(len(pairs))[:100]]
    chosen += [(a, b) for a, b in itertools.product(SHARES[18:], SHARES[18:])]
    levels = itertools.cycle(LEVELS)
    return {
        "wilson": one("wilson"),
        "clopper_pearson": one("beta"),
        "difference": [difference(a, b, level) for (a, b), level in zip(chosen, levels)],
    }


def share(k, n, level, method):
    low, high = proportion_confint(k, n, alpha=1 - level, method=method)
    # statsmodels leaves rounding noise where the end is exact.
    low, high = 0.0 if k == 0 else low, 1.0 if k == n else high
    if method == "beta" and k <= 3 and n > 1_000_000:
        high = few_of_many(k, n, (1 - level) / 2)
    return {"k": k, "n": n, "level": level, "low": float(low), "high": float(high)}


def few_of_many(k, n, tail):
    """The share at which k or fewer have this probability, by bisection in 50 digits.

    scipy's quantile keeps eight digits there, as its own distribution function says.
    """
    getcontext().prec = 50

    def at_most_k(x):
        terms = (math.comb(n, i) * x**i * ((n - i) * (1 - x).ln()).exp() for i in range(k + 1))
        return sum(terms)

    low, high = Decimal(0), Decimal(1000) / n
    for _ in range(120):
        middle = (low + high) / 2
        low, high = (middle, high) if at_most_k(middle) > tail else (low, middle)
    return low


def difference(first, second, level):
    """Second less first, which statsmodels gives as its first less its second."""
    low, high = confint_proportions_2indep(
        *second, *first, method="newcomb", compare="diff", alpha=1 - level
    )
    return {
        "first": first, "second": second, "level": level,
        "low": float(low), "high": float(high),
    }


TABLES = [
    # (both, first only, second only, neither)
    (0, 0, 0, 1), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (1, 0, 0, 1),
    (0, 1, 1, 0), (2, 1, 0, 2), (0, 5, 0, 5), (5, 0, 5, 0), (10, 0, 0, 10),
    (0, 10, 10, 0), (20, 12, 2, 16), (36, 12, 2, 0), (18, 1, 9, 2), (1, 9, 1, 1),
    (100, 17, 30, 53), (230, 5, 4, 61), (8_000, 271, 240, 1_489),
    (50_000, 3_000, 3_100, 13_031), (228_000, 1_674, 1_500, 46_503),
    (800_000_000, 27_000_000, 26_990_000, 146_010_000),
]


def tables():
    rng = np.random.default_rng(SEED + 1)
    drawn = rng.integers(0, [40, 12, 12, 40], size=(60, 4)).tolist()
    return TABLES + [tuple(t) for t in drawn if sum(t) > 0]


def paired():
    """mcnemar_p by statsmodels; paired_difference_interval by its definition."""
    levels = itertools.cycle(LEVELS)
    return {
        "paired_difference": [
            paired_difference(t, level) for t, level in zip(tables(), levels)
        ],
        "mcnemar": [
            {"counts": t, "p": float(mcnemar(matrix(t), exact=True).pvalue)}
            for t in tables()
        ],
    }


def matrix(table):
    both, first_only, second_only, neither = table
    return np.array([[both, first_only], [second_only, neither]])


def paired_difference(table, level):
    """Newcombe 1998 (Statistics in Medicine 17, 2635-2650), method 10.

    The score ends of each share are statsmodels'. All counts are Python's own
    integers, so that products of four of them do not overflow.
    """
    e, f, g, h = table
    n = e + f + g + h
    p, q = (e + f) / n, (e + g) / n
    (p_low, p_high), (q_low, q_high) = (
        [share(k, n, level, "wilson")[end] for end in ("low", "high")]
        for k in (e + f, e + g)
    )
    margins = (e + f) * (g + h) * (e + g) * (f + h)
    cross = e * h - f * g
    # The continuity correction applies to positive association only.
    corrected = max(cross - n / 2, 0.0) if cross > 0 else cross
    phi = 0.0 if margins == 0 else corrected / margins**0.5
    spread = lambda a, b: max(a * a - 2 * phi * a * b + b * b, 0.0) ** 0.5
    difference = (f - g) / n
    return {
        "counts": table, "level": level, "difference": difference,
        "low": difference - spread(p - p_low, q_high - q),
        "high": difference + spread(p_high - p, q - q_low),
    }


def samples():
    """Two values, equal values, ordinary ones, heavy tails, far from zero, tiny.

    Their squares stay within a double: beyond that neither scipy nor we scale.
    """
    rng = np.random.default_rng(SEED + 2)
    yield from ([0.0, 1.0], [1.0, 1.0], [-1e150, 1e149], [1e-150, 3e-150], [5.0] * 7)
    yield from ([1.0, 2.0, 3.0, 4.0], [0.1, 0.2, 0.3], [-1.0, 1.0, -1.0, 1.0, 0.0])
    for n in (2, 3, 4, 5, 8, 13, 30, 100, 300):
        yield rng.normal(size=n).tolist()
        yield rng.standard_cauchy(size=n).tolist()
        yield (1e9 + rng.random(n)).tolist()
        yield (1e-12 * rng.random(n)).tolist()
        yield np.round(rng.random(n), 2).tolist()
        yield rng.integers(0, 2, size=n).astype(float).tolist()


def means():
    levels = itertools.cycle(LEVELS)
    return [mean(values, level) for values, level in zip(samples(), levels)]


def mean(values, level):
    """scipy's t quantile and standard error; the quantile from the upper tail,
    where nothing cancels at high levels."""
    centre, error = np.mean(values), stats.sem(values)
    reach = stats.t.isf((1 - level) / 2, len(values) - 1) * error
    ends = [float(end) for end in (centre, centre - reach, centre + reach)]
    return {
        "values": values, "level": level,
        "mean": ends[0], "low": ends[1], "high": ends[2],
    }


def p_values():
    rng = np.random.default_rng(SEED + 3)
    yield from ([0.0], [1.0], [0.5], [0.0, 0.0], [1.0, 1.0], [0.0, 1.0])
    yield from ([0.05] * 5, [0.01, 0.01, 0.04, 0.04, 0.04], [1e-300, 1e-12, 0.9])
    for n in (2, 3, 5, 8, 16, 50, 200):
        yield rng.random(n).tolist()
        yield (rng.random(n) ** 6).tolist()
        yield np.sort(rng.random(n)).tolist()
        yield np.sort(rng.random(n))[::-1].tolist()
        yield np.round(rng.random(n), 1).tolist()
        yield (10.0 ** -rng.integers(0, 300, size=n)).tolist()


def adjustments():
    return [adjusted(p) for p in p_values()]


def adjusted(p):
    by = lambda method: multipletests(p, method=method)[1].tolist()
    return {
        "p": p, "bonferroni": by("bonferroni"), "holm": by("holm"),
        "benjamini_hochberg": by("fdr_bh"),
    }

"""Permutation laws by counting every deal of a few rows, in whole numbers and fractions.

Imported by laws.py. Statistics that are compared are exact, so that no tie is
missed; only the G-test's has logarithms, and ties within 1e-9 are ties there.
"""

import math
from fractions import Fraction
from itertools import combinations, product



def counted_tables(rng, count=200):
    """Every table of the same totals, with the number of deals that give it."""
    cases = []
    while len(cases) < count:
        k = int(rng.integers(2, 5))
        a, b = rng.integers(0, 6, k).tolist(), rng.integers(0, 6, k).tolist()
        if sum(a) == 0 or sum(b) == 0 or sum(x + y > 0 for x, y in zip(a, b)) < 2:
            continue
        case = {"reference": a, "window": b, "of": math.comb(sum(a) + sum(b), sum(a))}
        totals = [x + y for x, y in zip(a, b)]
        tables = [t for t in product(*(range(c + 1) for c in totals)) if sum(t) == sum(a)]
        ways = [math.prod(math.comb(c, x) for c, x in zip(totals, t)) for t in tables]
        for name, statistic in (("pearson", pearson), ("g", g), ("total_variation", total_variation)):
            seen = statistic(a, totals)
            beyond = lambda t: statistic(t, totals) >= seen - (1e-9 if name == "g" else 0)
            case[name] = sum(w for t, w in zip(tables, ways) if beyond(t))
        own = math.prod(math.comb(c, x) for c, x in zip(totals, a))
        case["probability"] = sum(w for w in ways if w <= own)
        cases.append(case)
    return cases


def pearson(a, totals):
    n, rows = sum(a), sum(totals)
    expected = lambda c: Fraction(c * n, rows)
    return sum((x - expected(c)) ** 2 / c for x, c in zip(a, totals) if c)


def total_variation(a, totals):
    n, rows = sum(a), sum(totals)
    return sum(abs(Fraction(x, n) - Fraction(c - x, rows - n)) for x, c in zip(a, totals))


def g(a, totals):
    n, rows = sum(a), sum(totals)
    term = lambda x, c, r: x * math.log(x * rows / (c * r)) if x else 0.0
    return 2 * sum(term(x, c, n) + term(c - x, c, rows - n) for x, c in zip(a, totals) if c)


def counted_rows(rng, count=200):
    """Every deal of up to ten values: Mann–Whitney, Welch, Brown–Forsythe, energy."""
    cases = []
    while len(cases) < count:
        n, m = (int(x) for x in rng.integers(2, 6, 2))
        values = int(rng.integers(3, 12))
        x = rng.integers(0, values, n).tolist()
        y = (rng.integers(0, values, m) + rng.integers(0, 4)).tolist()
        if len({*x}) < 2 or len({*y}) < 2:
            continue
        case = {"reference": x, "window": y, "of": math.comb(n + m, n)}
        for name, statistic in (("u", u), ("t", t), ("energy", energy)):
            case[name] = beyond(x, y, statistic)
        # The values less their own side's median.
        case["f"] = beyond([v - median(x) for v in x], [v - median(y) for v in y], f)
        cases.append(case)
    return cases


def beyond(x, y, statistic):
    pooled, seen, over = [*x, *y], statistic(x, y), 0
    for deal in combinations(range(len(pooled)), len(x)):
        left = [pooled[at] for at in deal]
        right = [v for at, v in enumerate(pooled) if at not in deal]
        over += statistic(left, right) >= seen
    return over


def u(x, y):
    won = sum((b > a) + Fraction(b == a, 2) for a in x for b in y)
    return abs(won - Fraction(len(x) * len(y), 2))


def mean(x):
    return Fraction(sum(x)) / len(x)


def median(x):
    x = sorted(x)
    return Fraction(x[(len(x) - 1) // 2] + x[len(x) // 2]) / 2


def squares(x):
    centre = mean(x)
    return sum((v - centre) ** 2 for v in x)


def quotient(over, under):
    return Fraction(0) if over == 0 else math.inf if under == 0 else over / under


def t(x, y):
    error = squares(x) / ((len(x) - 1) * len(x)) + squares(y) / ((len(y) - 1) * len(y))
    return quotient((mean(y) - mean(x)) ** 2, error)


def f(x, y):
    x, y = ([abs(v - median(side)) for v in side] for side in (x, y))
    between = (mean(x) - mean(y)) ** 2 / (Fraction(1, len(x)) + Fraction(1, len(y)))
    return quotient(between * (len(x) + len(y) - 2), squares(x) + squares(y))


def energy(x, y):
    pairs = lambda a, b: Fraction(sum(abs(v - w) for v in a for w in b)) / (len(a) * len(b))
    return 2 * pairs(x, y) - pairs(x, x) - pairs(y, y)

"""Oracles of the distances over two profiles in mlops-drift: scipy, and fractions.

Writes mlops-drift/tests/data/{distances,divergences}.json. Run from anywhere:
`python scripts/oracles/drift_cells.py` (about ten seconds).
"""

import math
import warnings
from fractions import Fraction

import numpy as np
from scipy import stats
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr

from common import ROOT, versions, write_json

DATA = ROOT / "mlops-drift" / "tests" / "data"
SEED = 20261122


def groups(reference, window):
    """How many of either side have each value, in order of the values."""
    return [(reference.count(v), window.count(v)) for v in sorted({*reference, *window})]


def cramer_von_mises(reference, window):
    """nm/N² Σ rows · (d² before + d² after)/2, exactly; and what midranks add with ties."""
    n, m = len(reference), len(window)
    i = j = 0
    total = cubes = ties_n = ties_m = Fraction(0)
    for a, b in groups(reference, window):
        before = Fraction(i, n) - Fraction(j, m)
        i, j = i + a, j + b
        after = Fraction(i, n) - Fraction(j, m)
        total += (a + b) * (before**2 + after**2) / 2
        cubes += (after - before) ** 3
        ties_n += Fraction(a * (a * a - 1), 12)
        ties_m += Fraction(b * (b * b - 1), 12)
    rows, pairs = n + m, n * m
    statistic = Fraction(pairs, rows**2) * total
    midranks = Fraction(pairs * (m - n), 12 * rows**2) * (
        cubes - Fraction(m * m - n * n, pairs**2)
    ) + Fraction(n - m, pairs) * (ties_n / n - ties_m / m)
    return statistic, statistic + midranks


def anderson_darling(reference, window):
    """Scholz and Stephens' equation 6 for two samples, exactly."""
    n, m = len(reference), len(window)
    i = j = 0
    total = Fraction(0)
    for a, b in groups(reference, window)[:-1]:
        i, j = i + a, j + b
        dealt = i + j
        apart = Fraction(i, n) - Fraction(j, m)
        total += (a + b) * apart**2 / (dealt * (n + m - dealt))
    return n * m * total


def scipy_anderson(reference, window):
    """scipy's statistic, which is standardised: less its mean, over its deviation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(stats.anderson_ksamp([reference, window], variant="right").statistic)


def deviation(n, m):
    """Equation 4 of Scholz and Stephens, as the double sums that it is."""
    rows = n + m
    inverse = Fraction(1, n) + Fraction(1, m)
    h = sum(Fraction(1, i) for i in range(1, rows))
    g = sum(
        Fraction(1, (rows - i) * j) for i in range(1, rows - 1) for j in range(i + 1, rows)
    )
    a = (4 * g - 6) + (10 - 6 * g) * inverse
    b = (2 * g - 4) * 4 + 16 * h + (2 * g - 14 * h - 4) * inverse - 8 * h + 4 * g - 6
    c = (6 * h + 2 * g - 2) * 4 + (4 * h - 4 * g + 6) * 2 + (2 * h - 6) * inverse + 4 * h
    d = (2 * h + 6) * 4 - 8 * h
    variance = (a * rows**3 + b * rows**2 + c * rows + d) / (
        (rows - 1) * (rows - 2) * (rows - 3)
    )
    return math.sqrt(variance)


def close(ours, theirs, relative=1e-10):
    return abs(ours - theirs) <= relative * max(abs(theirs), 1e-3)


def answer(reference, window):
    """What scipy says, checked by fractions where both can."""
    n, m = len(reference), len(window)
    tied = len({*reference, *window}) < n + m
    own, midranks = cramer_von_mises(reference, window)
    anderson = anderson_darling(reference, window)
    case = {
        "ks": float(stats.ks_2samp(reference, window, method="asymp").statistic),
        "wasserstein": float(stats.wasserstein_distance(reference, window)),
        "cramer_von_mises": float(own),
        "anderson_darling": float(anderson),
    }
    if min(n, m) > 1:
        method = "exact" if max(n, m) <= 10 else "asymptotic"
        theirs = stats.cramervonmises_2samp(reference, window, method=method)
        assert close(float(midranks), theirs.statistic, 1e-8), (n, m, float(midranks), theirs)
        if not tied:
            assert own == midranks
            case["p"] = {"method": method, "cramer_von_mises": float(theirs.pvalue)}
        elif n == m:
            assert own == midranks
    if len({*reference, *window}) > 1 and n + m > 4:
        standardised = (float(anderson) - 1) / deviation(n, m)
        assert close(standardised, scipy_anderson(reference, window), 1e-8)
    return case


def sample(rng, kind, count):
    draw = {
        "normal": lambda: rng.normal(size=count),
        "cauchy": lambda: rng.standard_cauchy(size=count),
        "lognormal": lambda: np.exp(2 * rng.normal(size=count)),
        "whole": lambda: rng.integers(0, 6, count).astype(float),
        "many_zeros": lambda: rng.normal(size=count) * (rng.random(count) < 0.5),
        "constant": lambda: np.full(count, 7.0),
        "far_off": lambda: 1e9 + rng.normal(size=count),
    }[kind]()
    return [float(f"{x:.7g}") if kind != "far_off" else round(float(x), 3) for x in draw]


KINDS = ["normal", "cauchy", "lognormal", "whole", "many_zeros", "constant", "far_off"]


def cases(rng, count=240):
    made = []
    for at in range(count):
        kind = KINDS[at % len(KINDS)]
        sizes = np.exp(rng.uniform(0, np.log(60), 2))
        n, m = (max(1, int(round(x))) for x in sizes)
        if at % 12 == 0:
            m = n
        reference, window = sample(rng, kind, n), sample(rng, kind, m)
        shift = float(rng.choice([0, 0, 0.5, 3]))
        window = [round(x + shift, 6) for x in window]
        case = {"kind": kind, "reference": reference, "window": window}
        case.update(answer(reference, window))
        # NaN is no value: null here.
        for side in ("reference", "window"):
            for _ in range(int(rng.integers(0, 3))):
                case[side].insert(int(rng.integers(0, len(case[side]) + 1)), None)
        made.append(case)
    for reference, window in [([], [1.0]), ([1.0, 2.0], []), ([], []), ([None], [3.0])]:
        made.append({"kind": "empty", "reference": reference, "window": window})
    return made


def divergences(rng, count=200):
    """Over counts of cells, some empty on one side, some on both."""
    made = []
    while len(made) < count:
        k = int(rng.integers(1, 13))
        law = rng.dirichlet(np.full(k, rng.choice([0.2, 1, 5])))
        other = law if rng.random() < 0.4 else rng.dirichlet(np.ones(k))
        n, m = (int(x) for x in np.exp(rng.uniform(0, np.log(1e5), 2)))
        reference, window = rng.multinomial(n, law), rng.multinomial(m, other)
        p, q = reference / n, window / m
        held = (reference + window) > 0
        smooth_p = (reference[held] + 0.5) / (n + 0.5 * held.sum())
        smooth_q = (window[held] + 0.5) / (m + 0.5 * held.sum())
        made.append({
            "reference": reference.tolist(), "window": window.tolist(),
            "jensen_shannon": float(jensenshannon(p, q)) ** 2,
            "kullback_leibler": float(rel_entr(smooth_q, smooth_p).sum()),
            "hellinger": float(np.linalg.norm(np.sqrt(p) - np.sqrt(q)) ** 2 / 2),
            "largest_difference": float(np.abs(p - q).max()),
        })
    return made


def main():
    rng = np.random.default_rng(SEED)
    for name, make in [("distances", cases), ("divergences", divergences)]:
        made = make(rng)
        made_with = versions("numpy", "scipy")
        write_json(DATA / f"{name}.json", {"made_with": made_with, "seed": SEED, "cases": made})
        print(name, len(made), "cases")


if __name__ == "__main__":
    main()

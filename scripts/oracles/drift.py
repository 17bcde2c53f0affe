"""Oracles of the two-sample tests in mlops-drift: scipy's laws, and counting.

Writes mlops-drift/tests/data/{ks_exact,ks_ties,chi_square}.json. Run from
anywhere: `python scripts/oracles/drift.py` (about a minute).
"""

import math
import warnings
from fractions import Fraction
from itertools import combinations

import numpy as np
from scipy import stats
from scipy.stats.contingency import association

from common import ROOT, versions, write_json

DATA = ROOT / "mlops-drift" / "tests" / "data"
SEED = 20261121


def largest_gap(reference, window):
    """max |i*m - j*n| at the ends of groups of equal values: n*m times KS."""
    n, m = len(reference), len(window)
    gaps = (
        abs(sum(x <= v for x in reference) * m - sum(x <= v for x in window) * n)
        for v in {*reference, *window}
    )
    return max(gaps)


def share_outside(n, m, gap):
    """The share of lattice paths that reach |i*m - j*n| >= gap, as a fraction.

    Whole numbers throughout: what scipy says of tie-free data is checked by it.
    """
    inside = [0] * (m + 1)
    for i in range(n + 1):
        for j in range(m + 1):
            if abs(i * m - j * n) >= gap:
                inside[j] = 0
            elif i == 0 and j == 0:
                inside[j] = 1
            else:
                before = inside[j - 1] if j else 0
                inside[j] = (inside[j] if i else 0) + before
    return 1 - Fraction(inside[m], math.comb(n + m, n))


def ks_exact(rng, count=200):
    cases = []
    while len(cases) < count:
        n, m = (int(round(x)) for x in np.exp(rng.uniform(np.log(2), np.log(300), 2)))
        if n == m:
            continue
        shift, scale = rng.choice([0, 0, 0.2, 0.5, 1, 2]), rng.choice([1, 1, 2])
        reference, window = rng.normal(size=n), shift + scale * rng.normal(size=m)
        assert len({*reference, *window}) == n + m
        with warnings.catch_warnings():
            # scipy warns where it gives up on the exact law.
            warnings.simplefilter("error")
            answer = stats.ks_2samp(reference, window, method="exact")
        counted = float(share_outside(n, m, largest_gap(reference, window)))
        assert abs(answer.pvalue / counted - 1) < 1e-11, (n, m, answer, counted)
        pooled = sorted([(x, "r") for x in reference] + [(x, "w") for x in window])
        cases.append({
            "order": "".join(side for _, side in pooled),
            "statistic": float(answer.statistic),
            "p": float(answer.pvalue),
        })
    return cases


def ignoring_ties(reference, window):
    """What scipy says, for the record; nothing where it gives up."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return float(stats.ks_2samp(reference, window, method="exact").pvalue)
        except RuntimeWarning:
            return None


def ks_ties(rng, count=100):
    """Every way to deal the pooled values into samples of these sizes."""
    cases = []
    while len(cases) < count:
        n, m = (int(x) for x in rng.integers(2, 8, 2))
        values = int(rng.integers(2, 6))
        reference = rng.integers(0, values, n).tolist()
        window = np.minimum(rng.integers(0, values, m) + rng.integers(0, 2), values).tolist()
        pooled = reference + window
        seen = largest_gap(reference, window)
        if seen == 0 or len(set(pooled)) == n + m:
            continue
        over = every = 0
        for deal in combinations(range(n + m), n):
            left = [pooled[at] for at in deal]
            right = [x for at, x in enumerate(pooled) if at not in deal]
            every += 1
            over += largest_gap(left, right) >= seen
        cases.append({
            "reference": reference, "window": window, "statistic": seen / (n * m),
            "over": over, "of": every, "scipy_ignoring_ties": ignoring_ties(reference, window),
        })
    return cases


def chi_square(rng, count=100):
    """Homogeneity of two samples; cells that both lack are dropped for scipy."""
    cases = []
    while len(cases) < count:
        k = int(rng.integers(2, 31))
        law = rng.dirichlet(np.full(k, rng.choice([0.3, 1, 5])))
        other = law if rng.random() < 0.5 else rng.dirichlet(np.full(k, 1))
        mixed = (1 - (t := rng.choice([0.05, 0.2, 0.5]))) * law + t * other
        rows = [int(x) for x in np.exp(rng.uniform(np.log(20), np.log(1e5), 2))]
        table = np.array([rng.multinomial(rows[0], law), rng.multinomial(rows[1], mixed)])
        held = table[:, table.sum(axis=0) > 0]
        if held.shape[1] < 2:
            continue
        answer = stats.chi2_contingency(held, correction=False)
        if answer.pvalue < 1e-290:
            continue
        cases.append({
            "reference": table[0].tolist(), "window": table[1].tolist(),
            "statistic": float(answer.statistic), "degrees": int(answer.dof),
            "p": float(answer.pvalue),
            "cramers_v": float(association(held, method="cramer")),
        })
    return cases


def main():
    rng = np.random.default_rng(SEED)
    for name, make in [("ks_exact", ks_exact), ("ks_ties", ks_ties), ("chi_square", chi_square)]:
        cases = make(rng)
        made_with = versions("numpy", "scipy")
        write_json(DATA / f"{name}.json", {"made_with": made_with, "seed": SEED, "cases": cases})
        print(name, len(cases), "cases")


if __name__ == "__main__":
    main()

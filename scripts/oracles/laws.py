"""What scipy and statsmodels say of tests over counts and over rows.

Writes mlops-drift/tests/data/{tables,rows,equivalence,deals}.json; the last one is
counted, deal by deal, in laws_deals.py. Run from anywhere, with the versions of
requirements.txt: `python scripts/oracles/laws.py` (about two minutes).
"""

import math
import warnings

import numpy as np
from scipy import stats
from scipy.optimize import brentq
from scipy.stats.contingency import odds_ratio
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest
from statsmodels.stats.weightstats import ttost_ind

from common import ROOT, versions, write_json
from laws_deals import counted_rows, counted_tables

DATA = ROOT / "mlops-drift" / "tests" / "data"
SEED = 20261122


def sizes(rng, low, high):
    return [int(x) for x in np.exp(rng.uniform(np.log(low), np.log(high), 2))]


def homogeneity(rng, count=220):
    """Pearson's statistic, the G-test and Cramér's V with its noncentral interval."""
    cases = []
    while len(cases) < count:
        k = int(rng.integers(2, 31))
        law = rng.dirichlet(np.full(k, rng.choice([1, 5, 50])))
        other = rng.dirichlet(np.full(k, 1))
        mixed = (1 - (t := rng.choice([0, 0.02, 0.1, 0.5]))) * law + t * other
        n, m = sizes(rng, 20, 3e5)
        table = np.array([rng.multinomial(n, law), rng.multinomial(m, mixed)])
        held = table[:, table.sum(axis=0) > 0]
        if held.shape[1] < 2:
            continue
        pearson = stats.chi2_contingency(held, correction=False)
        g = stats.chi2_contingency(held, correction=False, lambda_="log-likelihood")
        if min(pearson.pvalue, g.pvalue) < 1e-290:
            continue
        low, high = v_interval(pearson.statistic, pearson.dof, n + m, 0.95)
        p, q = table[0] / n, table[1] / m
        cases.append({
            "reference": table[0].tolist(), "window": table[1].tolist(),
            "degrees": int(pearson.dof), "pearson": float(pearson.statistic),
            "pearson_p": float(pearson.pvalue), "g": float(g.statistic), "g_p": float(g.pvalue),
            "total_variation": float(abs(p - q).sum() / 2),
            "v": math.sqrt(pearson.statistic / (n + m)), "v_low": low, "v_high": high,
        })
    return cases


def v_interval(statistic, degrees, rows, level):
    """The V whose noncentral chi-square law leaves half of the error beyond the statistic."""
    tail = (1 - level) / 2

    def end(p):
        above = lambda nc: stats.ncx2.sf(statistic, degrees, nc) - p
        if stats.chi2.sf(statistic, degrees) >= p:
            return 0.0
        top = 2 * statistic + 10
        while above(top) < 0:
            top *= 2
        root = brentq(above, 1e-12, top, xtol=1e-12, rtol=1e-14, maxiter=500)
        return min(math.sqrt(root / rows), 1.0)

    return end(tail), end(1 - tail)


def fisher(rng, count=220):
    """fisher_exact, and the conditional odds ratio with its exact interval.

    Ours is the window's odds over the reference's: scipy's table has the window first.
    """
    cases = []
    while len(cases) < count:
        n, m = sizes(rng, 1, 2000 if len(cases) % 4 == 0 else 60)
        p, q = rng.uniform(0, 1, 2) if rng.random() < 0.6 else [rng.uniform(0, 1)] * 2
        a, c = int(rng.binomial(n, p)), int(rng.binomial(m, q))
        if a + c in (0, n + m):
            continue
        table = [[c, m - c], [a, n - a]]
        answer = odds_ratio(table, kind="conditional")
        ends = answer.confidence_interval(0.95)
        finite = lambda x: float(x) if math.isfinite(x) else None
        cases.append({
            "reference": [a, n - a], "window": [c, m - c],
            "p": float(stats.fisher_exact(table).pvalue), "odds_ratio": finite(answer.statistic),
            "low": float(ends.low), "high": finite(ends.high),
        })
    return cases


def two_proportions(rng, count=220):
    cases = []
    while len(cases) < count:
        n, m = sizes(rng, 5000, 1e8)
        p = rng.uniform(0.01, 0.99)
        q = p + rng.normal() * 3 * math.sqrt(p * (1 - p) * (1 / n + 1 / m))
        a, c = int(rng.binomial(n, p)), int(rng.binomial(m, min(max(q, 0), 1)))
        if not 0 < a + c < n + m:
            continue
        statistic, p = proportions_ztest([c, a], [m, n])
        low, high = confint_proportions_2indep(c, m, a, n, method="newcomb", alpha=0.05)
        cases.append({
            "reference": [a, n], "window": [c, m], "statistic": float(statistic),
            "p": float(p), "low": float(low), "high": float(high),
        })
    return cases


def draw(rng, law, size):
    """Three digits keep the file small."""
    values = {
        "normal": lambda: rng.normal(size=size), "cauchy": lambda: rng.standard_cauchy(size),
        "lognormal": lambda: np.exp(2 * rng.normal(size=size)),
        "uniform": lambda: rng.random(size), "counts": lambda: rng.poisson(3, size),
        "levels": lambda: rng.integers(0, 3, size), "half": lambda: rng.integers(0, 2, size),
        "constant": lambda: np.full(size, 7), "mostly": lambda: np.where(rng.random(size) < 0.9, 0, rng.normal(size=size)),
    }[law]()
    return [float(f"{x:.4g}") for x in values]


LAWS = ["normal", "cauchy", "lognormal", "uniform", "counts", "levels", "half", "constant", "mostly"]


def rows(rng, count=270):
    cases = []
    for at in range(count):
        law = LAWS[at % len(LAWS)]
        n, m = sizes(rng, 2, 25 if at % 3 else 160)
        shift, scale = rng.choice([0, 0, 0.3, 1, -0.5]), rng.choice([1, 1, 2])
        reference = draw(rng, law, n)
        window = [float(f"{shift + scale * x:.4g}") for x in draw(rng, law, m)]
        with warnings.catch_warnings():
            # Of constants scipy warns and gives NaN, which JSON has no word for: null.
            warnings.simplefilter("ignore")
            cases.append({"reference": reference, "window": window} | answers(reference, window))
    return cases


def answers(x, y):
    u = stats.mannwhitneyu(y, x, alternative="two-sided", method="asymptotic")
    untied = len({*x, *y}) == len(x) + len(y)
    exact = None
    if untied and len(x) * len(y) <= 2500:
        exact = stats.mannwhitneyu(y, x, alternative="two-sided", method="exact").pvalue
    t = stats.ttest_ind(y, x, equal_var=False)
    interval = t.confidence_interval(0.95)
    f = stats.levene(x, y, center="median")
    number = lambda value: float(value) if value is not None and math.isfinite(value) else None
    return {name: number(value) for name, value in {
        "u": u.statistic, "u_normal": u.pvalue, "u_exact": exact,
        "t": t.statistic, "t_degrees": t.df, "t_p": t.pvalue,
        "t_low": interval.low, "t_high": interval.high,
        "f": f.statistic, "f_p": f.pvalue, "energy": stats.energy_distance(x, y),
    }.items()}


def equivalence(rng, count=220):
    cases = []
    for at in range(count):
        n, m = sizes(rng, 2, 40)
        x = [float(f"{v:.4g}") for v in rng.normal(size=n)]
        y = [float(f"{v:.4g}") for v in rng.normal(rng.choice([0, 0.1, 0.5]), rng.choice([1, 2]), m)]
        margin, alpha = float(rng.choice([0.2, 0.5, 1, 2])), float(rng.choice([0.01, 0.05, 0.2]))
        p, *_ = ttost_ind(y, x, -margin, margin, usevar="unequal")
        rows_of = sizes(rng, 5, 5000)
        share = rng.uniform(0, 1)
        held = [int(rng.binomial(r, share)) for r in rows_of]
        low, high = confint_proportions_2indep(
            held[1], rows_of[1], held[0], rows_of[0], method="newcomb", alpha=2 * alpha
        )
        cases.append({
            "reference": x, "window": y, "margin": margin, "alpha": alpha, "p": float(p),
            "shares": [[held[0], rows_of[0]], [held[1], rows_of[1]]],
            "share_low": float(low), "share_high": float(high),
        })
    return cases


def main():
    rng = np.random.default_rng(SEED)
    made_with = {"made_with": versions("numpy", "scipy", "statsmodels"), "seed": SEED}
    files = {
        "tables": {"homogeneity": homogeneity(rng), "fisher": fisher(rng), "two_proportions": two_proportions(rng)},
        "rows": {"rows": rows(rng)},
        "equivalence": {"equivalence": equivalence(rng)},
        "deals": {"tables": counted_tables(rng), "rows": counted_rows(rng)},
    }
    for name, sections in files.items():
        path = DATA / f"{name}.json"
        write_json(path, made_with | sections)
        print(path.name, path.stat().st_size, {name: len(cases) for name, cases in sections.items()})


if __name__ == "__main__":
    main()

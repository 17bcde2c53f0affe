"""Oracles of the laws of Cramér–von Mises and Anderson–Darling for many rows.

Both are series that other people derived, added up here to forty digits.
Writes mlops-drift/tests/data/limit_laws.json. Run from anywhere:
`python scripts/oracles/drift_laws.py` (about a minute).
"""

from mpmath import besselk, binomial, exp, inf, mp, mpf, pi, quad, sqrt

from common import ROOT, versions, write_json

PATH = ROOT / "mlops-drift" / "tests" / "data" / "limit_laws.json"
MOST = 120


def cramer_von_mises(x):
    """1 - F(x), Anderson and Darling 1952, equation 4.35."""
    total = mpf(0)
    for j in range(MOST):
        odd = 4 * j + 1
        square = mpf(odd) ** 2 / (16 * x)
        term = binomial(mpf(-1) / 2, j) * (-1) ** j * sqrt(odd)
        total += term * exp(-square) * besselk(mpf(1) / 4, square)
    return 1 - total / (pi * sqrt(x))


def anderson_darling(x):
    """1 - F(x), Anderson and Darling 1954, as in Marsaglia and Marsaglia 2004."""
    total = mpf(0)
    for j in range(MOST):
        odd = 4 * j + 1
        rate = mpf(odd) ** 2 * pi**2 / (8 * x)
        if rate > 110:
            break
        area = quad(lambda w: exp(x / (8 * (w * w + 1)) - rate * w * w), [0, 1, 4, inf])
        total += binomial(mpf(-1) / 2, j) * odd * exp(-rate) * area
    return 1 - sqrt(2 * pi) / x * total


def main():
    mp.dps = 45
    laws = {
        "cramer_von_mises": (cramer_von_mises, "0.03 0.1 0.3 0.46136 1 2 4 8"),
        "anderson_darling": (anderson_darling, "0.2 0.5 1 2.4924 5 10 20"),
    }
    cases = []
    for law, (tail, points) in laws.items():
        for point in points.split():
            cases.append({"law": law, "x": float(point), "p": float(tail(mpf(float(point))))})
            print(cases[-1])
    write_json(PATH, {"made_with": versions("mpmath"), "cases": cases})


if __name__ == "__main__":
    main()

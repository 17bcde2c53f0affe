"""Oracles of why a column drifted (mlops-drift's `why`): scipy's distances of whole columns.

Writes mlops-drift/tests/data/why.json. Run from anywhere: `python scripts/oracles/drift_why.py`
(seconds). Parts of a distance have no function in scipy: what they add up to has.
"""

import numpy as np
from scipy import stats
from scipy.spatial.distance import jensenshannon

from common import ROOT, versions, write_json

SEED = 20261122


def lines(rng, count=200):
    """Numbers with and without ties, some equal in all, and their Wasserstein distance."""
    for at in range(count):
        n, m = (int(x) for x in rng.integers(1, 60, 2))
        shift, scale = rng.choice([0.0, 0.3, 2.0, -5.0]), rng.choice([1.0, 1.0, 0.2, 3.0])
        sides = [rng.normal(size=n), shift + scale * rng.normal(size=m)]
        if at % 3 == 1:
            sides = [np.round(side, 1) for side in sides]
        if at % 3 == 2:
            sides = [np.round(side * 1000) for side in sides]
        if at % 50 == 49:
            sides = [np.full(n, 7.0), np.full(m, 7.0)]
        reference, window = sides
        yield {
            "reference": reference.tolist(),
            "window": window.tolist(),
            "wasserstein": stats.wasserstein_distance(reference, window),
            "mean_change": float(window.mean() - reference.mean()),
        }


def tables(rng, count=200):
    """Counts of categories, their divergences and how far their shares are apart."""
    for at in range(count):
        cells = int(rng.integers(2, 30))
        law = rng.dirichlet(np.full(cells, rng.choice([0.3, 1.0, 5.0])))
        other = law if at % 2 else rng.dirichlet(np.full(cells, 1.0))
        # Values need 5 rows to be listed.
        before = rng.multinomial(int(rng.integers(50, 2000)), law) + 5
        now = rng.multinomial(int(rng.integers(5, 2000)), other)
        if now.sum() == 0:
            now[0] = 1
        p, q = before / before.sum(), now / now.sum()
        smooth = [(side + 0.5) / (side.sum() + 0.5 * cells) for side in (before, now)]
        # PSI is the sum of both relative entropies.
        index = stats.entropy(*smooth) + stats.entropy(*smooth[::-1])
        yield {
            "reference": before.tolist(),
            "window": now.tolist(),
            "jensen_shannon": float(jensenshannon(p, q) ** 2),
            "psi": float(index),
            "observed": float(np.abs(p - q).sum() / 2),
        }


def main():
    rng = np.random.default_rng(SEED)
    write_json(
        ROOT / "mlops-drift" / "tests" / "data" / "why.json",
        {
            "versions": versions("numpy", "scipy"),
            "lines": list(lines(rng)),
            "tables": list(tables(rng)),
        },
    )


if __name__ == "__main__":
    main()

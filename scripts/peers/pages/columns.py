"""Two tables of 200 columns, some of which moved: reference.parquet and window.parquet in a folder. Seeded."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

NUMBERS, CATEGORIES = 150, 50


def table(rng, rows, moved):
    columns = {}
    for at in range(NUMBERS):
        normal = rng.normal(size=rows) + (0.4 * moved if at % 5 == 0 else 0)
        values = (normal, np.exp(normal), np.round(5 * normal))[at % 3]
        columns[f"number {at}"] = pa.array(values, mask=rng.random(rows) < (0.06 * moved if at % 11 == 0 else 0))
    for at in range(CATEGORIES):
        shares = 1 / np.arange(1, 9 + 2 * (at % 10))
        if moved and at % 4 == 0:
            shares[0] *= 2
        words = rng.choice(len(shares), size=rows, p=shares / shares.sum())
        columns[f"category {at}"] = pa.array([f"value {word}" for word in words])
    return pa.table(columns)


folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(2026)
parquet.write_table(table(rng, 20_000, 0), folder / "reference.parquet")
parquet.write_table(table(rng, 5_000, 1), folder / "window.parquet")

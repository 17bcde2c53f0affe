"""The census rows of Massachusetts, a file for each year, columns as the judges take them.

Usage: windows.py FOLDER
"""

import sys
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

DATA = Path(__file__).resolve().parents[3] / "examples/data/employment_ma.parquet"
REFERENCE, YEARS = 2015, (2016, 2017, 2018)
NUMBERS = ["AGEP", "production_probability"]


def main(folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table = pq.read_table(DATA)
    for year in (REFERENCE, *YEARS):
        rows = table.filter(pc.equal(table["year"], year))
        pq.write_table(rows.drop_columns(["year"]), folder / f"{year}.parquet")


def judged(columns):
    """What is judged: everything but the time."""
    return [name for name in columns if name != "time"]


if __name__ == "__main__":
    main(*sys.argv[1:])

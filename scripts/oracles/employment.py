"""Make the census rows that the examples run on.

Takes the three Parquet files in the wheel of nannyml 0.13.1 from PyPI (checked
by its digest), joins label and rows, gives each row a time within its year and
writes one file that a small reader opens: Snappy, integers of 8 bits.

Run:    /work/venv/bin/python scripts/oracles/employment.py
Writes: examples/data/employment_ma.parquet, and the wheel under target/oracles
Made with Python 3.11, pandas 3.1.1, pyarrow 26.0.1; examples/data/README.md
says what the columns mean.
"""

import hashlib
import io
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from common import ROOT, sha256

OUT = ROOT / "examples/data/employment_ma.parquet"
CACHE = ROOT / "target/oracles"
WHEEL = CACHE / "nannyml-0.13.1-py3-none-any.whl"
WHEEL_SHA256 = "cf5f4a33489834ae6773cb1baa33a0f98c0a3ee6ed9b43049478b25ce22fe869"
INSIDE = "nannyml/datasets/data/employment_MA_{}.pq"
LARGEST = 4_000_000

FEATURES = [
    "AGEP", "SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL", "ANC",
    "NATIVITY", "DEAR", "DEYE", "DREM", "SEX", "RAC1P",
]
LABEL = "employed"
PRODUCTION = "production_probability"


def wheel():
    """The wheel, downloaded once, and only if it is the one that we know."""
    if not WHEEL.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "nannyml==0.13.1"]
        command += ["--no-deps", "--quiet", "--dest", str(CACHE)]
        subprocess.run(command, check=True)
    if sha256(WHEEL) != WHEEL_SHA256:
        raise SystemExit(f"{WHEEL} is not the wheel that this script was written for")
    return zipfile.ZipFile(WHEEL)


def source():
    """All rows of all years in the order of their id, with the label."""
    archive = wheel()
    read = lambda part: pd.read_parquet(io.BytesIO(archive.read(INSIDE.format(part))))
    later = read("analysis").merge(read("analysis_target"), on="id", validate="1:1")
    rows = pd.concat([read("reference"), later], ignore_index=True)
    rows[FEATURES] = rows[FEATURES].astype("float64").astype("int64")
    return rows.sort_values("id", ignore_index=True)


def with_time(rows):
    """Give each row a whole second of its year, all distances as equal as may be.

    The census files are sorted by kind of dwelling in 2017 and 2018: persons in
    group quarters stand last in the one and first in the other. Times in that
    order would invent a change of the population at New Year, so that the order
    within a year is that of SHA-256 over the id: random, and the same for ever.
    """
    draw = lambda id_: hashlib.sha256(b"employment_ma.1 %d" % id_).digest()
    rows = rows.assign(draw=[draw(id_) for id_ in rows["id"]])
    rows = rows.sort_values(["year", "draw"], ignore_index=True)
    rank = rows.groupby("year").cumcount().to_numpy()
    count = rows.groupby("year")["id"].transform("size").to_numpy()
    start = pd.to_datetime(rows["year"].astype(str) + "-01-01", utc=True)
    end = pd.to_datetime((rows["year"] + 1).astype(str) + "-01-01", utc=True)
    seconds = (end - start).dt.total_seconds().to_numpy().astype("int64")
    start = start.dt.as_unit("us").astype("int64").to_numpy()
    return rows.assign(time=start + rank * seconds // count * 1_000_000)


def table(rows):
    columns = {
        "time": pa.array(rows["time"].to_numpy(), pa.timestamp("us", tz="UTC")),
        "year": pa.array(rows["year"].to_numpy(), pa.int16()),
    }
    for name in FEATURES:
        columns[name] = pa.array(rows[name].to_numpy(), pa.int8())
    columns[LABEL] = pa.array(rows[LABEL].to_numpy() == 1)
    probability = rows["predicted_probability"].to_numpy().astype(np.float32)
    # Rounding to float32 leaves every answer of the production model as it was.
    assert ((probability >= 0.5) == (rows["prediction"] == 1)).all()
    columns[PRODUCTION] = pa.array(probability)
    fields = [pa.field(n, c.type, nullable=False) for n, c in columns.items()]
    return pa.Table.from_arrays(list(columns.values()), schema=pa.schema(fields))


def write(made):
    pq.write_table(
        made, OUT, compression="snappy", row_group_size=len(made),
        use_dictionary=FEATURES + ["year", PRODUCTION],
        # Even steps of time are almost nothing as differences.
        column_encoding={"time": "DELTA_BINARY_PACKED"},
        dictionary_pagesize_limit=2 << 20,
    )
    size = OUT.stat().st_size
    assert size <= LARGEST, f"{OUT} has {size} bytes"
    assert pq.read_table(OUT).equals(made)


def report(made):
    frame = made.to_pandas()
    right = (frame[PRODUCTION] >= 0.5) == frame[LABEL]
    groups = frame.assign(right=right).groupby("year")
    print(groups.agg(
        rows=(LABEL, "size"), employed=(LABEL, "mean"), right=("right", "mean"),
        first=("time", "min"), last=("time", "max"),
    ).to_string())
    print(f"{len(made)} rows, {OUT.stat().st_size} bytes, sha256 {sha256(OUT)}")


def main():
    OUT.parent.mkdir(parents=True, exist_ok=True)
    made = table(with_time(source()))
    write(made)
    report(made)


if __name__ == "__main__":
    main()

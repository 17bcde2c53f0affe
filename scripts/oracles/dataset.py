"""What other people's software says about the data that mlops-core reads, splits and transforms.

Writes mlops-core/tests/data/dataset: Parquet files as pyarrow and pandas write them, and oracle.json.
Made with Python 3.11, pyarrow 26.0.1, pandas 3.1.1, scikit-learn 1.9.1:
    pip install pyarrow pandas scikit-learn && python scripts/oracles/dataset.py
"""

import datetime as dt
import hashlib
import json
import math
import random
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

OUT = Path(__file__).parents[2] / "mlops-core/tests/data/dataset"


def foreign_files():
    """One column of each form that a file may bring."""
    utc = dt.timezone.utc
    times = [dt.datetime(2018, 1, 1, 12, 30, 0, 250_000, tzinfo=utc), None, dt.datetime(1969, 12, 31, tzinfo=utc)]
    table = pa.table({
        "bool": pa.array([True, None, False]),
        "i8": pa.array([-128, None, 127], pa.int8()),
        "u64": pa.array([0, None, 2**64 - 1], pa.uint64()),
        "f16": pa.array([np.float16(0.5), None, np.float16(-2.0)], pa.float16()),
        "f32": pa.array([0.1, None, math.inf], pa.float32()),
        "f64": pa.array([0.1, None, math.nan], pa.float64()),
        "text": pa.array(["MA", None, ""]),
        "large": pa.array(["ä", None, "b"], pa.large_string()),
        "view": pa.array(["x", None, "a text of more than twelve bytes"], pa.string_view()),
        "coded": pa.array(["hi", None, "lo"]).dictionary_encode(),
        "nothing": pa.nulls(3),
        "bytes": pa.array([b"\x00\xff", None, b""], pa.binary()),
        "date": pa.array([dt.date(2018, 1, 1), None, dt.date(1969, 12, 31)]),
        "seconds": pa.array([1_514_764_800, None, -1], pa.timestamp("s")),
        "micros": pa.array(times, pa.timestamp("us", tz="Europe/Berlin")),
        "nanos": pa.array([1, None, -1], pa.timestamp("ns", tz="UTC")),
    })
    pq.write_table(table, OUT / "foreign.parquet", compression="snappy")
    pq.write_table(table.select(["i8"]), OUT / "zstd.parquet", compression="zstd")
    nested = pa.table({"plain": [1, 2], "list": pa.array([[1], [2, 3]])})
    pq.write_table(nested, OUT / "nested.parquet")
    frame = pd.DataFrame({"code": [1, None, 3], "state": pd.Categorical(["MA", "NH", None])})
    frame.to_parquet(OUT / "pandas.parquet")


def digest(columns):
    """The digest as the documentation of mlops-core spells it, by hashlib."""
    rows = len(columns[0][2])
    length = lambda count: struct.pack("<Q", count)
    parts = [b"mlops.dataset.1", length(rows), length(len(columns))]
    for name, kind, values in columns:
        body, nulls = b"", b""
        for position, value in enumerate(values):
            if value is None:
                nulls += length(position)
            elif isinstance(value, bool):
                body += bytes([value])
            elif isinstance(value, int):
                body += struct.pack("<Q", value % 2**64)
            elif isinstance(value, float):
                body += struct.pack("<d", value) if value == value else struct.pack("<Q", 0x7FF8 << 48)
            else:
                text = value.encode()
                body += length(len(text)) + text
        for text in (name.encode(), kind.encode()):
            parts += [length(len(text)), text]
        parts += [hashlib.sha256(body).digest(), hashlib.sha256(nulls).digest()]
    return "sha256:" + hashlib.sha256(b"".join(parts)).hexdigest()


def digests():
    columns = [
        ("flag", "bool", [True, None, False, True]),
        ("count", "int64", [-1, 2**62, None, 0]),
        ("share", "float64", [0.1, math.nan, -0.0, None]),
        ("state", "str", ["MA", "", None, "ä"]),
    ]
    return {"digest": digest(columns)}


def draws():
    """Where entities go: the top 53 bits of a SHA-256."""
    seed = 7
    draw = lambda value: (int.from_bytes(
        hashlib.sha256(b"mlops.entity.1" + struct.pack("<Q", seed) + value).digest()[:8], "big") >> 11) / 2**53
    text = lambda value: struct.pack("<Q", len(value.encode())) + value.encode()
    side = lambda at: 0 if at < 0.5 else 1 if at < 0.5 + 0.2 else 2
    numbers = list(range(-20, 60))
    texts = [f"customer {n}" for n in range(80)]
    return {
        "seed": seed, "shares": [0.5, 0.2, 0.3],
        "numbers": numbers, "number_sides": [side(draw(struct.pack("<Q", n % 2**64))) for n in numbers],
        "texts": texts, "text_sides": [side(draw(text(t))) for t in texts],
    }


def transforms():
    """scikit-learn's answers; fitted on the first 300 rows, applied to all."""
    random.seed(20180101)
    rows, train = 400, 300
    age = [None if random.random() < 0.1 else random.randint(16, 95) for _ in range(rows)]
    wage = [None if random.random() < 0.2 else round(random.lognormvariate(10, 1.2), 2) for _ in range(rows)]
    weights = {"MA": 50, "NH": 25, "VT": 12, "RI": 6, "CT": 3}
    state = random.choices(list(weights), list(weights.values()), k=rows)
    state[350:354] = ["AK", "HI", "", "other"]
    code = random.choices([7, -3, 100, 12], [8, 5, 3, 2], k=rows)
    code[360] = 999
    column = lambda values: np.array([math.nan if v is None else v for v in values], float).reshape(-1, 1)
    ages, wages = column(age), column(wage)
    states, codes = np.array(state, object).reshape(-1, 1), column(code)

    def run(model, values):
        return model.fit(values[:train]).transform(values)

    clipped = np.clip(wages, 1000, 60000)
    one_hot = OneHotEncoder(max_categories=4, handle_unknown="infrequent_if_exist", sparse_output=False)
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=4)
    answers = {
        "standard": run(StandardScaler(), ages),
        "mean": run(SimpleImputer(strategy="mean"), wages),
        "median": run(SimpleImputer(strategy="median"), wages),
        "most_frequent": run(SimpleImputer(strategy="most_frequent"), ages),
        "constant": run(SimpleImputer(strategy="constant", fill_value=-7.5), ages),
        "clipped_standard": run(StandardScaler(), clipped),
        "one_hot": run(one_hot, states),
        "ordinal": run(ordinal, codes),
    }
    listed = lambda matrix: [[None if math.isnan(v) else v for v in row] for row in np.asarray(matrix, float)]
    kept = [c for c in one_hot.categories_[0] if c not in one_hot.infrequent_categories_[0]]
    return {
        "train": train, "age": age, "wage": wage, "state": state, "code": code,
        "one_hot_categories": kept, "answers": {name: listed(m) for name, m in answers.items()},
    }


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    foreign_files()
    oracle = {"digests": digests(), "draws": draws(), "transforms": transforms()}
    (OUT / "oracle.json").write_text(json.dumps(oracle))


main()

"""The example data that NannyML's package carries, and those that Evidently's first reports were made of, as a reference
and a window each, and which columns are categories.

Usage: windows.py FOLDER    makes reference.parquet, window.parquet and its halves in FOLDER/NAME, and FOLDER/categories.json
"""

import json
import sys
from pathlib import Path

import pandas as pd
from nannyml import datasets
from sklearn.datasets import load_iris

NANNYML = {
    "car_loan": datasets.load_synthetic_car_loan_dataset,
    "car_loan_data_quality": datasets.load_synthetic_car_loan_data_quality_dataset,
    "car_price": datasets.load_synthetic_car_price_dataset,
    "credit_cards": datasets.load_synthetic_multiclass_classification_dataset,
    "work_from_home": datasets.load_synthetic_binary_classification_dataset,
    "california_housing": datasets.load_modified_california_housing_dataset,
    "titanic": datasets.load_titanic_dataset,
}
# What names a row, says when it came, or is text that no row shares with another.
NOT_JUDGED = {"id", "timestamp", "period", "PassengerId", "Name", "Ticket", "Cabin", "boat", "body", "home.dest"}


def main(folder):
    folder, categories = Path(folder), {}
    for name, (reference, window) in examples():
        names = [column for column in reference if column in window and column not in NOT_JUDGED]
        own = [column for column in names if is_category(name, reference[column])]
        categories[name] = own
        (folder / name).mkdir(parents=True, exist_ok=True)
        half = len(window) // 2
        sides = {"reference": reference, "window": window, "first": window[:half], "second": window[half:]}
        for side, table in sides.items():
            table = table[names].copy()
            for column in own:
                table[column] = table[column].map(str, na_action="ignore").astype("object")
            table.to_parquet(folder / name / f"{side}.parquet")
    (folder / "categories.json").write_text(json.dumps(categories))


def examples():
    for name, load in NANNYML.items():
        yield name, load()[:2]
    iris = load_iris(as_frame=True).data
    yield "iris", (iris[:75], iris[75:])


def is_category(example, values):
    # A class that was predicted is one; a price is not.
    return not pd.api.types.is_numeric_dtype(values) or values.dtype == bool or (
        values.name == "y_pred" and example != "car_price")


if __name__ == "__main__":
    main(*sys.argv[1:])

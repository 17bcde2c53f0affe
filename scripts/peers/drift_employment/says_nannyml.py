"""How many months of each year NannyML's default univariate calculator alerts for, beside 2015, as JSON; of 2015 too, in
which nothing changes.

Usage: says_nannyml.py FOLDER
"""

import json
import os
import sys
import warnings
from pathlib import Path

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml as nml
import pandas as pd

from windows import NUMBERS, REFERENCE, YEARS, judged

warnings.filterwarnings("ignore")


def main(folder):
    folder = Path(folder)
    tables = {year: pd.read_parquet(folder / f"{year}.parquet") for year in (REFERENCE, *YEARS)}
    for table in tables.values():
        # It takes no time zones.
        table["time"] = table["time"].dt.tz_localize(None)
    names = judged(tables[REFERENCE].columns)
    categories = [name for name in names if name not in NUMBERS]
    calculator = nml.UnivariateDriftCalculator(column_names=names, treat_as_categorical=categories,
                                               timestamp_column_name="time", chunk_period="M")
    calculator.fit(tables[REFERENCE])
    answers = calculator.calculate(pd.concat([tables[year] for year in YEARS], ignore_index=True)).to_df()
    year = pd.to_datetime(answers[("chunk", "chunk", "start_date")]).dt.year
    said = {}
    for of in (REFERENCE, *YEARS):
        rows = answers[year == of]
        said[of] = {name: [int(rows[(name, "jensen_shannon", "alert")].sum()), len(rows),
                           float(rows[(name, "jensen_shannon", "value")].mean()),
                           float(rows[(name, "jensen_shannon", "upper_threshold")].iloc[0])] for name in names}
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])

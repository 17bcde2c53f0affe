"""What Evidently's DataDriftPreset says of each year beside 2015, as JSON.

Usage: says_evidently.py FOLDER
"""

import json
import sys
import warnings
from pathlib import Path

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset

from windows import NUMBERS, REFERENCE, YEARS, judged

warnings.filterwarnings("ignore")


def main(folder):
    folder = Path(folder)
    tables = {year: pd.read_parquet(folder / f"{year}.parquet") for year in (REFERENCE, *YEARS)}
    names = judged(tables[REFERENCE].columns)
    categories = [name for name in names if name not in NUMBERS]
    definition = DataDefinition(numerical_columns=NUMBERS, categorical_columns=categories)
    said = {}
    for year in YEARS:
        window, reference = (Dataset.from_pandas(tables[of][names], data_definition=definition)
                             for of in (year, REFERENCE))
        report = Report([DataDriftPreset()]).run(window, reference).dict()
        said[year] = {m["config"]["column"]: [m["config"]["method"], m["value"], m["config"]["threshold"]]
                      for m in report["metrics"] if "column" in m["config"]}
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""In how many of its ten chunks NannyML's default univariate calculator alerts for each column of each example, as JSON; in
those of the reference, too, in which nothing changes.

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

warnings.filterwarnings("ignore")


def main(folder):
    folder, said = Path(folder), {}
    for example, categories in json.loads((folder / "categories.json").read_text()).items():
        reference, window = (pd.read_parquet(folder / example / f"{side}.parquet") for side in ("reference", "window"))
        names = list(reference)
        calculator = nml.UnivariateDriftCalculator(column_names=names, treat_as_categorical=categories)
        calculator.fit(reference)
        answers = calculator.calculate(window).to_df()
        period = answers[("chunk", "chunk", "period")]
        alerts = {of: answers[period == of] for of in ("analysis", "reference")}
        said[example] = {name: [int(alerts[of][(name, "jensen_shannon", "alert")].sum()) for of in alerts]
                         + [len(alerts["analysis"])] for name in names}
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What Evidently's DataDriftPreset says of each example, as JSON: by column its method, its score and its threshold.

Usage: says_evidently.py FOLDER
"""

import json
import sys
import warnings
from pathlib import Path

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset

warnings.filterwarnings("ignore")


def main(folder):
    folder, said = Path(folder), {}
    for example, categories in json.loads((folder / "categories.json").read_text()).items():
        sides = [pd.read_parquet(folder / example / f"{side}.parquet") for side in ("window", "reference")]
        numbers = [name for name in sides[0] if name not in categories]
        definition = DataDefinition(numerical_columns=numbers, categorical_columns=categories)
        window, reference = (Dataset.from_pandas(side, data_definition=definition) for side in sides)
        report = Report([DataDriftPreset()]).run(window, reference).dict()
        said[example] = {m["config"]["column"]: [m["config"]["method"], m["value"], m["config"]["threshold"]]
                         for m in report["metrics"] if "column" in m["config"]}
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])

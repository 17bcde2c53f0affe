"""What ours, Evidently and NannyML say of the same windows, side by side, as Markdown.

Usage: table.py FOLDER    with ours-YEAR.json (`mlops drift report … --json`), evidently.json and nannyml.json in it
"""

import json
import sys
from pathlib import Path

from windows import YEARS


def main(folder):
    folder = Path(folder)
    load = lambda name: json.loads((folder / name).read_text())
    evidently, nannyml = load("evidently.json"), load("nannyml.json")
    for year in YEARS:
        ours = load(f"ours-{year}.json")
        print(f"## {year} beside 2015: ours says {ours['verdict']}\n")
        print("| column | ours | total variation, 95% | adjusted p | where most of it is: share in 2015 → then | Evidently: method, score of threshold | "
              "NannyML: months with an alert (of 2015's own) |")
        print("|---|---|---|---|---|---|---|")
        for column in sorted(ours["columns"], key=lambda column: -column["effect"]):
            name, interval = column["name"], column["interval"] or {"low": 0, "high": 0}
            effect = f"{column['effect']:.4f} [{interval['low']:.4f}, {interval['high']:.4f}]"
            method, score, threshold = evidently[str(year)][name]
            alerts, months, *_ = nannyml[str(year)][name]
            own = nannyml["2015"][name][0]
            drifted = "**drifted**" if score >= threshold else "no drift"
            print(f"| {name} | {column['verdict']} | {effect} | {column['p_adjusted']:.1e} | {why(column)} | "
                  f"{drifted}: {method} {score:.4f} of {threshold} | {alerts} of {months} ({own}) |")
        print()


def why(column):
    largest = sorted(column["contributions"], key=lambda cell: -abs(cell["value"]))[:2]
    return "; ".join(f"`{cell['name']}` {cell['reference']:.2%} → {cell['window']:.2%}" for cell in largest)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What ours, Evidently and NannyML say of the same examples, side by side, as Markdown.

Usage: table.py FOLDER    with NAME/ours-WINDOW.json (`mlops drift report … --json`), evidently.json and nannyml.json in it
"""

import json
import sys
from pathlib import Path


def main(folder):
    folder = Path(folder)
    load = lambda name: json.loads((folder / name).read_text())
    evidently, nannyml = load("evidently.json"), load("nannyml.json")
    for example in evidently:
        ours, *halves = (load(f"{example}/ours-{window}.json") for window in ("window", "first", "second"))
        halves = [{column["name"]: column["verdict"] for column in half["columns"]} for half in halves]
        print(f"## {example}: ours says {ours['verdict']}\n")
        print("| column | ours (of each half) | effect, 95% | adjusted p | most of it: share before → now | "
              "Evidently: method, score of threshold | NannyML: chunks of ten with an alert (of the reference's own) |")
        print("|---|---|---|---|---|---|---|")
        for column in sorted(ours["columns"], key=lambda column: -column["effect"]):
            name, interval = column["name"], column["interval"] or {"low": 0, "high": 0}
            effect = f"{column['effect']:.4f} [{interval['low']:.4f}, {interval['high']:.4f}]"
            p = "" if column["p_adjusted"] is None else f"{column['p_adjusted']:.1e}"
            method, score, threshold = evidently[example][name]
            alerts, own, chunks = nannyml[example][name]
            drifted = "**drifted**" if has_drifted(method, score, threshold) else "no drift"
            verdict = f"{column['verdict']} ({', '.join(half[name] for half in halves)})"
            print(f"| {name} | {verdict} | {effect} | {p} | {why(column)} | "
                  f"{drifted}: {method} {score:.4f} of {threshold} | {alerts} of {chunks} ({own}) |")
        print()


def has_drifted(method, score, threshold):
    """A probability is below its threshold, a distance above."""
    return score < threshold if "p_value" in method else score >= threshold


def why(column):
    largest = sorted(column["contributions"], key=lambda cell: -abs(cell["value"]))[:2]
    return "; ".join(f"`{cell['name']}` {cell['reference']:.2%} → {cell['window']:.2%}" for cell in largest)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What the judges of the power study share: reading its files, and writing what they say.

A judge writes one line of JSON a window, in order: {"column": score, …}, larger for more drift; what it says is no
verdict yet, for table.py sets every system's thresholds. A score that is missing (null) is one that the system did
not give; one that is infinite ("inf") is an error that it raised, which is counted as an alarm, in its favour.
"""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd


class Study:
    def __init__(self, folder):
        self.folder = Path(folder)
        about = json.loads((self.folder / "study.json").read_text())
        self.blocks, self.numbers, self.categories = about["blocks"], about["numbers"], list(about["categories"])
        self.columns = self.numbers + self.categories
        self.rows = about["window"]

    def table(self, path):
        """Numbers as float64; categories as text, as they come in files."""
        values = np.fromfile(path).reshape(len(self.columns), -1)
        table = {}
        for name, column in zip(self.columns, values):
            if name in self.categories:
                column = np.char.add(name, column.astype(int).astype(str)).astype(object)
            table[name] = column
        return pd.DataFrame(table)

    def each_block(self):
        """A reference and its windows as one table."""
        for number in range(self.blocks):
            yield (self.table(self.folder / f"{number}.reference.f64"),
                   self.table(self.folder / f"{number}.windows.f64"))

    def each_window(self, windows):
        for at in range(0, len(windows), self.rows):
            yield windows.iloc[at:at + self.rows].reset_index(drop=True)

    def judge(self, out, start):
        """`start(reference)` answers a function of a window, which answers its scores."""
        with open(out, "w") as file:
            for reference, windows in self.each_block():
                scores = start(reference)
                for window in self.each_window(windows):
                    print(line(scores(window)), file=file)


def line(scores):
    return json.dumps({name: clean(score) for name, score in scores.items()})


def clean(score):
    if score is None or math.isnan(score):
        return None
    return "inf" if math.isinf(score) else float(score)


def or_error(compute):
    """What it answers; an error is an alarm."""
    try:
        return compute()
    except Exception:  # noqa: BLE001: whatever a system raises
        return math.inf


def of_p(p):
    """A score of a probability; 0 is the smallest of floats, as it was computed."""
    return -math.log10(max(float(p), 5e-324))

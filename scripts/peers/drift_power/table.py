"""How many of twenty kinds of shift each system finds, all at the same true rate of false alarms.

Usage: python table.py FOLDER [LINE …]     prints Markdown; each LINE is printed below its title (versions, dates)

What a system answers is one number a column. They are made comparable by its own windows without drift: a column's
score becomes the share of half of those windows that score less there, and the window's score is the largest of its
columns'. The threshold is the value that only so many of the other half exceed: so every system, whatever its own thresholds promise, has the same true rate of false alarms,
spread over its columns as evenly as can be, which is better than any of them does by itself. An error is an alarm.

Our detectors with verdicts of their own are not calibrated: they stand as they decide, at the rate that they have.
"""

import json
import sys
from pathlib import Path

import numpy as np

# One window of 1,000 rows a day, and what a monitor promises: one false alarm a year (and an hour's worth at the start).
DAILY = (25 / 24) / 365
EVEN = 0.05
PEERS = {"evidently": "Evidently", "nannyml": "NannyML", "alibi": "alibi-detect", "whylogs": "whylogs"}

ABOUT = """
A column `+ …` has what the system can be asked besides its default: NannyML's calculators of reconstruction error, of
missing and of unseen values; whylogs' counts of nulls, compared by us. `Monitor, promise set for it` promises 300 false
alarms a year instead of one, with which a day without drift in twenty may be one; as a promise is a bound, it raises
fewer, and finds what it finds at that lower rate. Of 1,000 windows a share strays by 1.4 points at 5% and by a third of a point at
0.3%; shares of found ones are of 24 windows each. A rotation of two columns leaves each of them as it was: of what is
here only the reconstruction error looks at columns together."""


class System:
    def __init__(self, folder, name, windows):
        lines = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        assert len(lines) == len(windows), (name, len(lines), len(windows))
        columns = sorted({key for line in lines for key in line} - {"verdict"})
        number = lambda value: np.nan if value is None else float(value)
        self.columns = columns
        self.scores = np.array([[number(line.get(c)) for c in columns] for line in lines])
        self.verdict = np.array([line.get("verdict", np.nan) for line in lines])
        self.null = np.array([kind == "none" for kind, _ in windows])

    def found(self, rate, only=None):
        """Which windows are alarms when that share of those without drift is; by some of the columns only."""
        chosen = [at for at, name in enumerate(self.columns) if only is None or only(name)]
        # Every other window without drift makes the columns comparable, the others set the threshold: what is best of all
        # windows in some column would else have ranked itself.
        turn = np.cumsum(self.null) % 2 == 0
        ranked = np.column_stack([rank(self.scores[self.null & turn, at], self.scores[:, at]) for at in chosen])
        window = ranked.max(axis=1)
        null = np.sort(window[self.null & ~turn])[::-1]
        # In its favour: as many false alarms as are just over the rate.
        return window > null[int(np.ceil(rate * len(null)))]


def rank(null, scores):
    """How many windows without drift score less, as a share, and how far beyond all of them a score is: a larger
    score never ranks lower. A column that never varies without drift (no nulls, say) jumps at the first change."""
    null = np.sort(null[~np.isnan(null)])
    if not len(null):
        return np.where(np.isnan(scores), 0, np.inf)
    scores = np.where(np.isnan(scores), null[0], scores)
    below = np.searchsorted(null, scores, side="left") / len(null)
    top = null[-1]
    with np.errstate(invalid="ignore", over="ignore"):
        beyond = np.where(scores > top, (scores - top) / max(top - np.median(null), 1e-12), 0)
    return below + beyond


def main(folder, *lines):
    folder = Path(folder)
    about = json.loads((folder / "study.json").read_text())
    windows = [tuple(w) for block in range(about["blocks"]) for w in json.loads((folder / f"{block}.json").read_text())]
    kinds = list(dict.fromkeys(kind for kind, _ in windows if kind != "none"))
    systems = {name: System(folder, name, windows) for name in [*PEERS, "profile", "monitor", "monitor_even"]
               if (folder / f"{name}.jsonl").exists()}
    nulls = int(systems[next(iter(systems))].null.sum())
    each = sum(w == windows[-1] for w in windows)
    print("# power\n")
    print(*lines, sep="\n")
    print(ABOUT)
    print(f"\n{about['blocks']} references of {about['reference']} rows; windows of {about['window']} rows, "
          f"{len(about['numbers'])} columns of numbers and {len(about['categories'])} of categories: {nulls} windows "
          f"without drift, {each} of each of three sizes of each kind.\n")
    plain = lambda name: " " not in name and name != "reconstruction"

    def peers(rate):
        for name, title in PEERS.items():
            if name in systems:
                yield title, systems[name].found(rate, plain)
        for name, what in (("nannyml", "+ reconstruction, missing, unseen"), ("whylogs", "+ nulls")):
            if name in systems:
                yield f"{PEERS[name]} {what}", systems[name].found(rate)

    even = {"ours: ProfileDetector's probability": systems["profile"].found(EVEN)}
    if "monitor_even" in systems:
        even = {"ours: Monitor, promise set for it": systems["monitor_even"].verdict >= 1} | even
    report("The same true rate of false alarms for all: 1 window in 20", even | dict(peers(EVEN)), windows, kinds)
    daily = {}
    if "monitor" in systems:
        daily["ours: Monitor as it is"] = systems["monitor"].verdict >= 1
    daily["ours: ProfileDetector warns"] = systems["profile"].verdict >= 1
    daily["ours: ProfileDetector drifted"] = systems["profile"].verdict >= 2
    report("As ours decide by default, beside peers at the rate that a default Monitor promises for a table a day: "
           f"{DAILY:.2%} of the windows", daily | dict(peers(DAILY)), windows, kinds)


def report(title, found, windows, kinds):
    print(f"## {title}\n")
    print("Shares of the windows found, at three sizes of each kind.\n")
    print("| shift | sizes | " + " | ".join(found) + " |")
    print("|---|---|" + "---|" * len(found))
    totals = {name: 0.0 for name in found}
    which = lambda kind, size: np.array([w == (kind, size) for w in windows])
    for kind in kinds:
        sizes = list(dict.fromkeys(size for k, size in windows if k == kind))
        cells = []
        for name, alarms in found.items():
            shares = [alarms[which(kind, size)].mean() for size in sizes]
            totals[name] += sum(shares) / len(shares)
            cells.append(" ".join(f"{share:.2f}" for share in shares))
        print(f"| {kind} | {', '.join(map(str, sizes))} | " + " | ".join(cells) + " |")
    print("| **kinds found, of 20** | | " + " | ".join(f"**{total:.2f}**" for total in totals.values()) + " |")
    null = which("none", 0)
    # Of the windows that set thresholds; see System.found.
    null &= np.cumsum(null) % 2 == 1
    print("| false alarms | | " + " | ".join(f"{alarms[null].mean():.2%}" for alarms in found.values()) + " |\n")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])

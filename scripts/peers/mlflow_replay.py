"""Asks a server what a real MLflow was asked, and prints each answer that differs.

Run:  python3 scripts/peers/mlflow_replay.py URL requests|filters [--cases PATTERN] [--json FILE]
      URL of an empty server (each recording needs one); "real" starts a real `mlflow server`.
Ends with 1 if an answer differs that mlflow_differences.toml does not allow, or if a difference
that it lists never came: what was repaired must leave the list.
"""

import argparse
import fnmatch
import json
import sys
import tomllib
from pathlib import Path

from mlflow_server import real_server
from mlflow_wire import Session, searched

DATA = Path(__file__).resolve().parents[2] / "mlops-registry/tests/data"
RECORDINGS = {"requests": DATA / "mlflow_replay.json", "filters": DATA / "mlflow_filters.json"}
WIDTH = 110


def differences(wanted, given, at="answer"):
    """The places where two normalised answers differ: (place, wanted, given)."""
    if isinstance(wanted, dict) and isinstance(given, dict):
        for key in [*wanted, *(k for k in given if k not in wanted)]:
            if key not in given:
                yield f"{at}.{key}", wanted[key], "nothing"
            elif key not in wanted:
                yield f"{at}.{key}", "nothing", given[key]
            else:
                yield from differences(wanted[key], given[key], f"{at}.{key}")
    elif isinstance(wanted, list) and isinstance(given, list) and len(wanted) == len(given):
        for i, (w, g) in enumerate(zip(wanted, given)):
            yield from differences(w, g, f"{at}.{i}")
    elif wanted != given or isinstance(wanted, bool) != isinstance(given, bool):
        yield at, wanted, given


class Allowed:
    """The list of differences with their reasons."""

    def __init__(self, path):
        self.entries = tomllib.loads(path.read_text()).get("difference", []) if path else []
        self.used = set()

    def reason(self, name, place, wanted):
        for i, entry in enumerate(self.entries):
            if all((
                fits(name, entry["cases"]),
                fits(place, entry.get("places", ["*"])),
                fits(json.dumps(wanted), entry.get("wanted", ["*"])),
            )):
                self.used.add(i)
                return entry["reason"]
        return None

    def unused(self, kind):
        """Entries of this recording that allowed nothing."""
        of_filters = [all(case.startswith("filter ") for case in e["cases"]) for e in self.entries]
        return [e for i, e in enumerate(self.entries)
                if i not in self.used and of_filters[i] == (kind == "filters")]


def fits(text, patterns):
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns)


def replay_cases(session, cases):
    """(name, place, wanted, given) for each difference of hand-designed cases."""
    for case in cases:
        try:
            status, answer = session.ask(case)
        except LookupError as error:
            yield case["name"], "capture", "an answer to go on with", str(error)
            continue
        if status != case["status"]:
            yield case["name"], "status", case["status"], f"{status} {json.dumps(answer)}"
        else:
            for place, wanted, given in differences(case["answer"], answer):
                yield case["name"], place, wanted, given


def replay_filters(session, recorded):
    """The same for filters: the population is made first, then each is asked."""
    yield from replay_cases(session, recorded["population"])
    for case in recorded["cases"]:
        given = searched(session, case)
        wanted = {key: case[key] for key in ("found", "error") if key in case}
        if given != wanted:
            order = json.dumps(case["order_by"], sort_keys=True) if "order_by" in case else ""
            name = f"filter {case['list']}: {case['filter']} {order}".strip()
            yield name, "found", wanted, given


def compared(url, kind):
    recorded, session = json.loads(RECORDINGS[kind].read_text()), Session(url)
    print(f"{RECORDINGS[kind].name}: {len(recorded['cases'])} cases", flush=True)
    if kind == "filters":
        return replay_filters(session, recorded)
    return replay_cases(session, recorded["cases"])


def report(rows, allowed):
    wrong, fine = [], 0
    for name, place, wanted, given in rows:
        if allowed.reason(name, place, wanted):
            fine += 1
            continue
        wrong.append({"case": name, "place": place, "wanted": wanted, "given": given})
        print(f"DIFFERS {name}: {place}\n    wanted {shown(wanted)}\n    given  {shown(given)}",
              flush=True)
    return wrong, fine


def shown(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


def run(url, kind, pattern, file, allowed):
    rows = (row for row in compared(url, kind) if fnmatch.fnmatchcase(row[0], pattern))
    wrong, fine = report(rows, allowed)
    if file:
        Path(file).write_text(json.dumps(wrong, indent=1))
    gone = allowed.unused(kind) if pattern == "*" else []
    for entry in gone:
        print(f"NO LONGER differs, take it from the list: {entry['cases']}")
    names = {row["case"] for row in wrong}
    print(f"{len(wrong)} differences in {len(names)} cases; {fine} allowed")
    return 1 if wrong or gone else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("recording", choices=RECORDINGS)
    parser.add_argument("--cases", default="*", help="a pattern of names whose differences count")
    parser.add_argument("--json", help="writes the differences into this file, too")
    arguments = parser.parse_args()
    given = arguments.recording, arguments.cases, arguments.json
    # A real server is what was recorded: nothing is allowed to differ there.
    if arguments.url == "real":
        with real_server() as url:
            return run(url, *given, Allowed(None))
    return run(arguments.url, *given, Allowed(DATA / "mlflow_differences.toml"))


if __name__ == "__main__":
    sys.exit(main())

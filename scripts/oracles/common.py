"""Small things that several oracle scripts share: paths, JSON and versions."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def write_json(path, value):
    """Write `value` as compact JSON, one top-level list entry per line.

    One case per line keeps a diff readable without the size of an indented
    file. NaN and infinities are refused: JSON has no words for them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_lines(value) + "\n")


def _dump(value):
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _lines(value):
    if isinstance(value, dict):
        parts = [f"{_dump(k)}:{_lines(v)}" for k, v in value.items()]
        return "{\n" + ",\n".join(parts) + "\n}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(_dump(v) for v in value) + "\n]"
    return _dump(value)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def versions(*packages):
    return {name: version(name) for name in packages}

"""An Open Inference Protocol server, asked by MLServer's unmodified program `mlserver infer`.

One line a check; ends with 1 at the first that fails. What the model answers is compared
with ONNX Runtime's stored answers to the same rows.

Run with the Python of MLServer:  python scripts/peers/mlserver_infer.py URL [--name MODEL] [--rows FILE]
      URL is host:port; FILE of rows is JSON that has `golden[].features`, `label` and `probabilities`
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "examples/data"
CLOSE = 1e-6


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--name", default="employment")
    parser.add_argument("--rows", default=DATA / "employment_lightgbm.json")
    arguments = parser.parse_args()
    golden = json.loads(Path(arguments.rows).read_text())["golden"]
    for what, options in (
        ("a request at a time", []),
        ("micro-batches of 7, three workers", ["--batch-size", "7", "--workers", "3"]),
        ("tensors as bytes", ["--binary-data"]),
    ):
        try:
            check(arguments, golden, options)
        except Exception as error:
            print(f"FAILED: mlserver infer: {what}: {type(error).__name__}: {error}")
            return 1
        print(f"ok: mlserver infer: {what}: ONNX Runtime's answers", flush=True)
    return 0


def check(arguments, golden, options):
    with tempfile.TemporaryDirectory() as folder:
        questions, answers = Path(folder, "questions.json"), Path(folder, "answers.json")
        questions.write_text("".join(f"{json.dumps(request(case))}\n" for case in golden))
        program = Path(sys.executable).with_name("mlserver")
        ended = subprocess.run(
            [program, "infer", "--url", arguments.url, "--model-name", arguments.name,
             "--input-data-path", questions, "--output-data-path", answers, *options],
            capture_output=True, text=True, timeout=300,
        )
        assert ended.returncode == 0, ended.stderr[-2000:]
        lines = [json.loads(line) for line in answers.read_text().splitlines()]
    assert len(lines) == len(golden), f"{len(lines)} answers to {len(golden)} requests"
    # Workers write as they are done.
    by_index = {line["parameters"]["batch_index"]: line for line in lines}
    for at, case in enumerate(golden):
        outputs = {output["name"]: output for output in by_index[at]["outputs"]}
        label, shares = outputs["label"]["data"], outputs["probabilities"]["data"]
        assert label == [case["label"]], f"row {at}: label {label}"
        pairs = zip(flat(shares), case["probabilities"])
        off = max(abs(given - wanted) for given, wanted in pairs)
        assert off <= CLOSE, f"row {at}: off by {off}"


def request(case):
    row = case["features"]
    tensor = {"name": "features", "shape": [1, len(row)], "datatype": "FP32", "data": row}
    return {"inputs": [tensor]}


def flat(data):
    return [item for row in data for item in (row if isinstance(row, list) else [row])]


if __name__ == "__main__":
    sys.exit(main())

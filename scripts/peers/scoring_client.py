"""A model behind `/invocations`, asked by MLflow's unmodified scoring client.

One line a check; ends with 1 at the first that fails. What it answers is compared
with what the same server answers in the Open Inference Protocol: the same digits.

Run:  python scripts/peers/scoring_client.py URL [--name MODEL] [--rows FILE]
      URL is host:port; FILE of rows is JSON that has `golden[].features`
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import requests
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

DATA = Path(__file__).resolve().parents[2] / "examples/data"


class Peer:
    def __init__(self, url, name, rows):
        host, port = url.removeprefix("http://").rstrip("/").split(":")
        self.url, self.client = f"http://{host}:{port}", ScoringServerClient(host, port)
        golden = json.loads(Path(rows).read_text())["golden"]
        self.rows = np.array([case["features"] for case in golden], np.float32)
        model = requests.get(f"{self.url}/v2/models/{name}").json()
        self.input = model["inputs"][0]["name"]
        tensor = {
            "name": self.input, "datatype": "FP32",
            "shape": list(self.rows.shape), "data": self.rows.tolist(),
        }
        answer = requests.post(f"{self.url}/v2/models/{name}/infer", json={"inputs": [tensor]})
        self.wanted = {
            output["name"]: np.array(output["data"]).reshape(output["shape"])
            for output in answer.json()["outputs"]
        }

    def invoke(self, data):
        frame = self.client.invoke(data).get_predictions("dataframe")
        return {name: np.array(frame[name].tolist()) for name in frame}

    def check(self, what, data):
        given = self.invoke(data)
        assert list(given) == list(self.wanted), f"{what}: {list(given)}"
        for name, wanted in self.wanted.items():
            assert given[name].shape == wanted.shape, f"{what}: {name} {given[name].shape}"
            assert (given[name] == wanted).all(), f"{what}: {name} differs"


def lives(peer):
    peer.client.ping()
    peer.client.wait_server_ready(timeout=5)
    assert peer.client.get_version(), "no version"


def tables(peer):
    """A DataFrame, whose columns are those of the packed input, in order."""
    peer.check("a DataFrame", pd.DataFrame(peer.rows))


def tensors(peer):
    peer.check("an array", peer.rows)
    # The client's own dictionaries fail in it (3.17: `for k, v in data`); text goes as it is.
    peer.check("arrays under names", named(peer.input, peer.rows))


def named(name, rows):
    return json.dumps({"inputs": {name: rows.tolist()}})


def records(peer):
    body = {"dataframe_records": pd.DataFrame(peer.rows).to_dict(orient="records")}
    answer = requests.post(f"{peer.url}/invocations", json=body)
    assert answer.status_code == 200, answer.text
    first = answer.json()["predictions"][0]
    for name, wanted in peer.wanted.items():
        assert np.array_equal(np.array(first[name]), wanted[0]), f"{name}: {first[name]}"


def csv(peer):
    text = pd.DataFrame(peer.rows.astype(np.float64)).to_csv(index=False)
    headers = {"Content-Type": "text/csv"}
    answer = requests.post(f"{peer.url}/invocations", data=text, headers=headers)
    assert answer.status_code == 200, answer.text
    rows = answer.json()["predictions"]
    for name, wanted in peer.wanted.items():
        assert np.array_equal(np.array([row[name] for row in rows]), wanted), name


def parquet(peer):
    """What pandas writes: by pyarrow, with Snappy or without, in two precisions."""
    names = [f"c{at}" for at in range(peer.rows.shape[1])]
    for precision in (np.float32, np.float64):
        frame = pd.DataFrame(peer.rows.astype(precision), columns=names)
        for way in ("snappy", None):
            headers = {"Content-Type": "application/vnd.apache.parquet"}
            body = frame.to_parquet(compression=way)
            answer = requests.post(f"{peer.url}/invocations", data=body, headers=headers)
            assert answer.status_code == 200, answer.text
            rows = answer.json()["predictions"]
            for name, wanted in peer.wanted.items():
                given = np.array([row[name] for row in rows])
                assert np.array_equal(given, wanted), f"{name}: {precision}, {way}"


def mistakes(peer):
    for what, data in (
        ("a column less", pd.DataFrame(peer.rows[:, :-1])),
        ("texts", pd.DataFrame([["secret"] * peer.rows.shape[1]])),
        ("an unknown input", named("no_such_input", peer.rows)),
    ):
        try:
            peer.client.invoke(data)
        except Exception as error:
            assert "error code 400" in str(error), f"{what}: {error}"
            assert "secret" not in str(error) and "Traceback" not in str(error), f"{what}: {error}"
        else:
            raise AssertionError(f"{what} was answered")
        tensors(peer)


CHECKS = {
    "ping, version": lives,
    "a DataFrame: the digits of the Open Inference Protocol": tables,
    "arrays, alone and under names": tensors,
    "records": records,
    "CSV": csv,
    "Parquet": parquet,
    "mistakes are 400, echo nothing and harm nobody": mistakes,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--name", default="employment")
    parser.add_argument("--rows", default=DATA / "employment_lightgbm.json")
    arguments = parser.parse_args()
    peer = Peer(arguments.url, arguments.name, arguments.rows)
    for name, check in CHECKS.items():
        try:
            check(peer)
        # Whatever went wrong, a client's own exception too, is the line that people read.
        except Exception as error:
            print(f"FAILED: mlflow scoring client: {name}: {type(error).__name__}: {error}")
            return 1
        print(f"ok: mlflow scoring client: {name}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""An Open Inference Protocol server, asked by NVIDIA's unmodified client.

One line a check; ends with 1 at the first that fails. What the model answers is
compared with ONNX Runtime on the same file and rows.

Run:  python scripts/peers/oip_client.py URL [--name MODEL] [--onnx FILE] [--rows FILE]
      URL is host:port, with or without http:// and a path under which /v2 lies;
      FILE of rows is JSON that has `golden[].features`
"""

import argparse
import json
import sys
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import onnxruntime as ort
import tritonclient.http as http
from openapi_spec_validator import validate
from tritonclient.utils import InferenceServerException

DATA = Path(__file__).resolve().parents[2] / "examples/data"
# ONNX Runtime's names of types and the protocol's.
TYPES = {
    "tensor(float)": "FP32", "tensor(double)": "FP64", "tensor(int64)": "INT64",
    "tensor(int32)": "INT32", "tensor(bool)": "BOOL", "tensor(string)": "BYTES",
}
# Probabilities of two programs that add in another order.
CLOSE = 1e-6


class Peer:
    """The server, the model by ONNX Runtime, the rows and what they should give."""

    def __init__(self, url, name, onnx, rows):
        host = url.removeprefix("http://").rstrip("/")
        self.host = host
        self.name, self.client = name, http.InferenceServerClient(host, concurrency=8)
        session = ort.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
        self.inputs, self.outputs = session.get_inputs(), session.get_outputs()
        assert len(self.inputs) == 1, "the rows are for a model of one input"
        golden = json.loads(Path(rows).read_text())["golden"]
        self.rows = np.array([case["features"] for case in golden], np.float32)
        answers = session.run(None, {self.inputs[0].name: self.rows})
        self.wanted = {spec.name: answer for spec, answer in zip(self.outputs, answers)}

    def input(self, rows, binary):
        spec = self.inputs[0]
        tensor = http.InferInput(spec.name, list(rows.shape), TYPES[spec.type])
        tensor.set_data_from_numpy(rows, binary_data=binary)
        return tensor

    def asked(self, binary, names=None):
        return [
            http.InferRequestedOutput(name, binary_data=binary)
            for name in names or self.wanted
        ]

    def infer(self, rows, binary_in, binary_out, **options):
        answer = self.client.infer(
            self.name, [self.input(rows, binary_in)],
            outputs=self.asked(binary_out), **options,
        )
        return {name: answer.as_numpy(name) for name in self.wanted}


def lives(peer):
    assert peer.client.is_server_live(), "the server does not live"
    assert peer.client.is_server_ready(), "the server is not ready"
    assert peer.client.is_model_ready(peer.name), f"{peer.name} is not ready"
    assert not peer.client.is_model_ready("no-such-model"), "ready for no model"


def server_metadata(peer):
    said = peer.client.get_server_metadata()
    assert said["name"] and said["version"], said
    assert "binary_tensor_data" in said["extensions"], said


def document(peer):
    """openapi.json, by the validator of those who write such."""
    with urlopen(f"http://{peer.host}/v2/openapi.json") as answer:
        said = json.load(answer)
    validate(said)
    assert f"/v2/models/{peer.name}/infer" in said["paths"], list(said["paths"])


def model_metadata(peer):
    said = peer.client.get_model_metadata(peer.name)
    assert said["name"] == peer.name and said["versions"] is not None, said
    for specs, theirs in ((peer.inputs, said["inputs"]), (peer.outputs, said["outputs"])):
        wanted = [(s.name, TYPES[s.type], shape(s.shape)) for s in specs]
        given = [(t["name"], t["datatype"], list(t["shape"])) for t in theirs]
        assert given == wanted, f"metadata say {given}, the file {wanted}"


def shape(axes):
    return [axis if isinstance(axis, int) else -1 for axis in axes]


def encodings(peer):
    """JSON and binary, each way in and out: the same bits, and ONNX Runtime's answer."""
    answers = {
        (into, out): peer.infer(peer.rows, into, out)
        for into in (False, True) for out in (False, True)
    }
    for way, answer in answers.items():
        for name, wanted in peer.wanted.items():
            check_close(f"{name} with binary in, out = {way}", answer[name], wanted)
            same = answer[name].tobytes() == answers[True, True][name].tobytes()
            assert same, f"{name}: binary in, out = {way} differs from all binary"


def compressed(peer):
    """gzip and deflate, each way in and out: the same bits as without."""
    many = np.repeat(peer.rows, 20, axis=0)
    for binary in (False, True):
        plain = peer.infer(many, binary, binary)
        for into in (None, "gzip", "deflate"):
            for out in (None, "gzip", "deflate"):
                answer = peer.infer(
                    many, binary, binary,
                    request_compression_algorithm=into, response_compression_algorithm=out,
                )
                for name in peer.wanted:
                    same = answer[name].tobytes() == plain[name].tobytes()
                    assert same, f"{name}: {into} in, {out} out, binary {binary}: other bits"


def check_close(what, given, wanted):
    assert given is not None, f"{what}: not in the answer"
    assert (given.dtype, given.shape) == (wanted.dtype, wanted.shape), (
        f"{what}: {given.dtype} {given.shape}, wanted {wanted.dtype} {wanted.shape}"
    )
    if wanted.dtype.kind == "f":
        off = float(np.abs(given - wanted).max())
        assert off <= CLOSE, f"{what}: off by {off}"
    else:
        assert (given == wanted).all(), f"{what}: differs"


def defaults(peer):
    """Nothing said of outputs: all of them."""
    answer = peer.client.infer(peer.name, [peer.input(peer.rows, True)])
    for name, wanted in peer.wanted.items():
        check_close(name, answer.as_numpy(name), wanted)


def rows_alone(peer):
    together = peer.infer(peer.rows, True, True)
    for at in range(0, len(peer.rows), 7):
        alone = peer.infer(peer.rows[at:at + 1], True, True)
        for name in peer.wanted:
            same = alone[name].tobytes() == together[name][at:at + 1].tobytes()
            assert same, f"{name}: row {at} alone has other bits than among {len(peer.rows)}"


def some_outputs(peer):
    last = list(peer.wanted)[-1]
    answer = peer.client.infer(
        peer.name, [peer.input(peer.rows, True)],
        outputs=peer.asked(True, [last]), request_id="interop-1",
    ).get_response()
    assert [o["name"] for o in answer["outputs"]] == [last], answer
    assert answer["id"] == "interop-1", answer
    assert answer["model_name"] == peer.name, answer


def many_at_once(peer):
    pending = [
        peer.client.async_infer(
            peer.name, [peer.input(peer.rows, at % 2 == 0)],
            outputs=peer.asked(at % 3 == 0),
        )
        for at in range(200)
    ]
    for answer in (request.get_result() for request in pending):
        for name, wanted in peer.wanted.items():
            check_close(name, answer.as_numpy(name), wanted)


def mistakes(peer):
    """A mistake gets a 4xx with words, and the next good request its answer."""
    narrow = peer.rows[:, :-1].copy()
    unknown = http.InferInput("no_such_input", [1, 1], "FP32")
    unknown.set_data_from_numpy(np.zeros((1, 1), np.float32))
    wrong_type = http.InferInput(peer.inputs[0].name, [1, peer.rows.shape[1]], "INT32")
    wrong_type.set_data_from_numpy(np.zeros((1, peer.rows.shape[1]), np.int32))
    for what, name, tensor in (
        ("an unknown model", "no-such-model", peer.input(peer.rows, True)),
        ("a wrong shape, binary", peer.name, peer.input(narrow, True)),
        ("a wrong shape, JSON", peer.name, peer.input(narrow, False)),
        ("an unknown input", peer.name, unknown),
        ("a wrong type", peer.name, wrong_type),
    ):
        try:
            peer.client.infer(name, [tensor])
        except InferenceServerException as error:
            status, message = str(error.status()), error.message()
            assert status.startswith("4") and message, f"{what}: {status} {message!r}"
        else:
            raise AssertionError(f"{what} was answered")
        defaults(peer)


CHECKS = {
    "live and ready": lives,
    "server metadata": server_metadata,
    "openapi.json is valid OpenAPI": document,
    "model metadata are the ONNX file's": model_metadata,
    "JSON and binary: the same bits, and ONNX Runtime's answer": encodings,
    "gzip and deflate: the same bits": compressed,
    "all outputs unless asked for some": defaults,
    "a row alone and among others: the same bits": rows_alone,
    "chosen outputs, and the caller's id": some_outputs,
    "200 requests over 8 connections": many_at_once,
    "mistakes are 4xx and harm nobody": mistakes,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--name", default="employment")
    parser.add_argument("--onnx", default=DATA / "employment_lightgbm.onnx")
    parser.add_argument("--rows", default=DATA / "employment_lightgbm.json")
    arguments = parser.parse_args()
    peer = Peer(arguments.url, arguments.name, arguments.onnx, arguments.rows)
    for name, check in CHECKS.items():
        try:
            check(peer)
        # Whatever went wrong, a client's own exception too, is the line that people read.
        except Exception as error:
            print(f"FAILED: tritonclient: {name}: {type(error).__name__}: {error}")
            return 1
        print(f"ok: tritonclient: {name}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

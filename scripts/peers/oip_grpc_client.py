"""An Open Inference Protocol server over gRPC, asked by NVIDIA's unmodified client.

One line a check; ends with 1 at the first that fails. What the model answers is
compared with the same server over HTTP, bit for bit, and so with ONNX Runtime
(`oip_client.py` asks that).

Run:  python scripts/peers/oip_grpc_client.py GRPC_URL HTTP_URL [--name MODEL] [--rows FILE]
                                              [--same NAME=DATATYPE …]
      URLs are host:port; FILE of rows is JSON that has `golden[].features`; NAME is a
      model that gives its one input of this datatype back
"""

import argparse
import json
import queue
import sys
from pathlib import Path

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.http as http
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

DATA = Path(__file__).resolve().parents[2] / "examples/data"
# Values with extremes among them, for models that give them back.
VALUES = {
    "BOOL": [True, False, True, True, False, False],
    "UINT8": [0, 1, 127, 128, 254, 255],
    "UINT16": [0, 1, 255, 256, 65534, 65535],
    "UINT32": [0, 1, 2**16, 2**31, 2**32 - 2, 2**32 - 1],
    "UINT64": [0, 1, 2**53 + 1, 2**63, 2**64 - 2, 2**64 - 1],
    "INT8": [-128, -1, 0, 1, 126, 127],
    "INT16": [-(2**15), -1, 0, 1, 256, 2**15 - 1],
    "INT32": [-(2**31), -1, 0, 1, 65536, 2**31 - 1],
    "INT64": [-(2**63), -(2**53) - 1, 0, 1, 2**53 + 1, 2**63 - 1],
    "FP16": [0.0, -0.0, 1.5, 65504.0, 6e-8, 0.1],
    "FP32": [0.0, -0.0, 0.1, 3.4028235e38, 1e-45, float("inf")],
    "FP64": [0.0, -0.0, 0.1, 1.7976931348623157e308, 5e-324, float("-inf")],
    "BYTES": [b"", b"a", "\u00e9".encode(), b'"\\\n', b"employed", "\U0001f600".encode()],
}


class Peer:
    """The server by both protocols, the model's metadata and the rows."""

    def __init__(self, arguments):
        host = arguments.http_url.removeprefix("http://").rstrip("/")
        self.url = arguments.grpc_url.removeprefix("grpc://")
        self.name, self.same = arguments.name, dict(s.split("=") for s in arguments.same)
        self.grpc = grpc.InferenceServerClient(self.url)
        self.http = http.InferenceServerClient(host)
        golden = json.loads(Path(arguments.rows).read_text())["golden"]
        self.rows = np.array([case["features"] for case in golden], np.float32)
        about = self.http.get_model_metadata(self.name)
        self.inputs, self.outputs = about["inputs"], about["outputs"]
        assert len(self.inputs) == 1, "the rows are for a model of one input"
        self.wanted = self.over_http(self.name, self.rows)

    def over_http(self, name, values):
        about = self.http.get_model_metadata(name)
        answer = self.http.infer(name, [filled(http, about["inputs"][0], values)])
        return {o["name"]: answer.as_numpy(o["name"]) for o in about["outputs"]}

    def input(self, rows):
        return filled(grpc, self.inputs[0], rows)

    def check(self, answer, wanted=None):
        for name, bits in (wanted or self.wanted).items():
            given = answer.as_numpy(name)
            assert given is not None, f"{name} is not in the answer"
            same = (given.dtype, given.shape) == (bits.dtype, bits.shape)
            assert same, f"{name}: {given.dtype} {given.shape}, {bits.dtype} {bits.shape} over HTTP"
            equal = given.tobytes() == bits.tobytes() if bits.dtype != object else (given == bits).all()
            assert equal, f"{name}: other bits than over HTTP"


def filled(client, spec, values):
    tensor = client.InferInput(spec["name"], list(values.shape), spec["datatype"])
    tensor.set_data_from_numpy(values)
    return tensor


def refused(what, code, ask):
    """That it is refused with this code and words; returns them."""
    try:
        ask()
    except InferenceServerException as error:
        status, message = str(error.status()), error.message()
        assert status == f"StatusCode.{code}" and message, f"{what}: {status} {message!r}"
        return message
    raise AssertionError(f"{what} was answered")


def lives(peer):
    assert peer.grpc.is_server_live(), "the server does not live"
    assert peer.grpc.is_server_ready(), "the server is not ready"
    assert peer.grpc.is_model_ready(peer.name), f"{peer.name} is not ready"
    assert not peer.grpc.is_model_ready("no-such-model"), "ready for no model"


def metadata(peer):
    said, theirs = peer.grpc.get_server_metadata(as_json=True), peer.http.get_server_metadata()
    assert said == theirs, f"{said} over gRPC, {theirs} over HTTP"
    said = peer.grpc.get_model_metadata(peer.name)
    wanted = peer.http.get_model_metadata(peer.name)
    assert (said.name, list(said.versions), said.platform) == (
        wanted["name"], wanted["versions"], wanted["platform"],
    ), said
    for tensors, specs in ((said.inputs, wanted["inputs"]), (said.outputs, wanted["outputs"])):
        given = [(t.name, t.datatype, list(t.shape)) for t in tensors]
        assert given == [(s["name"], s["datatype"], s["shape"]) for s in specs], given


def configuration(peer):
    said = peer.grpc.get_model_config(peer.name).config
    wanted = peer.http.get_model_config(peer.name)
    assert said.max_batch_size == wanted["max_batch_size"] > 0, said
    types = service_pb2.model__config__pb2.DataType
    for tensors, specs in ((said.input, wanted["input"]), (said.output, wanted["output"])):
        given = [(t.name, types.Name(t.data_type), list(t.dims)) for t in tensors]
        assert given == [(s["name"], s["data_type"], s["dims"]) for s in specs], given
    assert not said.model_transaction_policy.decoupled, said


def statistics(peer):
    before = peer.grpc.get_inference_statistics(peer.name).model_stats[0]
    peer.check(peer.grpc.infer(peer.name, [peer.input(peer.rows)]))
    after = peer.grpc.get_inference_statistics(peer.name).model_stats[0]
    assert after.inference_count - before.inference_count == len(peer.rows), after
    assert after.inference_stats.success.count - before.inference_stats.success.count == 1, after
    theirs = peer.http.get_inference_statistics(peer.name)["model_stats"][0]
    assert theirs["inference_count"] == after.inference_count, theirs
    index = peer.grpc.get_model_repository_index().models
    assert (peer.name, "READY") in [(m.name, m.state) for m in index], index
    assert len(peer.http.get_model_repository_index()) == len(index), index


def same_bits(peer):
    peer.check(peer.grpc.infer(peer.name, [peer.input(peer.rows)]))
    for at in range(0, len(peer.rows), 7):
        answer = peer.grpc.infer(peer.name, [peer.input(peer.rows[at:at + 1])])
        peer.check(answer, {name: bits[at:at + 1] for name, bits in peer.wanted.items()})


def typed(peer):
    """Elements in the type's own field, which the client's `infer` never writes."""
    message = service_pb2.ModelInferRequest(model_name=peer.name, id="typed")
    spec = peer.inputs[0]
    tensor = message.inputs.add(name=spec["name"], datatype="FP32", shape=peer.rows.shape)
    tensor.contents.fp32_contents.extend(peer.rows.ravel().tolist())
    with grpc_channel(peer.url) as channel:
        answer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(message)
    peer.check(grpc.InferResult(answer))
    assert answer.id == "typed", answer.id


def grpc_channel(url):
    import grpc as google

    return google.insecure_channel(url)


def all_types(peer):
    for name, datatype in peer.same.items():
        values = np.array(VALUES[datatype], triton_to_np_dtype(datatype)).reshape(-1, 1)
        given = peer.grpc.get_model_metadata(name).inputs[0].datatype
        assert given == datatype, f"{name} takes {given}"
        spec = peer.http.get_model_metadata(name)["inputs"][0]
        answer = peer.grpc.infer(name, [filled(grpc, spec, values)])
        peer.check(answer, peer.over_http(name, values))
        [output] = answer.get_response().outputs
        back = answer.as_numpy(output.name)
        equal = (back == values).all() if datatype == "BYTES" else back.tobytes() == values.tobytes()
        assert equal, f"{datatype} did not come back"
        print(f"    {datatype}: the same bits over gRPC and HTTP", flush=True)


def some_outputs(peer):
    last = list(peer.wanted)[-1]
    answer = peer.grpc.infer(
        peer.name, [peer.input(peer.rows)], outputs=[grpc.InferRequestedOutput(last)],
        request_id="interop-1", priority=1, timeout=10_000_000, parameters={"trace": "on"},
        model_version=peer.grpc.get_model_metadata(peer.name).versions[0],
    )
    response = answer.get_response()
    assert [o.name for o in response.outputs] == [last], response.outputs
    assert response.id == "interop-1" and response.model_name == peer.name
    assert response.parameters["prediction"].string_param, response.parameters


def compressed(peer):
    for algorithm in ("gzip", None):
        answer = peer.grpc.infer(
            peer.name, [peer.input(peer.rows)], compression_algorithm=algorithm
        )
        peer.check(answer)
    refused("deflate", "UNIMPLEMENTED", lambda: peer.grpc.infer(
        peer.name, [peer.input(peer.rows)], compression_algorithm="deflate"
    ))


def many_at_once(peer):
    done = queue.Queue()
    for _ in range(200):
        peer.grpc.async_infer(
            peer.name, [peer.input(peer.rows)], lambda result, error: done.put((result, error))
        )
    for _ in range(200):
        answer, error = done.get(timeout=30)
        assert error is None, error
        peer.check(answer)


def stream(peer):
    """Answers in order; the failures among them end nothing."""
    done = queue.Queue()
    client = grpc.InferenceServerClient(peer.url)
    client.start_stream(lambda result, error: done.put((result, error)))
    for at in range(50):
        rows = peer.rows[:, :-1].copy() if at % 10 == 9 else peer.rows[at % 7:at % 7 + 3]
        client.async_stream_infer(peer.name, [peer.input(rows)], request_id=str(at))
    for at in range(50):
        answer, error = done.get(timeout=30)
        if at % 10 == 9:
            assert peer.inputs[0]["name"] in error.message(), error
            continue
        assert error is None and answer.get_response().id == str(at), (at, error)
        start = at % 7
        peer.check(answer, {n: bits[start:start + 3] for n, bits in peer.wanted.items()})
    client.stop_stream()


def timeouts(peer):
    """The client's own clock runs with the server's; both say the same."""
    # gRPC's core counts deadlines in whole milliseconds, within which a few rows may be answered.
    refused("no time", "DEADLINE_EXCEEDED", lambda: peer.grpc.infer(
        peer.name, [peer.input(np.tile(peer.rows, (1000, 1)))], client_timeout=1e-6
    ))
    refused("a microsecond", "DEADLINE_EXCEEDED", lambda: peer.grpc.infer(
        peer.name, [peer.input(np.tile(peer.rows, (200, 1)))], timeout=1
    ))
    peer.check(peer.grpc.infer(peer.name, [peer.input(peer.rows)], client_timeout=30))


def too_large(peer):
    """70 MB, over the bound of 64 MiB; the connection goes on."""
    rows = np.zeros((70_000_000 // 4 // peer.rows.shape[1], peer.rows.shape[1]), np.float32)
    for algorithm in (None, "gzip"):
        refused("70 MB", "RESOURCE_EXHAUSTED", lambda: peer.grpc.infer(
            peer.name, [peer.input(rows)], compression_algorithm=algorithm
        ))
        peer.check(peer.grpc.infer(peer.name, [peer.input(peer.rows)]))


def mistakes(peer):
    """Each is refused with its code and words, and the next good request gets its answer."""
    name, spec = peer.name, peer.inputs[0]
    unknown = filled(grpc, {**spec, "name": "no_such_input"}, peer.rows)
    integers = filled(grpc, {**spec, "datatype": "INT32"}, peer.rows.astype(np.int32))
    good = peer.input(peer.rows)
    for what, code, model, tensors, options in (
        ("an unknown model", "NOT_FOUND", "no-such-model", [good], {}),
        ("an unknown version", "NOT_FOUND", name, [good], {"model_version": "99"}),
        ("a wrong shape", "INVALID_ARGUMENT", name, [peer.input(peer.rows[:, :-1].copy())], {}),
        ("an unknown input", "INVALID_ARGUMENT", name, [unknown], {}),
        ("an input twice", "INVALID_ARGUMENT", name, [good, good], {}),
        ("a wrong type", "INVALID_ARGUMENT", name, [integers], {}),
        ("an unknown output", "INVALID_ARGUMENT", name, [good],
         {"outputs": [grpc.InferRequestedOutput("no_such_output")]}),
        ("classification", "UNIMPLEMENTED", name, [good],
         {"outputs": [grpc.InferRequestedOutput(list(peer.wanted)[0], class_count=2)]}),
    ):
        refused(what, code, lambda: peer.grpc.infer(model, tensors, **options))
        peer.check(peer.grpc.infer(name, [good]))
    refused("an unknown method", "UNIMPLEMENTED", lambda: peer.grpc.load_model("employment"))
    refused("shared memory", "UNIMPLEMENTED", peer.grpc.get_system_shared_memory_status)


CHECKS = {
    "live and ready": lives,
    "metadata are those over HTTP": metadata,
    "configuration is that over HTTP": configuration,
    "statistics and the index": statistics,
    "the same bits as over HTTP, rows together and alone": same_bits,
    "typed contents": typed,
    "every type that a model here takes": all_types,
    "chosen outputs, the caller's id, parameters": some_outputs,
    "gzip": compressed,
    "200 requests at a time": many_at_once,
    "a stream": stream,
    "timeouts": timeouts,
    "too large a request": too_large,
    "mistakes have their codes and harm nobody": mistakes,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("grpc_url")
    parser.add_argument("http_url")
    parser.add_argument("--name", default="employment")
    parser.add_argument("--rows", default=DATA / "employment_lightgbm.json")
    parser.add_argument("--same", nargs="*", default=[], metavar="NAME=DATATYPE")
    peer = Peer(parser.parse_args())
    for name, check in CHECKS.items():
        try:
            check(peer)
        # Whatever went wrong, a client's own exception too, is the line that people read.
        except Exception as error:
            print(f"FAILED: tritonclient over gRPC: {name}: {type(error).__name__}: {error}")
            return 1
        print(f"ok: tritonclient over gRPC: {name}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

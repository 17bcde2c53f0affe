"""Clients that leave before they are answered: their work ends, and is counted.

A request takes seconds to compute (3,000 products of 128 × 128 for 1,000 rows). Eight are sent; once all are counted
as in flight their clients close the connection, or, over gRPC, cancel four calls and close the connections of the
others. Then the server's own processor time shows whether anything is still computed: a single run that went on would
take all of a processor. With batching, requests wait behind the first, and leave the queue too.
"""

import json
import os
import socket
import time

from models import FEATURES, chain, question
from served import Served, until

CALLS, ROWS = 8, 1000
WIDTH, PRODUCTS = 128, 3000
# Processor time is looked at for so long; a share of a processor below this is what counters and clocks take.
LOOK_S, IDLE_SHARE = 0.5, 0.2
CANCEL = 8


def run(verdicts, program, load, folder):
    model = folder / "long.onnx"
    model.write_bytes(chain(WIDTH, PRODUCTS))
    for engine in ("tabular", "onnx"):
        if engine == "onnx" and "ORT_DYLIB_PATH" not in os.environ:
            print("skipped: onnx: ONNX Runtime's library is not there")
            continue
        for flags in ([], ["--max-batch-rows", 4 * ROWS]):
            with Served(program, folder, "--engine", engine, "--model", f"m={model}", *flags) as served:
                served.ready(pause=0.1)
                what = f"{engine}{', batching' if flags else ''}"
                judge(verdicts, f"{what}, HTTP", served, over_http)
                judge(verdicts, f"{what}, gRPC", served, over_grpc)


def judge(verdicts, what, served, leave):
    names = ("answered", "abandoned")
    counts = lambda: [served.count(f"mlops_endpoint_{name}_total") for name in names]
    before = counts()
    leaving = leave(served)
    next(leaving)
    until("all are in flight", lambda: served.count("mlops_endpoint_in_flight") == CALLS)
    computed = busy(served)
    next(leaving, None)
    began = time.monotonic()
    until("none is in flight", lambda: served.count("mlops_endpoint_in_flight") == 0)
    took = time.monotonic() - began
    answered, abandoned = (now - then for now, then in zip(counts(), before))
    verdicts.holds(f"{what}: of {CALLS} calls {abandoned:.0f} counted as abandoned after {took * 1e3:.0f} ms, "
                   f"{answered:.0f} as answered", (answered, abandoned) == (0, CALLS))
    idle = busy(served)
    verdicts.holds(f"{what}: {computed:.2f} processors busy before, {idle:.2f} after",
                   idle < IDLE_SHARE and idle < computed / 2)
    status, answer = served.infer("m", ("x", "FP32", [[1.0] * FEATURES]))
    verdicts.holds(f"{what}: the next is answered: {answer.get('outputs', answer)}",
                   status == 200 and answer["outputs"][0]["data"] == [FEATURES])


def busy(served):
    """How many processors the server keeps busy while nobody asks it anew."""
    before, began = served.processor_seconds(), time.monotonic()
    time.sleep(LOOK_S)
    return (served.processor_seconds() - before) / (time.monotonic() - began)


def connections(port):
    return [socket.create_connection(("127.0.0.1", port)) for _ in range(CALLS)]


def over_http(served):
    """Sends all, waits, closes all."""
    x = {"name": "x", "shape": [ROWS, FEATURES], "datatype": "FP32", "data": [1.0] * FEATURES * ROWS}
    body = json.dumps({"inputs": [x]})
    head = f"POST /v2/models/m/infer HTTP/1.1\r\nhost: m\r\ncontent-length: {len(body)}\r\n\r\n"
    asked = connections(served.port)
    for connection in asked:
        connection.sendall((head + body).encode())
    yield
    for connection in asked:
        connection.close()


def over_grpc(served):
    """Sends all, waits, cancels every other call and closes the connections of the rest."""
    message = question("m", ROWS)
    framed = bytes([0]) + len(message).to_bytes(4, "big") + message
    # Within what HTTP/2 lets a client send before the server has said more.
    assert len(framed) < 65_535
    pieces = [framed[at:at + 16_384] for at in range(0, len(framed), 16_384)]
    headers = {":path": "/inference.GRPCInferenceService/ModelInfer", ":authority": "m",
               "content-type": "application/grpc", "te": "trailers"}
    # `:method: POST` and `:scheme: http` of the static table; the others literal.
    block = bytes([0x83, 0x86]) + b"".join(
        bytes([0, len(name)]) + name.encode() + bytes([len(value)]) + value.encode() for name, value in headers.items()
    )
    sent = frame(4, 0, 0, b"") + frame(1, 4, 1, block)
    sent += b"".join(frame(0, piece is pieces[-1], 1, piece) for piece in pieces)
    asked = connections(served.grpc_port)
    for connection in asked:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + sent)
    yield
    for at, connection in enumerate(asked):
        if at % 2:
            connection.sendall(frame(3, 0, 1, CANCEL.to_bytes(4, "big")))
        else:
            connection.close()
    yield
    for connection in asked:
        connection.close()


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

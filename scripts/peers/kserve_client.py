"""An Open Inference Protocol server, asked by KServe's unmodified clients of REST and gRPC.

One line a check; ends with 1 at the first that fails. What the model answers is compared
with ONNX Runtime's stored answers to the same rows.

Run:  python scripts/peers/kserve_client.py URL GRPC_URL [--name MODEL] [--rows FILE]
      URLs are host:port; FILE of rows is JSON that has `golden[].features`, `label`, `probabilities`
"""

import argparse
import asyncio
import json
import logging
import sys
from pathlib import Path

import numpy as np
from kserve import (
    InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig,
)

DATA = Path(__file__).resolve().parents[2] / "examples/data"
CLOSE = 1e-6


class Peer:
    def __init__(self, arguments):
        golden = json.loads(Path(arguments.rows).read_text())["golden"]
        self.name = arguments.name
        self.base = f"http://{arguments.url}"
        self.rest = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
        self.grpc = InferenceGRPCClient(arguments.grpc_url)
        self.rows = np.array([case["features"] for case in golden], np.float32)
        self.wanted = {
            "label": np.array([case["label"] for case in golden], np.int64),
            "probabilities": np.array([case["probabilities"] for case in golden], np.float32),
        }

    def request(self, binary, name=None):
        tensor = InferInput("features", list(self.rows.shape), "FP32")
        tensor.set_data_from_numpy(self.rows, binary_data=binary)
        return InferRequest(model_name=name or self.name, infer_inputs=[tensor], request_id="k-1")

    def check(self, answer):
        assert answer.model_name == self.name, answer.model_name
        assert answer.id == "k-1", answer.id
        for output in answer.outputs:
            given, wanted = output.as_numpy(), self.wanted[output.name]
            assert given.shape == wanted.shape, f"{output.name}: {given.shape}"
            off = np.abs(given.astype(np.float64) - wanted).max()
            assert off <= CLOSE, f"{output.name}: off by {off}"
        assert {output.name for output in answer.outputs} == set(self.wanted)


async def rest_lives(peer):
    assert await peer.rest.is_server_live(peer.base), "the server does not live"
    assert await peer.rest.is_server_ready(peer.base), "the server is not ready"
    assert await peer.rest.is_model_ready(peer.base, peer.name), "the model is not ready"


async def rest_json(peer):
    peer.check(await peer.rest.infer(peer.base, peer.request(False), model_name=peer.name))


async def rest_binary(peer):
    peer.check(await peer.rest.infer(peer.base, peer.request(True), model_name=peer.name))


async def rest_mistake(peer):
    try:
        await peer.rest.infer(peer.base, peer.request(False), model_name="no-such-model")
    except Exception as error:
        assert "404" in str(error), error
        return
    raise AssertionError("a model that is not there answered")


async def grpc_lives(peer):
    assert await peer.grpc.is_server_live(), "the server does not live"
    assert await peer.grpc.is_server_ready(), "the server is not ready"
    assert await peer.grpc.is_model_ready(peer.name), "the model is not ready"


async def grpc_raw(peer):
    peer.check(await peer.grpc.infer(peer.request(True)))


async def grpc_typed(peer):
    peer.check(await peer.grpc.infer(peer.request(False)))


async def grpc_mistake(peer):
    try:
        await peer.grpc.infer(peer.request(True, "no-such-model"))
    except Exception as error:
        assert "NOT_FOUND" in str(error), error
        return
    raise AssertionError("a model that is not there answered")


CHECKS = {
    "REST: live and ready": rest_lives,
    "REST: JSON, ONNX Runtime's answers": rest_json,
    "REST: tensors as bytes": rest_binary,
    "REST: an unknown model is its 404": rest_mistake,
    "gRPC: live and ready": grpc_lives,
    "gRPC: raw contents": grpc_raw,
    "gRPC: typed contents": grpc_typed,
    "gRPC: an unknown model is NOT_FOUND": grpc_mistake,
}


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("grpc_url")
    parser.add_argument("--name", default="employment")
    parser.add_argument("--rows", default=DATA / "employment_lightgbm.json")
    # It logs what it also raises.
    logging.disable(logging.CRITICAL)
    peer = Peer(parser.parse_args())
    for name, check in CHECKS.items():
        try:
            await check(peer)
        except Exception as error:
            print(f"FAILED: KServe's client: {name}: {type(error).__name__}: {error}")
            return 1
        print(f"ok: KServe's client: {name}", flush=True)
    await peer.rest.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

"""`ModelInferRequest` as NVIDIA's own client and Google's protobuf write it, beside the bytes that went in.

Run: pip install 'tritonclient[grpc]==2.73.0' && python scripts/oracles/oip_grpc_requests.py
"""

import tritonclient.grpc as grpc
from common import ROOT, versions, write_json
from oip_requests import SHAPE, VALUES, raw, text
from tritonclient.grpc import service_pb2
from tritonclient.grpc._utils import _get_inference_request

# The field of `InferTensorContents` for each type that has one.
CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def request(tensors, **options):
    """As the client's `infer` makes it of its arguments."""
    arguments = {
        "model_name": "golden",
        "inputs": tensors,
        "model_version": "",
        "request_id": "",
        "outputs": None,
        "sequence_id": 0,
        "sequence_start": False,
        "sequence_end": False,
        "priority": 0,
        "timeout": None,
        "parameters": None,
    }
    return _get_inference_request(**{**arguments, **options})


def by_client(name, inputs, **options):
    """One message of the client's; `inputs` are (name, datatype)."""
    tensors = []
    for tensor_name, datatype in inputs:
        tensor = grpc.InferInput(tensor_name, SHAPE, datatype)
        tensor.set_data_from_numpy(VALUES[datatype].reshape(SHAPE))
        tensors.append(tensor)
    return case(name, request(tensors, **options), inputs)


def typed(datatype):
    """One message whose elements stand in the type's own field."""
    message = service_pb2.ModelInferRequest(model_name="golden")
    tensor = message.inputs.add(name="x", datatype=datatype, shape=SHAPE)
    elements = getattr(tensor.contents, CONTENTS[datatype])
    elements.extend(VALUES[datatype].tolist())
    return case(f"{datatype} typed", message, [("x", datatype)])


def case(name, message, inputs):
    expected = [{"name": n, "datatype": d, "raw": text(raw(d, VALUES[d]))} for n, d in inputs]
    body = text(message.SerializeToString(deterministic=True))
    return {"case": name, "body": body, "json_bytes": None, "inputs": expected}


def cases():
    for datatype in VALUES:
        yield by_client(f"{datatype} raw", [("x", datatype)])
        if datatype in CONTENTS:
            yield typed(datatype)
    mixed = [("a", "INT8"), ("b", "FP64"), ("c", "INT64"), ("d", "BYTES"), ("e", "FP32")]
    yield by_client("several", mixed)
    yield by_client(
        "outputs, id, priority and timeout",
        [("x", "FP32")],
        outputs=[grpc.InferRequestedOutput("y"), grpc.InferRequestedOutput("z")],
        request_id="7 \u00e9",
        priority=3,
        timeout=250000,
        parameters={"trace": "on", "weight": 0.5, "tries": 2},
    )


def main():
    path = ROOT / "mlops-serve/tests/data/oip/grpc_requests.json"
    made = versions("tritonclient", "protobuf", "numpy")
    write_json(path, {"made_with": made, "shape": SHAPE, "cases": list(cases())})


main()

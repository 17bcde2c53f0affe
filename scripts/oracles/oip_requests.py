"""Request bodies as NVIDIA's own client writes them, beside the bytes that went in.

Run: pip install 'tritonclient[http]==2.73.0' && python scripts/oracles/oip_requests.py
"""

import base64

import numpy as np
import tritonclient.http as http
from common import ROOT, versions, write_json

SHAPE = [2, 3]
VALUES = {
    "BOOL": np.array([True, False, True, True, False, False], dtype=bool),
    "UINT8": np.array([0, 1, 127, 128, 254, 255], dtype=np.uint8),
    "UINT16": np.array([0, 1, 255, 256, 65534, 65535], dtype=np.uint16),
    "UINT32": np.array([0, 1, 2**16, 2**31, 2**32 - 2, 2**32 - 1], dtype=np.uint32),
    "UINT64": np.array([0, 1, 2**53 + 1, 2**63, 2**64 - 2, 2**64 - 1], dtype=np.uint64),
    "INT8": np.array([-128, -1, 0, 1, 126, 127], dtype=np.int8),
    "INT16": np.array([-(2**15), -1, 0, 1, 256, 2**15 - 1], dtype=np.int16),
    "INT32": np.array([-(2**31), -1, 0, 1, 65536, 2**31 - 1], dtype=np.int32),
    "INT64": np.array(
        [-(2**63), -(2**53) - 1, 0, 1, 2**53 + 1, 2**63 - 1], dtype=np.int64
    ),
    "FP16": np.array([0.0, -0.0, 1.5, 65504.0, 6e-8, 0.1], dtype=np.float16),
    "FP32": np.array(
        [0.0, -0.0, 0.1, 3.4028235e38, 1e-45, 16777217.0], dtype=np.float32
    ),
    "FP64": np.array(
        [0.0, -0.0, 0.1, 1.7976931348623157e308, 5e-324, 1 / 3], dtype=np.float64
    ),
    "BYTES": np.array(
        [b"", b"a", "\u00e9".encode(), b'"\\\n', b"employed", "\U0001f600".encode()],
        dtype=np.object_,
    ),
}


def raw(datatype, values):
    """Little-endian elements; BYTES each after its length: written here, not by the client."""
    if datatype != "BYTES":
        return values.astype(values.dtype.newbyteorder("<")).tobytes()
    return b"".join(len(v).to_bytes(4, "little") + v for v in values)


def case(name, inputs, **options):
    """One body; `inputs` are (name, datatype, as raw bytes)."""
    tensors = []
    for tensor_name, datatype, binary in inputs:
        tensor = http.InferInput(tensor_name, SHAPE, datatype)
        values = VALUES[datatype].reshape(SHAPE)
        tensor.set_data_from_numpy(values, binary_data=binary)
        tensors.append(tensor)
    body, json_bytes = http.InferenceServerClient.generate_request_body(
        tensors, **options
    )
    expected = [
        {"name": n, "datatype": d, "raw": text(raw(d, VALUES[d]))} for n, d, _ in inputs
    ]
    return {
        "case": name,
        "body": text(body),
        "json_bytes": json_bytes,
        "inputs": expected,
    }


def text(data):
    return base64.b16encode(data).decode().lower()


def cases():
    for datatype in VALUES:
        yield case(f"{datatype} in binary", [("x", datatype, True)])
        # The client refuses FP16 in JSON.
        if datatype != "FP16":
            yield case(f"{datatype} in JSON", [("x", datatype, False)])
    # The second tensor begins six bytes into the tail, the third after text.
    mixed = [
        ("a", "INT8", True),
        ("b", "FP64", True),
        ("c", "INT64", False),
        ("d", "BYTES", True),
        ("e", "FP32", True),
    ]
    yield case("several, mixed", mixed)
    yield case(
        "outputs, id, priority and timeout",
        [("x", "FP32", True)],
        outputs=[
            http.InferRequestedOutput("y", binary_data=True),
            http.InferRequestedOutput("z", binary_data=False),
        ],
        request_id="7 \u00e9",
        priority=3,
        timeout=250000,
        parameters={"trace": "on", "weight": 0.5, "tries": 2},
    )


def main():
    path = ROOT / "mlops-serve/tests/data/oip/requests.json"
    made = versions("tritonclient", "numpy")
    write_json(path, {"made_with": made, "shape": SHAPE, "cases": list(cases())})


if __name__ == "__main__":
    main()

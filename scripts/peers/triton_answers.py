"""What NVIDIA Triton answers to requests of the Open Inference Protocol over REST, as golden data.

Run:  python scripts/peers/triton_answers.py HOST:PORT FILE      (scripts/interop conformance does)
The server hosts the models of conformance_models.py. FILE gets every request with its answer; which of them is
right, and where ours is another on purpose, stands in the test that reads it.
"""

import gzip
import http.client
import json
import struct
import sys

# The protocol's types, two elements each: as JSON, and as bytes.
ELEMENTS = {
    "BOOL": ([True, False], "<2?"), "UINT8": ([0, 255], "<2B"), "UINT16": ([1, 65535], "<2H"),
    "UINT32": ([1, 4294967295], "<2I"), "UINT64": ([1, 18446744073709551615], "<2Q"),
    "INT8": ([-128, 127], "<2b"), "INT16": ([-32768, 32767], "<2h"), "INT32": ([-2147483648, 7], "<2i"),
    "INT64": ([-9223372036854775808, 9223372036854775807], "<2q"), "FP32": ([0.5, -1.25e-7], "<2f"),
    "FP64": ([0.1, 1e300], "<2d"), "BYTES": (["é \"x\"", ""], None),
}
INFER = "/v2/models/one/infer"
LENGTH = "Inference-Header-Content-Length"


def tensor(datatype, data, shape=(1, 2)):
    return {"name": f"in_{datatype.lower()}", "datatype": datatype, "shape": list(shape), "data": data}


def raw(datatype):
    data, form = ELEMENTS[datatype]
    if form:
        return struct.pack(form, *data)
    return b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in data)


def plain(**changed):
    """A request of the model with every type; what is changed is given instead, or left out."""
    inputs = {name: tensor(name, data) for name, (data, _) in ELEMENTS.items()} | changed
    return {"inputs": [one for one in inputs.values() if one is not None]}


def binary(head, tail, length=None, **headers):
    head = json.dumps(head).encode()
    return head + tail, {LENGTH: str(len(head) if length is None else length)} | headers


def one(data, shape=(1, 2), datatype="FP32", **more):
    return {"inputs": [tensor("FP32", data, shape) | {"datatype": datatype}]} | more


def sized(size, shape=(1, 2), **more):
    part = {"name": "in_fp32", "datatype": "FP32", "shape": list(shape), "parameters": {"binary_data_size": size}}
    return {"inputs": [part]} | more


def described():
    for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/one", "/v2/models/one/versions/1",
                 "/v2/models/one/ready", "/v2/models/one/versions/1/ready", "/v2/models/plain", "/v2/models/half",
                 "/v2/models/none", "/v2/models/none/ready", "/v2/models/one/versions/9", "/v2/nowhere",
                 "/v2/models/one/versions/9/ready", "/v2/models/none/stats", "/v2/models/none/config", INFER):
        yield f"GET {path}", "GET", path, b"", {}
    yield "PUT infer", "PUT", INFER, json.dumps(one([1, 2])).encode(), {}


def answered():
    yield "each type as JSON", "/v2/models/plain/infer", plain()
    for name, (data, _) in ELEMENTS.items():
        wanted = {"outputs": [{"name": f"out_{name.lower()}"}]}
        yield f"{name}, the only output", "/v2/models/plain/infer", plain() | wanted
    two = {"outputs": [{"name": "out_bytes"}, {"name": "out_bool"}]}
    yield "two outputs, in the order asked", "/v2/models/plain/infer", plain() | two
    for title, data, shape in (
        ("flat", [1, 2, 3, 4], (2, 2)), ("nested", [[1, 2], [3, 4]], (2, 2)), ("integers and floats", [1, 2.5], (1, 2)),
        ("eight rows", list(range(16)), (8, 2)), ("exponents", [1e-45, 3.4e38], (1, 2)), ("minus zero", [-0.0, 0], (1, 2)),
    ):
        yield f"one: {title}", INFER, one(data, shape)
    yield "id", INFER, one([1, 2], id="7 é")
    yield "an empty id", INFER, one([1, 2], id="")
    yield "parameters", INFER, one([1, 2], parameters={"priority": 2, "timeout": 1000000})
    yield "a path with a version", "/v2/models/one/versions/1/infer", one([1, 2])
    yield "an unknown member", INFER, one([1, 2], more=[1])
    yield "BOOL as numbers", "/v2/models/plain/infer", plain(BOOL=tensor("BOOL", [1, 0]))


def refused():
    yield "no such model", "/v2/models/none/infer", one([1, 2])
    yield "no such version", "/v2/models/one/versions/9/infer", one([1, 2])
    yield "no such input", INFER, {"inputs": [one([1, 2])["inputs"][0] | {"name": "z"}]}
    yield "no such output", INFER, one([1, 2], outputs=[{"name": "z"}])
    yield "an input is missing", "/v2/models/plain/infer", plain(FP32=None)
    yield "an input twice", INFER, {"inputs": one([1, 2])["inputs"] * 2}
    yield "no inputs", INFER, {"inputs": []}
    yield "no member inputs", INFER, {"id": "1"}
    yield "inputs is no array", INFER, {"inputs": {}}
    yield "an array", INFER, []
    yield "another datatype", INFER, one([1, 2], datatype="INT32")
    yield "an unknown datatype", INFER, one([1, 2], datatype="FLOAT")
    yield "three columns", INFER, one([1, 2, 3], (1, 3))
    yield "one axis", INFER, one([1, 2], (2,))
    yield "too few elements", INFER, one([1])
    yield "too many elements", INFER, one([1, 2, 3])
    yield "a negative axis", INFER, one([1, 2], (-1, 2))
    yield "axes that overflow", INFER, one([1, 2], (4611686018427387904, 4))
    yield "a shape of texts", INFER, one([1, 2], ("1", "2"))
    yield "text among numbers", INFER, one([1, "2"])
    yield "null among numbers", INFER, one([1, None])
    yield "data is a number", INFER, one(1)
    yield "no data", INFER, {"inputs": [{"name": "in_fp32", "datatype": "FP32", "shape": [1, 2]}]}
    for name, wrong in (("UINT8", 300), ("UINT8", -1), ("INT8", 128), ("INT32", 2147483648), ("UINT32", -1),
                        ("INT32", 1.5), ("UINT64", 18446744073709551616), ("BOOL", "true"), ("BYTES", 7)):
        given = plain(**{name: tensor(name, [wrong, wrong])})
        yield f"{name} {json.dumps(wrong)}", "/v2/models/plain/infer", given
    yield "FP16 as JSON", "/v2/models/half/infer", {
        "inputs": [{"name": "in_fp16", "datatype": "FP16", "shape": [1, 2], "data": [1, 2]}]}
    yield "no rows", INFER, one([], (0, 2))


def bytes_and_headers():
    values = raw("FP32")
    want = {"outputs": [{"name": "out_fp32", "parameters": {"binary_data": True}}]}
    everything = {"parameters": {"binary_data_output": True}}
    yield "binary in", INFER, *binary(sized(8), values)
    yield "binary in and out", INFER, *binary(sized(8, **want), values)
    yield "binary in, all out", INFER, *binary(sized(8, **everything), values)
    yield "JSON in, binary out", INFER, *binary(one([0.5, 1]) | want, b"")
    every = [{k: v for k, v in tensor(name, []).items() if k != "data"}
             | {"parameters": {"binary_data_size": len(raw(name))}} for name in ELEMENTS]
    tail = b"".join(raw(name) for name in ELEMENTS)
    yield "each type in binary", "/v2/models/plain/infer", *binary({"inputs": every} | everything, tail)
    half = [{"name": "in_fp16", "datatype": "FP16", "shape": [1, 2], "parameters": {"binary_data_size": 4}}]
    yield "FP16 in binary", "/v2/models/half/infer", *binary({"inputs": half} | everything, struct.pack("<2e", 0.5, -2))
    yield "a size over what follows", INFER, *binary(sized(8), values[:7])
    yield "a size under the shape", INFER, *binary(sized(4), values[:4])
    yield "a size over the shape", INFER, *binary(sized(12), values + values[:4])
    yield "bytes left over", INFER, *binary(sized(8), values + b"1234")
    yield "a head that ends beyond the body", INFER, *binary(sized(8), values, 9999)
    yield "a head that ends too early", INFER, *binary(sized(8), values, 10)
    yield "a head's length that is no number", INFER, *binary(sized(8), values, "x")
    yield "a negative head's length", INFER, *binary(sized(8), values, -1)
    yield "a negative size", INFER, *binary(sized(-8), values)
    text = [{"name": "in_bytes", "datatype": "BYTES", "shape": [1, 2], "parameters": {"binary_data_size": 8}}]
    cut = plain(BYTES=text[0])
    yield "a text longer than what follows", "/v2/models/plain/infer", *binary(cut, struct.pack("<II", 900, 1))
    yield "gzip", INFER, gzip.compress(json.dumps(one([1, 2])).encode(), mtime=0), {"Content-Encoding": "gzip"}
    yield "gzip that is none", INFER, json.dumps(one([1, 2])).encode(), {"Content-Encoding": "gzip"}
    yield "a coding that nobody has", INFER, json.dumps(one([1, 2])).encode(), {"Content-Encoding": "br"}
    for title, body in (("no body", b""), ("no JSON", b"{"), ("more after the JSON", b'{"inputs":[]} x'),
                        ("NaN", json.dumps(one([1, float("nan")])).encode()),
                        ("a number beyond all", b'{"inputs":[{"name":"in_fp32","datatype":"FP32","shape":[1,2],"data":[1e999,1]}]}'),
                        ("no UTF-8", b'{"inputs":[],"id":"\xff"}')):
        yield title, INFER, body, {}


def cases():
    yield from described()
    for title, path, body in (*answered(), *refused()):
        yield title, "POST", path, json.dumps(body, ensure_ascii=False).encode(), {}
    for title, path, body, headers in bytes_and_headers():
        yield title, "POST", path, body, headers


def ask(server, method, path, body, headers):
    connection = http.client.HTTPConnection(server, timeout=30)
    connection.request(method, path, body or None, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    length = answer.headers.get(LENGTH)
    return {"status": answer.status, "head": length and int(length), "body": content.hex()}


def main(server, file):
    asked = []
    for title, method, path, body, headers in cases():
        request = {"method": method, "path": path, "headers": headers, "body": body.hex()}
        asked.append({"case": title, "request": request, "answer": ask(server, method, path, body, headers)})
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in asked)
    with open(file, "w", encoding="utf-8") as out:
        out.write(f'{{"server": "NVIDIA Triton 2.51.0 of the wheel nvidia-pytriton 0.7.0", "cases": [\n{lines}\n]}}\n')
    print(f"{len(asked)} answers of Triton")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])

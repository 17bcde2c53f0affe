"""FastAPI in front of ONNX Runtime: the service that a Python team writes, with the fast parts (orjson,
httptools, uvloop).

Run:  MODEL=model.onnx uvicorn fastapi_server:app
"""

import os

import numpy as np
import onnxruntime as ort
import orjson
from fastapi import FastAPI, Request, Response

options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
features = session.get_inputs()[0].shape[1]
names = [output.name for output in session.get_outputs()]
DATATYPES = {"int64": "INT64", "float32": "FP32"}
app = FastAPI()


def refuse(message):
    return Response(orjson.dumps({"error": message}), 400, media_type="application/json")


@app.post("/v2/models/gbdt/infer")
async def infer(request: Request):
    asked = orjson.loads(await request.body())
    (tensor,) = asked["inputs"]
    if tensor["name"] != "X" or tensor["datatype"] != "FP32" or tensor["shape"][1:] != [features]:
        return refuse("the input is not the model's")
    rows = np.array(tensor["data"], dtype=np.float32).reshape(tensor["shape"])
    outputs = [
        {"name": name, "datatype": DATATYPES[str(values.dtype)], "shape": values.shape, "data": values.ravel()}
        for name, values in zip(names, session.run(None, {"X": rows}))
    ]
    answer = {"model_name": "gbdt", "model_version": "1", "outputs": outputs}
    return Response(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")

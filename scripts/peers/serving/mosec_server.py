"""mosec in front of ONNX Runtime, gathering up to 32 requests for at most 1 ms.

Run:  MODEL=model.onnx python mosec_server.py --port PORT --address 127.0.0.1
"""

import os

import numpy as np
import onnxruntime as ort
import orjson
from mosec import Server, ValidationError, Worker

BATCH, WAIT_MS = 32, 1
DATATYPES = {"int64": "INT64", "float32": "FP32"}


class Gbdt(Worker):
    def __init__(self):
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        self.features = self.session.get_inputs()[0].shape[1]
        self.names = [output.name for output in self.session.get_outputs()]

    def deserialize(self, data):
        (tensor,) = orjson.loads(data)["inputs"]
        if tensor["name"] != "X" or tensor["datatype"] != "FP32" or tensor["shape"] != [1, self.features]:
            raise ValidationError("the input is not the model's")
        return tensor["data"]

    def serialize(self, data):
        return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)

    def forward(self, data):
        outputs = self.session.run(None, {"X": np.array(data, dtype=np.float32)})
        return [self.answer([values[at:at + 1] for values in outputs]) for at in range(len(data))]

    def answer(self, row):
        outputs = [
            {"name": name, "datatype": DATATYPES[str(values.dtype)], "shape": values.shape, "data": values.ravel()}
            for name, values in zip(self.names, row)
        ]
        return {"model_name": "gbdt", "model_version": "1", "outputs": outputs}


if __name__ == "__main__":
    server = Server()
    server.append_worker(Gbdt, num=1, max_batch_size=BATCH, max_wait_time=WAIT_MS)
    server.run()

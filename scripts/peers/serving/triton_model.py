"""ONNX Runtime in Triton's Python backend: the batches that Triton gathers run as one.

No backend of ONNX Runtime in C++ can be had beside the wheel's server.
"""

import json

import numpy as np
import onnxruntime as ort
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        model = json.loads(args["model_config"])["parameters"]["model"]["string_value"]
        self.session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.names = [output.name for output in self.session.get_outputs()]

    def execute(self, requests):
        inputs = [pb_utils.get_input_tensor_by_name(request, "X").as_numpy() for request in requests]
        rows = inputs[0] if len(inputs) == 1 else np.concatenate(inputs)
        outputs = [values.reshape(len(values), -1) for values in self.session.run(None, {"X": rows})]
        responses, at = [], 0
        for one in inputs:
            to = at + len(one)
            tensors = [pb_utils.Tensor(name, values[at:to]) for name, values in zip(self.names, outputs)]
            responses.append(pb_utils.InferenceResponse(tensors))
            at = to
        return responses

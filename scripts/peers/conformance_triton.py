"""A model of Triton's Python backend that gives its inputs back."""

import triton_python_backend_utils as backend


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    @staticmethod
    def answer(request):
        wanted = request.requested_output_names()
        same = (
            backend.Tensor(tensor.name().replace("in_", "out_", 1), tensor.as_numpy())
            for tensor in request.inputs()
        )
        return backend.InferenceResponse([tensor for tensor in same if tensor.name() in wanted])

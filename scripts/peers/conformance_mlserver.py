"""A runtime of MLServer that gives its inputs back: the outputs asked for, through MLServer's own codec.

Like MLServer's own runtimes it refuses outputs that it does not have, and does not look at what the metadata
say of its inputs.
"""

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceResponse, ResponseOutput


class Same(MLModel):
    async def predict(self, payload):
        outputs = {self.named(tensor): tensor for tensor in payload.inputs}
        wanted = [output.name for output in payload.outputs or []] or list(outputs)
        for name in wanted:
            if name not in outputs:
                raise InferenceError(f"there is no output {name}")
        return InferenceResponse(
            model_name=self.name, model_version=self.version,
            outputs=[self.same(name, outputs[name]) for name in wanted],
        )

    @staticmethod
    def named(tensor):
        return tensor.name.replace("in_", "out_", 1)

    @staticmethod
    def same(name, tensor):
        if tensor.datatype == "BYTES":
            # The codec of texts knows one axis only.
            return ResponseOutput(
                name=name, shape=tensor.shape, datatype="BYTES", data=tensor.data
            )
        return NumpyCodec.encode_output(name, NumpyCodec.decode_input(tensor))

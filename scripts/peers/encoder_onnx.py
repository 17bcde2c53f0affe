"""Export a BERT sentence encoder to ONNX: mean of the words' vectors, length 1, as all-MiniLM-L6-v2 is meant.

Usage: PYTHON scripts/peers/encoder_onnx.py FOLDER ENCODER.onnx     (gpu.txt beside it)

FOLDER is one of Sentence Transformers. The file takes input_ids, attention_mask and token_type_ids, int64[-1, -1], and
gives embedding, float32[-1, width].
"""

import sys

import torch
from transformers import BertModel

NAMES = ["input_ids", "attention_mask", "token_type_ids"]


class Encoder(torch.nn.Module):
    def __init__(self, folder):
        super().__init__()
        # Written out, for exporters do not know every way of fused attention.
        self.bert = BertModel.from_pretrained(folder, attn_implementation="eager", add_pooling_layer=False)

    def forward(self, ids, mask, types):
        words = self.bert(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state
        there = mask.unsqueeze(-1).to(words.dtype)
        mean = (words * there).sum(1) / there.sum(1)
        return torch.nn.functional.normalize(mean, dim=1)


def main(folder, path):
    ids = torch.tensor([[101, 7592, 2088, 102], [101, 4419, 102, 0]])
    inputs = (ids, (ids != 0).long(), torch.zeros_like(ids))
    axes = {name: {0: "texts", 1: "words"} for name in NAMES} | {"embedding": {0: "texts"}}
    names = dict(input_names=NAMES, output_names=["embedding"], dynamic_axes=axes)
    with torch.no_grad():
        torch.onnx.export(Encoder(folder).eval(), inputs, path, dynamo=False, opset_version=17, **names)


main(*sys.argv[1:])

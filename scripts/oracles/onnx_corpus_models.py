"""The models of onnx_corpus.py: small networks, not trained, with rows for them."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

SEED = 20260722
ROWS = 6


@dataclass
class Case:
    name: str
    module: object
    inputs: dict
    outputs: tuple = ("y",)
    # Axes beside the first that vary, by name of the tensor.
    axes: dict = field(default_factory=dict)
    dynamo: bool = False
    half: bool = False


def rng():
    return np.random.default_rng(SEED)


def floats(*shape, dtype=np.float32):
    return rng().standard_normal((ROWS, *shape)).astype(dtype)


def wholes(limit, *shape):
    return rng().integers(0, limit, (ROWS, *shape))


def mlp(*widths, activation=nn.ReLU):
    layers = [part for a, b in zip(widths, widths[1:]) for part in (nn.Linear(a, b), activation())]
    return nn.Sequential(*layers[:-1])


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.second = nn.Conv2d(channels, channels, 1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return torch.relu(x + self.norm(self.second(torch.relu(self.first(x)))))


class Recurrent(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.cells = kind(5, 12, batch_first=True, **options)
        self.head = nn.Linear(24 if options.get("bidirectional") else 12, 3)

    def forward(self, x):
        return self.head(self.cells(x)[0][:, -1])


class Attention(nn.Module):
    """A block of a transformer's encoder; what `keep` says is false is not attended to."""

    def __init__(self, width=16, heads=4):
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 32), nn.GELU(), nn.Linear(32, width))

    def forward(self, x, keep):
        batch, length, width = x.shape
        split = lambda part: part.reshape(batch, length, self.heads, -1).transpose(1, 2)
        q, k, v = (split(part) for part in self.project(self.first(x)).chunk(3, dim=-1))
        scores = q @ k.transpose(-1, -2) / (width / self.heads) ** 0.5
        scores = scores.masked_fill(~keep[:, None, None, :], -1e9).softmax(dim=-1)
        x = x + self.out((scores @ v).transpose(1, 2).reshape(batch, length, width))
        return x + self.feed(self.second(x))


class Bag(nn.Module):
    """The mean of words' vectors."""

    def __init__(self):
        super().__init__()
        self.words, self.head = nn.Embedding(200, 16), nn.Linear(16, 4)

    def forward(self, words):
        return self.head(self.words(words).mean(dim=1)).softmax(dim=-1)


class TwoAndTwo(nn.Module):
    def __init__(self):
        super().__init__()
        self.kinds, self.body = nn.Embedding(10, 6), mlp(14, 24, 12)
        self.score, self.logits = nn.Linear(12, 1), nn.Linear(12, 3)

    def forward(self, features, kind):
        hidden = self.body(torch.cat([features, self.kinds(kind)], dim=1)).tanh()
        return self.logits(hidden), self.score(hidden).squeeze(1)


class MaskedMean(nn.Module):
    def forward(self, x, mask):
        weights = mask.unsqueeze(-1).to(x.dtype)
        return (x * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


class Best(nn.Module):
    """Classes, and how likely they are."""

    def __init__(self):
        super().__init__()
        self.body = mlp(8, 16, 5)

    def forward(self, x):
        likely, classes = self.body(x).softmax(dim=1).topk(2, dim=1)
        return classes, likely


class Pixels(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.SiLU(), nn.Flatten(), nn.Linear(36, 2))

    def forward(self, image):
        return self.body(image.permute(0, 3, 1, 2).float() / 255 - 0.5)


def torch_models():
    torch.manual_seed(SEED)
    cnn = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10),
    )
    temporal = nn.Sequential(nn.Conv1d(4, 8, 3, dilation=2), nn.ELU(), nn.Conv1d(8, 2, 3), nn.Hardswish())
    keep = rng().random((ROWS, 7)) < 0.7
    keep[:, 0] = True
    lengths = {"x": {1: "length"}}
    return [
        Case("mlp", mlp(30, 32, 16, 2), {"x": floats(30)}),
        Case("mlp_dynamo", mlp(12, 24, 3, activation=nn.GELU), {"x": floats(12)}, dynamo=True),
        Case("cnn", cnn, {"x": floats(1, 16, 16)}),
        Case("residual", nn.Sequential(nn.Conv2d(3, 8, 3), Residual(8), nn.AvgPool2d(2)), {"x": floats(3, 10, 10)}),
        Case("residual_dynamo", nn.Sequential(nn.Conv2d(3, 8, 3), Residual(8)), {"x": floats(3, 10, 10)}, dynamo=True),
        Case("temporal", temporal, {"x": floats(4, 20)}),
        Case("lstm", Recurrent(nn.LSTM, bidirectional=True), {"x": floats(9, 5)}, axes=lengths),
        Case("gru", Recurrent(nn.GRU, num_layers=2), {"x": floats(9, 5)}, axes=lengths),
        Case("attention", Attention(), {"x": floats(7, 16), "keep": keep}, axes={"x": {1: "length"}, "keep": {1: "length"}, "y": {1: "length"}}),
        Case("attention_dynamo", Attention(), {"x": floats(7, 16), "keep": keep}, dynamo=True),
        Case("bag", Bag(), {"words": wholes(200, 11)}, axes={"words": {1: "length"}}),
        Case("two_and_two", TwoAndTwo(), {"features": floats(8), "kind": wholes(10)}, outputs=("logits", "score")),
        Case("masked_mean", MaskedMean(), {"x": floats(7, 4), "mask": keep}),
        Case("best", Best(), {"x": floats(8)}, outputs=("classes", "likely")),
        Case("pixels", Pixels(), {"image": wholes(256, 8, 8, 3).astype(np.uint8)}),
        Case("double", mlp(6, 16, 2, activation=nn.Tanh).double(), {"x": floats(6, dtype=np.float64)}),
        Case("half", mlp(10, 24, 4).half(), {"x": floats(10, dtype=np.float16)}, half=True),
    ]


def keras_models():
    import keras
    from keras import layers

    keras.utils.set_random_seed(SEED)

    def model(shape, *parts, dtype="float32"):
        x = start = keras.Input(shape, dtype=dtype)
        for part in parts:
            x = part(x)
        return keras.Model(start, x)

    numbers, kind = keras.Input((8,), name="numbers"), keras.Input((3,), name="other")
    joined = layers.Concatenate()([layers.Dense(12, activation="tanh")(numbers), kind])
    two = keras.Model([numbers, kind], [layers.Dense(3, activation="softmax")(joined), layers.Dense(1)(joined)])
    start = keras.Input((7, 8))
    attended = layers.MultiHeadAttention(2, 4)(start, start)
    block = keras.Model(start, layers.Dense(2)(layers.GlobalAveragePooling1D()(layers.LayerNormalization()(start + attended))))
    image = (12, 12, 2)
    return [
        Case("dense", model((20,), layers.Dense(24, activation="relu"), layers.Dense(3, activation="softmax")), {"x": floats(20)}),
        Case("normalised", model((9,), layers.BatchNormalization(), layers.Dense(16, activation="selu"), layers.Dense(1)), {"x": floats(9)}),
        Case("conv", model(image, layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(2)), {"x": floats(*image)}),
        Case("separable", model(image, layers.SeparableConv2D(6, 3), layers.GlobalAveragePooling2D(), layers.Dense(2, activation="sigmoid")), {"x": floats(*image)}),
        Case("lstm", model((6, 4), layers.LSTM(8), layers.Dense(2)), {"x": floats(6, 4)}),
        Case("gru", model((6, 4), layers.GRU(8), layers.Dense(2)), {"x": floats(6, 4)}),
        Case("attention", block, {"x": floats(7, 8)}),
        Case("two_and_two", two, {"numbers": floats(8), "other": floats(3)}),
        Case("embedding", model((5,), layers.Embedding(50, 8), layers.Flatten(), layers.Dense(3), dtype="int32"), {"x": wholes(50, 5).astype(np.int32)}),
    ]

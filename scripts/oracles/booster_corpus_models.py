"""What the parts of booster_corpus.py share: a trained model, and data to train on. Makes no files."""

from dataclasses import dataclass, field
from typing import Any, Callable

import numpy as np
from boosted_lightgbm import categorical, with_missing

SEED = 20261122


@dataclass
class Case:
    """A trained model, saved, with rows it was fitted on and its library's answer."""

    library: str
    name: str
    file: str
    bytes: bytes
    # As its file names it; and what else of the format it shows.
    objective: str
    shows: str
    data: Any = None
    texts: Any = None
    dtype: Any = np.float32
    thresholds: dict = field(default_factory=dict)
    columns: dict = field(default_factory=dict)
    predict: Callable = None
    bound: float = 1e-6
    # Words of the refusal, if it does not load.
    refused: str = ""


@dataclass
class Data:
    """Rows, and something to learn for each kind of objective."""

    mixed: Any
    numbers: Any
    gaps: Any
    target: Any

    @property
    def binary(self):
        return (self.target > 0.5).astype(int)

    @property
    def classes(self):
        return np.digitize(self.target, [0, 1])

    @property
    def share(self):
        return 1 / (1 + np.exp(-self.target))

    @property
    def positive(self):
        return np.exp(0.4 * self.target)

    @property
    def counts(self):
        return np.random.default_rng(SEED).poisson(self.positive)

    @property
    def relevance(self):
        return np.digitize(self.target, [0, 1, 2])

    @property
    def groups(self):
        return np.repeat(np.arange(len(self.target) // 30), 30)

    @property
    def several(self):
        return np.column_stack([self.target, -self.target, self.numbers[:, 1]])


def data():
    """Codes of categories and numbers, of which some are missing in one of the columns only."""
    rng = np.random.default_rng(SEED)
    mixed, target = categorical(rng, 600)
    numbers = mixed[:, 2:].astype(np.float32)
    gaps = numbers.copy()
    gaps[:, 1:2] = with_missing(gaps[:, 1:2], 0.3, rng)
    return Data(mixed, numbers, gaps, target)


def held_out(rows, target):
    """Rows to stop by: with some labels wrong, so that it comes before the end."""
    rng = np.random.default_rng(SEED)
    rows, target = rows[::3], np.asarray(target)[::3]
    return rows, np.where(rng.random(len(target)) < 0.1, 1 - target, target)

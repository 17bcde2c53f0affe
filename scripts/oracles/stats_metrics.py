"""Cases of metrics with the answers of scikit-learn, and DeLong by definition.

Imported by stats.py. Values are scikit-learn's. Variances of areas are those of
DeLong, DeLong and Clarke-Pearson (1988) over all pairs of rows; a class of one
row adds nothing to them, as in mlops-core. The interval of one area is normal
on the logit scale, or exact where the area is 0 or 1: no library has it, so it
is written out. Log-loss keeps the probability of what came within 1e-15 and
1 - 1e-15; scikit-learn clips the probability of yes at 2.2e-16 instead, so that
cases at 0 and 1 follow our definition and the others scikit-learn.
"""

import itertools

import numpy as np
from scipy import special, stats
from sklearn.metrics import (
    accuracy_score, brier_score_loss, log_loss, roc_auc_score,
)

from stats_cases import LEVELS, mean, paired_difference, share

SEED = 19880901
CLIP = 1e-15


def drawn(rng, n, digits=None):
    """Labels of both classes with scores that know something of them."""
    labels = rng.integers(0, 2, size=n)
    labels[:2] = 0, 1
    scores = special.expit(rng.normal(size=n) + 1.5 * labels - 0.75)
    return labels.tolist(), (scores if digits is None else np.round(scores, digits))


def scored():
    """Small and large samples, ties, perfect and constant scores, rare classes."""
    rng = np.random.default_rng(SEED)
    yield [0, 1], [0.2, 0.8]
    yield [0, 1], [0.8, 0.2]
    yield [0, 1], [0.5, 0.5]
    yield [0, 0, 1, 1], [0.1, 0.2, 0.2, 0.9]
    yield [0] * 30 + [1] * 20, [0.3] * 50
    yield [0] * 9 + [1] * 4, np.linspace(0.05, 0.95, 13).tolist()
    yield [1] * 4 + [0] * 9, np.linspace(0.05, 0.95, 13).tolist()
    yield [1] + [0] * 99, np.round(rng.random(100), 3).tolist()
    yield [0, 0] + [1] * 98, np.round(rng.random(100), 3).tolist()
    for n in (4, 6, 10, 20, 40, 80, 120):
        for digits in (0, 1, 2, 3, None, None, None):
            labels, scores = drawn(rng, n, digits)
            yield labels, scores.tolist()


def placements(labels, scores):
    """For each positive row the share of negatives below it, and the mirror image."""
    labels, scores = np.array(labels), np.array(scores)
    x, y = scores[labels == 1][:, None], scores[labels == 0][None, :]
    wins = (x > y) + 0.5 * (x == y)
    return wins.mean(axis=1), wins.mean(axis=0)


def covariance(first, second):
    """DeLong's covariance of two areas from their placements."""
    parts = [
        np.cov(a, b)[0, 1] / len(a) if len(a) > 1 else 0.0
        for a, b in zip(first, second)
    ]
    return float(sum(parts))


def area(labels, scores, level):
    value = float(roc_auc_score(labels, scores))
    own = placements(labels, scores)
    variance = covariance(own, own)
    tail = (1 - level) / 2
    if value in (0.0, 1.0):
        bound = tail ** (1 / min(sum(labels), len(labels) - sum(labels)))
        low, high = (bound, 1.0) if value == 1.0 else (0.0, 1 - bound)
    else:
        reach = stats.norm.isf(tail) * variance**0.5 / (value * (1 - value))
        low, high = special.expit(special.logit(value) + np.array([-reach, reach]))
    return {
        "area": value, "variance": variance, "low": float(low), "high": float(high),
    }


def areas():
    levels = itertools.cycle(LEVELS)
    return [
        {"labels": labels, "scores": scores, "level": level}
        | area(labels, scores, level)
        for (labels, scores), level in zip(scored(), levels)
    ]


def pairs():
    """Two models' scores of the same rows: alike, unlike, mirrored, the same."""
    rng = np.random.default_rng(SEED + 1)
    yield [0, 1], [0.2, 0.8], [0.8, 0.2]
    yield [0, 1, 1], [0.5, 0.5, 0.5], [0.1, 0.2, 0.3]
    for n in (4, 8, 12, 20, 50, 120):
        for digits in (1, 2, 3, 4, 6):
            labels, first = drawn(rng, n, digits)
            noise = special.expit(special.logit(np.clip(first, 0.01, 0.99)) +
                                  rng.normal(scale=0.5, size=n))
            second = np.round(noise, digits)
            yield labels, first.tolist(), second.tolist()
            yield labels, first.tolist(), np.round(rng.random(n), digits).tolist()
        yield labels, first.tolist(), first.tolist()


def area_difference(labels, first, second, level):
    """First less second, normal, cut at -1 and 1."""
    values = [float(roc_auc_score(labels, scores)) for scores in (first, second)]
    a, b = placements(labels, first), placements(labels, second)
    both = covariance(a, b)
    variance = covariance(a, a) + covariance(b, b) - 2 * both
    reach = stats.norm.isf((1 - level) / 2) * max(variance, 0.0) ** 0.5
    difference = values[0] - values[1]
    return {
        "difference": difference, "covariance": both,
        "low": max(difference - reach, -1.0), "high": min(difference + reach, 1.0),
    }


def area_differences():
    levels = itertools.cycle(LEVELS)
    return [
        {"labels": labels, "first": first, "second": second, "level": level}
        | area_difference(labels, first, second, level)
        for (labels, first, second), level in zip(pairs(), levels)
    ]


def losses(labels, scores):
    """Each row's log-loss and squared distance, and whether 1e-15 mattered."""
    labels, scores = np.array(labels), np.array(scores)
    given = np.where(labels == 1, scores, 1 - scores)
    kept = np.clip(given, CLIP, 1 - CLIP)
    return -np.log(kept), (scores - labels) ** 2, bool((kept != given).any())


def evaluation(labels, scores, threshold, level):
    """Every metric as [value, low, high]; null for an area where a class has less than two rows."""
    n = len(labels)
    answers = (np.array(scores) >= threshold).astype(int)
    accuracy = float(accuracy_score(labels, answers))
    ends = share(int(round(accuracy * n)), n, level, "wilson")
    log, square, clipped = losses(labels, scores)
    by_mean = lambda rows: [mean(rows.tolist(), level)[k] for k in ("mean", "low", "high")]
    of_log, of_square = by_mean(log), by_mean(square)
    if not clipped:
        of_log[0] = float(log_loss(labels, scores, labels=[0, 1]))
    of_square[0] = float(brier_score_loss(labels, scores, pos_label=1))
    own = area(labels, scores, level) if 1 < sum(labels) < n - 1 else None
    return {
        "accuracy": [accuracy, ends["low"], ends["high"]],
        "roc_auc": own and [own["area"], own["low"], own["high"]],
        "log_loss": of_log, "brier": of_square,
    }


def evaluations():
    extremes = [
        ([1, 1, 1], [0.2, 0.9, 0.8]), ([0, 0], [0.5, 0.5]), ([0, 1], [0.0, 1.0]),
        ([0, 1], [1.0, 0.0]), ([1, 1, 0, 0], [1e-300, 1e-16, 1e-15, 1.0]),
    ]
    cycles = zip(itertools.cycle([0.5, 0.5, 0.3, 0.8, 0.0, 1.0]), itertools.cycle(LEVELS))
    return [
        {"labels": labels, "scores": scores, "threshold": threshold, "level": level}
        | evaluation(labels, scores, threshold, level)
        for (labels, scores), (threshold, level)
        in zip(itertools.chain(extremes, scored()), cycles)
    ]


def comparison(labels, champion, challenger, level):
    """How much better the challenger is, by each metric, as [value, low, high]."""
    right = [
        (np.array(scores) >= 0.5) == np.array(labels) for scores in (challenger, champion)
    ]
    table = [int((a & b).sum()) for a, b in (
        (right[0], right[1]), (right[0], ~right[1]),
        (~right[0], right[1]), (~right[0], ~right[1]),
    )]
    accuracy = paired_difference(table, level)
    of_area = area_difference(labels, challenger, champion, level)
    ours, theirs = losses(labels, challenger), losses(labels, champion)
    saved = [mean((b - a).tolist(), level) for a, b in zip(ours[:2], theirs[:2])]
    listed = lambda case, key: [case[key], case["low"], case["high"]]
    return {
        "accuracy": listed(accuracy, "difference"),
        "roc_auc": listed(of_area, "difference") if 1 < sum(labels) < len(labels) - 1 else None,
        "log_loss": listed(saved[0], "mean"), "brier": listed(saved[1], "mean"),
    }


def comparisons():
    levels = itertools.cycle(LEVELS)
    return [
        {"labels": labels, "champion": first, "challenger": second, "level": level}
        | comparison(labels, first, second, level)
        for (labels, first, second), level in zip(pairs(), levels)
    ]

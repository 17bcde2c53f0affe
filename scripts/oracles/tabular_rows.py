"""The rows that tabular.py puts before the models.

Imported by tabular.py. A model that compares floats goes wrong at the edges,
so most rows sit there: on every split threshold and one float32 step to either
side, on NaN and on the infinities. The rest are ordinary rows.
"""

import numpy as np
from onnx import helper

ROWS = 10_000
NAN_ROWS = 400
INF_ROWS = 250


def tree_nodes(proto):
    """Yield (tree id, {node id: attributes}) of every tree in the graph."""
    for node in proto.graph.node:
        if not node.op_type.startswith("TreeEnsemble"):
            continue
        attr = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        keys = ("featureids", "values", "modes", "truenodeids", "falsenodeids")
        keys += ("missing_value_tracks_true",)
        columns = [attr["nodes_" + k] for k in keys]
        trees = {}
        ids = zip(attr["nodes_treeids"], attr["nodes_nodeids"])
        for (tree, node_id), *rest in zip(ids, *columns):
            trees.setdefault(tree, {})[node_id] = rest
        yield from trees.items()


def reached(tree, data):
    """Yield (feature, threshold, indexes of the rows of `data` that get there)."""
    todo = [(0, np.arange(len(data)))]
    while todo:
        node_id, rows = todo.pop()
        feature, value, mode, if_true, if_false, nan_is_true = tree[node_id]
        if mode == b"LEAF":
            continue
        if mode != b"BRANCH_LEQ":
            raise ValueError(f"unexpected node mode {mode!r}")
        threshold = np.float32(value)
        yield feature, threshold, rows
        values = data[rows, feature]
        left = (values <= threshold) | (np.isnan(values) & bool(nan_is_true))
        todo += [(if_true, rows[left]), (if_false, rows[~left])]


def threshold_rows(proto, data, rng):
    """Three rows per distinct split: on the threshold and one step to each side.

    The other features come from a real row that reaches the node, so that the
    comparison at this threshold is one the ensemble does evaluate.
    """
    splits = {}
    for _, tree in tree_nodes(proto):
        for feature, threshold, rows in reached(tree, data):
            if len(rows) or (feature, threshold) not in splits:
                splits[feature, threshold] = rows
    made = []
    for (feature, threshold), rows in sorted(splits.items(), key=lambda s: s[0]):
        base = data[rng.choice(rows if len(rows) else len(data))]
        for toward in (threshold, np.float32(-np.inf), np.float32(np.inf)):
            row = base.copy()
            row[feature] = np.nextafter(threshold, toward)
            made.append(row)
    return np.array(made, np.float32).reshape(-1, data.shape[1])


def real_rows(data, count, rng):
    """Rows of the data: half of them as they are, half with a little noise."""
    rows = data[rng.integers(len(data), size=count)]
    spread = np.nanstd(data, axis=0) * 0.05
    noise = rng.normal(size=rows.shape) * spread
    noise[: count // 2] = 0.0
    return (rows + noise).astype(np.float32)


def normal_rows(data, count, rng):
    """Normals three times as wide as the data: also where no row ever was."""
    centre, spread = np.nanmean(data, axis=0), np.nanstd(data, axis=0)
    normal = rng.normal(size=(count, data.shape[1]))
    return (centre + 3.0 * spread * normal).astype(np.float32)


def punched(rows, values, rng):
    """Overwrite a random share of each row's features with one of `values`."""
    share = rng.choice([0.05, 0.2, 0.6, 1.0], size=(len(rows), 1))
    hit = rng.random(rows.shape) < share
    # At least one feature per row, or the row would test nothing.
    hit[np.arange(len(rows)), rng.integers(rows.shape[1], size=len(rows))] = True
    return np.where(hit, rng.choice(values, size=rows.shape), rows).astype(np.float32)


def constant_rows(width):
    """Zero of both signs, the smallest and the largest floats in every feature."""
    info = np.finfo(np.float32)
    values = [0.0, -0.0, info.smallest_subnormal, -info.smallest_subnormal]
    values += [info.tiny, -info.tiny, info.max, info.min, 1.0, -1.0]
    return np.repeat(np.array(values, np.float32)[:, None], width, axis=1)


def input_rows(proto, data, rng):
    """ROWS rows for one model, and how many of them sit at thresholds."""
    special = [
        punched(real_rows(data, NAN_ROWS, rng), [np.nan], rng),
        punched(real_rows(data, INF_ROWS, rng), [np.inf, -np.inf], rng),
        constant_rows(data.shape[1]),
    ]
    edges = threshold_rows(proto, data, rng)
    real = 4_000
    room = ROWS - real - sum(map(len, special))
    if len(edges) > room:
        raise ValueError(f"{len(edges)} threshold rows, room for {room}")
    filler = normal_rows(data, room - len(edges), rng)
    parts = [real_rows(data, real, rng), edges, filler, *special]
    return np.concatenate(parts), len(edges)

"""Models whose work is known: ONNX files written by hand, and questions to them.

A row of 16 numbers is put into one of WIDTH, turned by PRODUCTS square matrices one after the other, and added up.
Each matrix has a single 1 in a row and in a column: the answer is the sum of the row, to the bit, whatever is computed
beside it and however long it takes.
"""

import struct

FEATURES = 16
FLOAT, INT64 = 1, 7
# Rows that the table of a model with ids has; any other id fails the whole call.
IDS = 1000


def chain(width, products, ids=False):
    """`x: FP32 [-1, 16]` in, or `id: INT64 [-1]`, which a table turns into a row that adds up to the id; out comes
    `y: FP32 [-1, 1]`."""
    turned = ((row, (row + 1) % width) for row in range(width))
    parts = [
        matrix("first", (FEATURES, width), ((at, at) for at in range(FEATURES))),
        matrix("turn", (width, width), turned),
        matrix("last", (width, 1), ((row, 0) for row in range(width))),
    ]
    if ids:
        table = b"".join(struct.pack(f"<{FEATURES}f", at, *[0] * (FEATURES - 1)) for at in range(IDS))
        parts += [tensor("table", (IDS, FEATURES), table), port(11, "id", INT64, [-1])]
        parts.append(node("Gather", ["table", "id"], "x"))
    else:
        parts.append(port(11, "x", FLOAT, [-1, FEATURES]))
    parts.append(node("MatMul", ["x", "first"], "x0"))
    parts += [node("MatMul", [f"x{at}", "turn"], f"x{at + 1}") for at in range(products)]
    parts += [node("MatMul", [f"x{products}", "last"], "y"), port(12, "y", FLOAT, [-1, 1])]
    graph = b"".join([*parts, field(2, b"chain")])
    return number(1, 8) + field(7, graph) + field(8, field(1, b"") + number(2, 15))


def matrix(name, shape, ones):
    values = bytearray(4 * shape[0] * shape[1])
    for row, column in ones:
        struct.pack_into("<f", values, 4 * (row * shape[1] + column), 1.0)
    return tensor(name, shape, bytes(values))


def tensor(name, shape, values):
    axes = b"".join(number(1, axis) for axis in shape)
    return field(5, axes + number(2, FLOAT) + field(8, name.encode()) + field(9, values))


def node(operator, inputs, output):
    named = b"".join(field(1, name.encode()) for name in inputs)
    return field(1, named + field(2, output.encode()) + field(3, output.encode()) + field(4, operator.encode()))


def port(tag, name, kind, shape):
    axes = (field(1, field(2, b"N") if axis < 0 else number(1, axis)) for axis in shape)
    described = number(1, kind) + field(2, b"".join(axes))
    return field(tag, field(1, name.encode()) + field(2, field(1, described)))


def question(model, rows):
    """`ModelInferRequest` of so many rows of ones for `x`."""
    shape = field(3, varint(rows) + varint(FEATURES))
    x = field(1, b"x") + field(2, b"FP32") + shape
    return field(1, model.encode()) + field(5, x) + field(7, struct.pack("<f", 1.0) * FEATURES * rows)


def field(tag, content):
    return varint(tag << 3 | 2) + varint(len(content)) + content


def number(tag, value):
    return varint(tag << 3) + varint(value)


def varint(value):
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])

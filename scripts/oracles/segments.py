"""Segments of metric points, written by hand after the documentation of their form.

Version 1 as `mlops_registry::store::segment` and its columns describe it. The
test reads them: what version 1 wrote must open for ever.
"""

import math
import struct
import zlib

from common import ROOT, write_json

MASK = 2**64 - 1


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def signed(number):
    """Zigzag, in 64 bits that wrap."""
    number = (number + 2**63) % 2**64 - 2**63
    return varint((number << 1 ^ number >> 63) & MASK)


def ints(numbers, even=False, thousands=False):
    unit = 1000 if thousands else 1
    scaled = [number // unit for number in numbers]
    steps = [b - a for a, b in zip(scaled, scaled[1:])]
    out = bytes([(0 if even else 1) + (2 if thousands else 0)])
    out += b"".join(map(signed, scaled[:1] + steps[:1]))
    if not even:
        out += b"".join(signed(b - a) for a, b in zip(steps, steps[1:]))
    return out


def bits(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def same(values):
    return b"\0" + struct.pack("<d", values[0])


def raw(values):
    return b"\1" + struct.pack(f"<{len(values)}d", *values)


def alike(values):
    out, before = b"\2", 0
    for value in values:
        differs, before = bits(value) ^ before, bits(value)
        text = differs.to_bytes(8, "big")
        zero = len(text) - len(text.lstrip(b"\0"))
        written = text.strip(b"\0")
        out += bytes([zero << 4 | len(written)]) + written[::-1]
    return out


def decimal(values, places, **how):
    return bytes([16 + places]) + ints([round(v * 10**places) for v in values], **how)


def segment(steps, times, values, count):
    body = b"\1" + varint(count) + steps + times + values
    return body + struct.pack("<I", zlib.crc32(body))


def case(name, points, steps, times, values):
    columns = zip(*points)
    own_steps, own_times, own_values = map(list, columns)
    written = segment(steps(own_steps), times(own_times), values(own_values), len(points))
    shown = [[step, time, f"{bits(value):016x}"] for step, time, value in points]
    return {"name": name, "hex": written.hex(), "points": shown}


even = lambda numbers: ints(numbers, even=True)
millis = lambda numbers: ints(numbers, thousands=True)
odd = [-math.inf, -1.5, -0.0, 0.0, 5e-324, math.pi, math.inf, math.nan]
training = [(n, 1_700_000_000_000_000 + 137_000 * n + n % 7 * 1000, math.exp(-n / 9)) for n in range(40)]
rounded = [(n * 5, 250 * n, round(0.9 - 0.01 * n, 2)) for n in range(9)]
far = [(-(2**63), 2**63 - 1, 1.0), (0, -(2**63), 1.0), (2**63 - 1, 7, 1.0)]
together = [(0, 0, value) for value in odd]

write_json(
    ROOT / "mlops-registry/tests/data/segments_v1.json",
    {
        "cases": [
            case("training", training, even, millis, alike),
            case("training, raw", training, even, ints, raw),
            case("rounded", rounded, even, even, lambda v: decimal(v, 2, even=True)),
            case("far apart", far, ints, ints, same),
            case("one step", together, even, even, alike),
            case("one point", [(3, 4000, 2.5)], even, ints, lambda v: decimal(v, 1)),
        ]
    },
)

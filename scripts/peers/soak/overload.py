"""Ten times what it can bear, for a minute.

The model takes some milliseconds a row (64 products of 512 × 512 in the engine `tabular`): so what is bounded is
the server's work, not the load generator's, with which it shares the processors. What it can bear is what a closed
loop gets; the load is an open loop, Poisson: a quarter of that, then ten times that, then a quarter again.

The bound is that of the queue, in the defaults of `mlops serve`: 256 requests wait for the model and as many as it
has threads are computed, so at the rate that it can bear the last of them is answered after so many divided by that
rate. Refusing the others, and asking, takes a share of the same processors: p99 of what was accepted is held against
twice that.
"""

import os

from models import FEATURES, chain
from served import Load, Served, percentile

WAITING = 256
TIMES, OVERLOAD_S, BESIDE_S = 10, float(os.environ.get("SOAK_SECONDS", 60)), 10
CONNECTIONS = 768


def run(verdicts, program, load, folder):
    model, rows = folder / "millis.onnx", folder / "ones.f32"
    model.write_bytes(chain(512, 64))
    rows.write_bytes(bytes([0, 0, 128, 63]) * FEATURES)
    with Served(program, folder, "--engine", "tabular", "--model", f"m={model}") as served:
        served.ready()
        load = Load(load, served, "m", "x", rows, FEATURES)
        requests, took, p50, *_ = load.turn("closed", 8, 5)
        rate = requests / took
        print(f"closed loop, 8 callers: {rate:.0f} requests/s, p50 {p50 / 1e3:.1f} ms")
        before = served.resident_kib()
        beside, answers = f"{rate / 4:.2f}:{BESIDE_S}", folder / "answers"
        load.turn(f"{beside},{TIMES * rate:.2f}:{OVERLOAD_S},{beside}", CONNECTIONS, 0, answers)
        judge(verdicts, [Answer(line) for line in answers.read_text().splitlines()], rate, os.cpu_count())
        after = served.resident_kib()
        print(f"resident: {before / 1024:.1f} MiB before, {after / 1024:.1f} MiB after")
        faults = served.faults()
        verdicts.holds(f"no panic, no internal error: {faults}", not any(faults.values()))


def judge(verdicts, answers, rate, threads):
    begin, end = BESIDE_S * 1e6, (BESIDE_S + OVERLOAD_S) * 1e6
    before, overload = within(answers, 0, begin), within(answers, begin, end)
    taken, refused = ([one for one in overload if one.status == status] for status in (200, 429))
    others = [one.status for one in answers if one.status not in (200, 429)]
    text = f"{len(overload):,} requests in {OVERLOAD_S:.0f} s: {len(taken):,} answered, {len(refused):,} got 429"
    verdicts.holds(f"{text}; all along {len(others)} others", taken and refused and not others)
    verdicts.holds("every 429 says Retry-After", all(one.retries for one in answers if one.status == 429))
    bound, late = 2 * (WAITING + threads) / rate * 1e3, p99_ms(taken)
    verdicts.in_time(f"accepted: p99 {late:.0f} ms; twice ({WAITING} + {threads}) / {rate:.0f} s are {bound:.0f}",
                     late <= bound)
    print(f"refused: p99 {p99_ms(refused):.1f} ms")
    usual = f"before: p99 {p99_ms(before):.1f} ms, all answered: {all_answered(before)}"
    at_once = within(answers, end, end + 1e6)
    verdicts.in_time(f"the first second from the end of the load: all answered: {all_answered(at_once)}; "
                     f"p99 {p99_ms(at_once):.1f} ms, for what had waited goes first; {usual}", all_answered(at_once))
    drained = nobody_waits(answers, end, threads)
    after = within(answers, drained, drained + 1e6)
    verdicts.in_time(f"the first second from when nobody waits, {(drained - end) / 1e3:.0f} ms later: all answered: "
                     f"{all_answered(after)}; p99 {p99_ms(after):.1f} ms; at most twice that of before",
                     all_answered(after) and p99_ms(after) <= 2 * p99_ms(before))
    last = within(answers, end + BESIDE_S * 5e5, end + BESIDE_S * 1e6)
    verdicts.holds(f"from {BESIDE_S / 2:.0f} s later all answered: {len(last):,} requests", all_answered(last))


def nobody_waits(answers, end, threads):
    """The first time from the end at which no more requests are open than are computed at once."""
    changes = [(one.due, 1) for one in answers] + [(one.due + one.took, -1) for one in answers]
    count = 0
    for at, change in sorted(changes):
        count += change
        if at >= end and count <= threads:
            return at
    return end


def within(answers, begin, end):
    return [one for one in answers if begin <= one.due < end]


def all_answered(some):
    return len(some) > 0 and all(one.status == 200 for one in some)


def p99_ms(some):
    return percentile([one.took for one in some], 0.99) / 1e3


class Answer:
    """When it was due and how long it took, in µs; its status; whether it says when to ask again."""

    def __init__(self, line):
        self.due, self.took, self.status, self.retries = map(int, line.split())

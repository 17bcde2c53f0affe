"""How soon `mlops serve` answers, and what it holds while nobody asks.

- ready: from starting the program to the first 200 of /v2/health/ready, 20 times
- idle: its resident memory (VmRSS) a second later
- endpoints: what one of 200 more endpoints of the same small model adds. The model is a linear regression, a file of
  294 bytes; its weights are counted in, as nothing beside the bound. An endpoint computes on up to as many threads as
  the machine runs at once; what one adds on a machine of 16 is said beside
"""

import statistics
import time

from served import DATA, PEERS, Served

MODEL = PEERS.parents[1] / "examples/data/employment_lightgbm.onnx"
SMALL = DATA / "linear_regressor.onnx"
STARTS, MORE = 20, 200
READY_MS, IDLE_MIB, ENDPOINT_KIB = 50, 30, 64


def run(verdicts, program, load, folder):
    took, resident = [], []
    for _ in range(STARTS):
        began = time.monotonic()
        with Served(program, folder, "--model", f"m={MODEL}") as served:
            served.ready(pause=0.0005)
            took.append((time.monotonic() - began) * 1e3)
            time.sleep(0.2)
            resident.append(served.resident_kib() / 1024)
    best, median = min(took), statistics.median(took)
    text = f"ready with {MODEL.name} ({MODEL.stat().st_size >> 10} KiB): best {best:.1f} ms, median {median:.1f} ms"
    verdicts.in_time(f"{text}; at most {READY_MS}", median <= READY_MS)
    verdicts.holds(f"idle: {max(resident):.1f} MiB resident at most; at most {IDLE_MIB}", max(resident) <= IDLE_MIB)
    each, text = added(program, folder)
    verdicts.holds(f"{text}; at most {ENDPOINT_KIB}", each <= ENDPOINT_KIB)
    print(f"with --threads 16, {added(program, folder, '--threads', 16)[1]}")


def added(program, folder, *flags):
    """What a further endpoint adds, in KiB, and the same in words."""
    one, many = (endpoints(program, folder, count, flags) for count in (1, 1 + MORE))
    each = (many[0] - one[0]) / MORE
    text = f"endpoints: 1 holds {one[0]} KiB and {one[1]} threads, {1 + MORE} hold {many[0]} KiB and {many[1]} threads"
    return each, f"{text}: {each:.1f} KiB each"


def endpoints(program, folder, count, flags):
    models = [word for at in range(count) for word in ("--model", f"m{at}={SMALL}")]
    with Served(program, folder, *models, *flags) as served:
        served.ready()
        time.sleep(1)
        return served.resident_kib(), served.threads()

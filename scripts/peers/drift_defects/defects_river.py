"""River's detectors of drift in streams, with their defaults, where nothing changes.

Usage: defects_river.py     prints rows of Markdown
"""

import math

import numpy as np
from river.drift import ADWIN, KSWIN, PageHinkley
from river.drift.binary import DDM, EDDM, FHDDM, HDDM_A, HDDM_W

from case import System

ROWS = 10_000


def main():
    system = System("River", "river")
    errors = lambda random: (random.random(ROWS) < 0.2).astype(int).tolist()
    normals = lambda random: random.normal(size=ROWS).tolist()
    of_errors = "errors of a model that is wrong one time in five"
    of_normals = "values of N(0,1) (our test: errors; its promise holds for any law)"
    for seed, detector in enumerate((ADWIN, PageHinkley, DDM, EDDM, FHDDM, HDDM_A, HDDM_W)):
        stable(system, np.random.default_rng(seed), detector, of_errors, errors, 10)
    stable(system, np.random.default_rng(7), PageHinkley, of_normals, normals, 10)
    # It takes half a millisecond a row.
    seeded = lambda: KSWIN(seed=1)
    stable(system, np.random.default_rng(8), seeded, of_errors, errors, 4)
    stable(system, np.random.default_rng(9), seeded, of_normals, normals, 4)


def stable(system, random, make, what, stream, streams):
    alarms = 0
    for _ in range(streams):
        detector = make()
        for value in stream(random):
            detector.update(value)
            alarms += detector.drift_detected
    # One in 10,000 rows, and three deviations.
    most = math.ceil(streams + 3 * math.sqrt(streams))
    system.row("D16", f"{type(detector).__name__}, {streams} streams of 10,000 {what}", f"at most {most} alarms",
               str(alarms), alarms <= most, "defects.rs::a_stable_stream_alarms_no_more_often_than_promised")


if __name__ == "__main__":
    main()

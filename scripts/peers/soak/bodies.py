"""10,000 mutated bodies in each encoding: JSON and binary tensors over REST, messages over gRPC.

`mlops conformance` makes, sends and judges them; here, that nothing is counted as a fault either. Twice: a model of one
packed input, and one of five inputs of numbers, whole numbers and texts.
"""

import json
import os
import subprocess

from served import DATA, Served

BODIES = int(os.environ.get("SOAK_BODIES", 10_000))
WANTED = {f"robustness.{way}_{what}" for way in ("json", "binary") for what in
          ("answered", "errors_have_words", "no_5xx", "errors_say_where")}
WANTED |= {"robustness.grpc_answered", "robustness.grpc_no_internal", "robustness.grpc_errors_say_where",
           "robustness.still_ready"}


def run(verdicts, program, load, folder):
    for name in ("lightgbm", "pipeline"):
        with Served(program, folder, "--model", f"m={DATA / name}.onnx") as served:
            served.ready()
            for check in checks(program, served):
                if check["name"] in WANTED:
                    seen = f": {check['seen']}" if "seen" in check else ""
                    line = f"{name}: {check['name']} of {BODIES:,}{seen}"
                    verdicts.holds(line, check["outcome"] == "passed")
            faults, failed = served.faults(), served.failed()
            asked = served.count("mlops_http_requests_total")
            text = f"{name}: {asked:,.0f} requests, {failed:.0f} answered with a 5xx or its like, {faults}"
            verdicts.holds(text, failed == 0 and not any(faults.values()))
            verdicts.holds(f"{name}: at least {3 * BODIES:,} bodies came", asked >= 3 * BODIES)


def checks(program, served):
    command = [program, "conformance", f"http://127.0.0.1:{served.port}", "--grpc", f"127.0.0.1:{served.grpc_port}",
               "--only", "robustness.", "--mutations", BODIES, "--json"]
    ran = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert ran.returncode in (0, 1), ran.stderr
    made = json.loads(ran.stdout)["checks"]
    missing = WANTED - {check["name"] for check in made}
    assert not missing, f"not checked: {missing}"
    return made

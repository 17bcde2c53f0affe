"""Recorded requests to an MLflow server: how one is asked, and how its answer is made comparable.

A case is a JSON object:

  name      "group: what", unique
  method    GET, POST, PATCH, PUT or DELETE
  path      begins with /
  query     [[name, value], …]; a name may come again
  json      the body as JSON; or
  text      the body as it is; or
  type      its Content-Type; application/json where there is a body, "" sends none
  headers   further headers, {name: value}
  capture   {variable: "dotted.path.0.into.the.answer"}: what later cases need
  status    the HTTP status of the answer
  answer    its body, normalised; for what is not JSON {"text"} or {"bytes": base64} and "headers"

Sent strings may hold `${variable}`; a string that is nothing but one becomes the captured value
with its type. `${x*300}` is "x" three hundred times. `{"$repeat": 3, "of": …}` is a list of three
in whose strings `${i}` is 0, 1, 2 (and a string `${i}` alone the number).

Normalised is: captured values are `${variable}` again, named by the first variable that took them
(values of eight characters or more wherever they occur in a string; shorter ones, which are numbers
of experiments, only as a value of experiment_id and behind `mlflow-artifacts:/`); other ids of 32
hexadecimal digits (but not those that cases send, with sixteen zeros) and other experiments but 0
are `${id}`; times of now `${time}`; page tokens `${token}`; strings of more than 200 characters
`${chars:N}`; lists of tags, params, aliases, datasets, inputs and outputs, and the metrics of a
run's data, are sorted by their JSON text with sorted keys (both sides are, so any order of them is
equal). Of an error's message only the parameter that it names is kept, as "missing" or "invalid".
Numbers are compared as numbers: 1 is 1.0; a bare NaN, which is no JSON, is "NaN". A page of HTML is
{"page": true}, an error of FastAPI's own {"detail": true}.

Who replays waits two milliseconds after each request that is not a GET, so that no two records
are of one millisecond, and starts with an empty server.
"""

import base64
import http.client
import json
import re
import time
import urllib.parse

# What a client reads of an answer with a file.
HEADERS = ("content-type", "content-disposition", "x-content-type-options")
SORTED = ("tags", "params", "aliases", "dataset_inputs", "model_inputs", "model_outputs",
          "dataset_summaries")
LONG = 200
# Milliseconds: what is later was not sent by a case, which all use small times.
NOW = 1_600_000_000_000
MISSING = re.compile(r"^Missing value for required parameter '([^']*)'")
INVALID = re.compile(r"^Invalid value .* for parameter '([^']*)' supplied", re.DOTALL)
VARIABLE = re.compile(r"\$\{([a-z_0-9.]+)\}")
REPEATED = re.compile(r"\$\{(.)\*(\d+)\}")


class Session:
    """A server and what was captured from its answers so far."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url if "//" in url else f"http://{url}")
        self.host, self.port, self.root = parts.hostname, parts.port or 80, parts.path.rstrip("/")
        self.variables = {}
        self.connection = None

    def ask(self, case):
        """Sends it; gives (status, normalised answer) and captures what it says."""
        status, headers, body = self._send(case)
        answer = parsed(headers, body)
        for name, path in case.get("capture", {}).items():
            self.variables[name] = found(answer, path, case["name"])
        return status, normalised(answer, self.variables)

    def _send(self, case):
        target = self.root + urllib.parse.quote(self.filled(case["path"]), safe="/%?=&:")
        if case.get("query"):
            pairs = [(name, self.filled(value)) for name, value in case["query"]]
            target += "?" + urllib.parse.urlencode(pairs)
        headers = {name: self.filled(v) for name, v in case.get("headers", {}).items()}
        body = None
        if "json" in case:
            body = json.dumps(self.filled(case["json"])).encode()
        elif "text" in case:
            body = self.filled(case["text"]).encode()
        kind = case.get("type", "application/json" if body is not None else "")
        if kind:
            headers["Content-Type"] = kind
        status, headers, body = self._exchange(case["method"], target, body, headers)
        if case["method"] != "GET":
            time.sleep(0.002)
        return status, headers, body

    def _exchange(self, method, target, body, headers):
        for last in (False, True):
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
            try:
                self.connection.request(method, target, body, headers)
                response = self.connection.getresponse()
                given = {name.lower(): value for name, value in response.getheaders()}
                return response.status, given, response.read()
            except (http.client.HTTPException, ConnectionError):
                # A server may close a connection that was kept; once more on a new one.
                self.connection.close()
                self.connection = None
                if last:
                    raise

    def filled(self, value, index=None):
        """`value` with variables put in and repetitions written out."""
        if isinstance(value, dict) and "$repeat" in value:
            return [self.filled(value["of"], i) for i in range(value["$repeat"])]
        if isinstance(value, dict):
            return {self.filled(key, index): self.filled(v, index) for key, v in value.items()}
        if isinstance(value, list):
            return [self.filled(v, index) for v in value]
        if not isinstance(value, str):
            return value
        whole = VARIABLE.fullmatch(value)
        if whole:
            return self._variable(whole[1], index)
        value = REPEATED.sub(lambda m: m[1] * int(m[2]), value)
        return VARIABLE.sub(lambda m: str(self._variable(m[1], index)), value)

    def _variable(self, name, index):
        if name == "i" and index is not None:
            return index
        return self.variables[name]


def parsed(headers, body):
    kind = headers.get("content-type", "")
    if "content-disposition" not in headers:
        try:
            return json.loads(body, parse_constant=str)
        except ValueError:
            pass
    if kind.startswith("text/html") and b"<!doctype" in body[:40].lower():
        return {"page": True}
    asked = HEADERS if "content-disposition" in headers else ("content-type",)
    kept = {name: headers[name] for name in asked if name in headers}
    try:
        return {"text": body.decode(), "headers": kept}
    except UnicodeDecodeError:
        return {"bytes": base64.b64encode(body).decode(), "headers": kept}


def found(answer, path, case):
    value = answer
    for part in path.split("."):
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, TypeError):
            raise LookupError(f"{case}: the answer has no {path}: {str(answer)[:300]}") from None
    return value


def normalised(value, variables, key="", above=""):
    if isinstance(value, dict):
        if "error_code" in value and "message" in value:
            value = {**value, **complaint(value["message"])}
            del value["message"]
        if "detail" in value and len(value) == 1:
            return {"detail": True}
        return {k: normalised(v, variables, k, key) for k, v in value.items()}
    if isinstance(value, list):
        items = [normalised(v, variables, key, above) for v in value]
        if key in SORTED or (key == "metrics" and above == "data"):
            items.sort(key=lambda item: json.dumps(item, sort_keys=True))
        return items
    if isinstance(value, str):
        return normalised_text(value, variables, key)
    if isinstance(value, int) and not isinstance(value, bool) and value > NOW:
        return "${time}" if re.search("time|created|updated", key) else value
    return value


def normalised_text(value, variables, key):
    if key == "next_page_token" and value:
        return "${token}"
    for name, known in variables.items():
        if not isinstance(known, str) or not known:
            continue
        mark = "${" + name + "}"
        if len(known) >= 8:
            value = value.replace(known, mark)
        elif "experiment_id" in key and value == known:
            return mark
        else:
            value = value.replace(f"mlflow-artifacts:/{known}/", f"mlflow-artifacts:/{mark}/")
            value = re.sub(f"mlflow-artifacts:/{known}$", f"mlflow-artifacts:/{mark}", value)
    if "experiment_id" in key and value.isdigit() and value != "0":
        return "${id}"
    value = re.sub(r"\b(?!0{16})[0-9a-f]{32}\b", "${id}", value)
    return value if len(value) <= LONG else "${chars:%d}" % len(value)


def complaint(message):
    """Which parameter an error is about, if its words are those that clients look for."""
    for word, pattern in (("missing", MISSING), ("invalid", INVALID)):
        hit = pattern.match(message or "")
        if hit:
            return {word: hit[1]}
    return {}


def searched(session, case):
    """Asks one of the five lists: {"found": names in order} or {"error": "400 CODE"}.

    Names are the population's variables of runs, experiments and logged models (an experiment that
    it did not make has its number), the names of models, and name/number of versions.
    """
    part = {"filter": case["filter"], "max_results": 200}
    if "order_by" in case:
        part["order_by"] = case["order_by"]
    place = {"experiment_ids": ["${e0}"]}
    if case["list"] in ("models", "versions"):
        route = "registered-models" if case["list"] == "models" else "model-versions"
        pairs = [(key, one) for key, value in part.items() for one in (value if isinstance(value,
                                                                                           list) else [value])]
        request = {"method": "GET", "path": f"/api/2.0/mlflow/{route}/search", "query": pairs}
    elif case["list"] == "experiments":
        request = {"method": "POST", "path": "/api/2.0/mlflow/experiments/search", "json": part}
    else:
        route = "runs" if case["list"] == "runs" else "logged-models"
        request = {"method": "POST", "path": f"/api/2.0/mlflow/{route}/search",
                   "json": {**place, **part}}
    status, headers, body = session._send(request)
    answer = parsed(headers, body)
    if status != 200:
        return {"error": f"{status} {answer.get('error_code', 'of another kind')}"}
    return {"found": [named(session, one) for value in answer.values() if isinstance(value,
                                                                                     list) for one in value]}


def named(session, one):
    if "version" in one:
        return f"{one['name']}/{one['version']}"
    known = one.get("experiment_id") or (one.get("info") or {}).get("model_id") or (one.get("info") or {}).get("run_id")
    if not known:
        return one["name"]
    return next((name for name, value in session.variables.items() if value == known), known)

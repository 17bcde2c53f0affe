"""How the hand-designed requests of mlflow_replay.py are written down.

A list of cases is data; these functions only save typing. Keyword arguments are captures:
`post("a", "runs/create", {…}, run="run.info.run_id")` keeps the run's id as `${run}`.
"""

API = "/api/2.0/mlflow/"
API3 = "/api/3.0/mlflow/"
FILES = "/api/2.0/mlflow-artifacts/artifacts/"


def call(method, name, path, json=None, query=None, capture=None, **more):
    """One case; `path` from the root, or behind the API's prefix of version 2."""
    case = {"name": name, "method": method, "path": path if path.startswith("/") else API + path}
    if query is not None:
        pairs = query.items() if isinstance(query, dict) else query
        case["query"] = [[key, value] for key, value in pairs]
    if json is not None:
        case["json"] = json
    case.update(more)
    if capture:
        case["capture"] = capture
    return case


def post(name, path, json=None, **capture):
    return call("POST", name, path, {} if json is None else json, capture=capture)


def patch(name, path, json=None, **capture):
    return call("PATCH", name, path, {} if json is None else json, capture=capture)


def delete(name, path, json=None, **capture):
    return call("DELETE", name, path, {} if json is None else json, capture=capture)


def get(name, path, query=None, **capture):
    return call("GET", name, path, query=query, capture=capture)


def raw(name, path, text, kind="application/json", method="POST"):
    """A body that is sent as it is."""
    return call(method, name, path, text=text, type=kind)


def group(name, *cases):
    """Names of cases begin with their group's."""
    flat = [c for case in cases for c in (case if isinstance(case, list) else [case])]
    return [{**case, "name": f"{name}: {case['name']}"} for case in flat]


def mistakes(route, good, wrong, required=(), method=post):
    """Good requests with one parameter left out, and with one replaced (`wrong`: name → values)."""
    cases = [
        method(f"{route} without {key}", route, {k: v for k, v in good.items() if k != key})
        for key in required
    ]
    for key, values in wrong.items():
        for value in values:
            what = f"{route} with {key} = {str(value)[:40]} ({type(value).__name__})"
            cases.append(method(what, route, {**good, key: value}))
    return cases

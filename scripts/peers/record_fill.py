"""The same 20,000 runs for both servers: 4 metrics of 100 steps and two parameters each, 8 million points.

Ours takes them over the wire. MLflow's would need hours for that, so they are put into its
database as it would have put them there, by statements of its own schema (3.17).
"""

import contextlib
import json
import sqlite3
import threading

RUNS, METRICS, STEPS = 20_000, 4, 100
WRITERS = 8


def value(run, metric, step):
    """Between 0 and 1, and the same in SQL below."""
    return ((run * 7919 + metric * 104_729 + step * 1_299_709) % 10_007) / 10_007


def fill_ours(server):
    """Through the API, several writers at a time; gives the experiment."""
    experiment = server.experiment()

    def write(first):
        for run in range(first, RUNS, WRITERS):
            metrics = [
                {"key": f"metric_{metric}", "value": value(run, metric, step), "timestamp": step, "step": step}
                for step in range(STEPS)
                for metric in range(METRICS)
            ]
            params = [{"key": "depth", "value": str(run % 20)}, {"key": "seed", "value": str(run)}]
            body = {"run_id": server.run(experiment), "metrics": metrics, "params": params}
            server.send("POST", "runs/log-batch", json.dumps(body))

    threads = [threading.Thread(target=write, args=(first,)) for first in range(WRITERS)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    return experiment


def fill_theirs(server, database):
    """Into the file, while its server is idle; gives the experiment."""
    experiment = server.experiment()
    sql = f"""
        drop index index_metrics_run_uuid;
        drop index index_metrics_run_uuid_key_step;
        create temp table n as
            with recursive n(n) as (select 0 union all select n + 1 from n where n < {RUNS} - 1) select n from n;
        insert into runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time,
                          source_version, lifecycle_stage, artifact_uri, experiment_id)
            select printf('%032x', n), 'run-' || n, 'UNKNOWN', '', '', 'bench', 'RUNNING', 1, '', 'active',
                   'mlflow-artifacts:/{experiment}/' || printf('%032x', n) || '/artifacts', {experiment} from n;
        insert into params select 'depth', n % 20, printf('%032x', n) from n;
        insert into params select 'seed', n, printf('%032x', n) from n;
        insert into metrics (key, value, timestamp, run_uuid, step, is_nan)
            select 'metric_' || m.n, ((r.n * 7919 + m.n * 104729 + s.n * 1299709) % 10007) / 10007.0, s.n,
                   printf('%032x', r.n), s.n, 0
            from n m cross join n s cross join n r where m.n < {METRICS} and s.n < {STEPS};
        insert into latest_metrics (key, value, timestamp, step, is_nan, run_uuid)
            select key, value, timestamp, step, is_nan, run_uuid from metrics
            where timestamp = {STEPS - 1} and step = {STEPS - 1} and key glob 'metric_[0-9]';
        create index index_metrics_run_uuid on metrics (run_uuid);
        create index index_metrics_run_uuid_key_step on metrics (run_uuid, key, step);
    """
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.executescript("pragma synchronous = off; pragma cache_size = -500000; pragma temp_store = memory;")
        connection.executescript(f"begin; {sql} commit;")
    return experiment

-- Types are the ones that SQLite and Postgres share: identities, digests and JSON are text, times are
-- microseconds since 1970, values of metrics are their bits in the order of the numbers.

-- `oldest` is the oldest schema whose builds still work with this one: the previous release goes on
-- beside the new one until a migration raises it.
create table schema_version (
    version bigint primary key,
    name text not null,
    oldest bigint not null,
    applied bigint not null
);

-- The last number given out of each kind. A number is never given twice.
create table counters (
    name text primary key,
    value bigint not null
);
insert into counters (name, value)
values ('experiment', 0), ('model', 0), ('version', 0), ('series', 0), ('event', 0);

create table experiments (
    id bigint primary key,
    name text not null unique,
    lifecycle text not null,
    created bigint not null,
    updated bigint not null,
    -- Where clients keep the artifacts of its runs; with the record if null.
    artifact_location text
);

create table experiment_tags (
    experiment bigint not null references experiments (id),
    key text not null,
    value text not null,
    primary key (experiment, key)
);

create table runs (
    id text primary key,
    experiment bigint not null references experiments (id),
    name text not null,
    status text not null,
    lifecycle text not null,
    actor text not null,
    started bigint not null,
    ended bigint,
    lease_until bigint,
    -- When it was deleted; the garbage's collector may be told to purge what was deleted long ago.
    deleted bigint,
    idempotency_key text
);
-- Most runs have neither a key nor a lease: each page that a write need not touch makes it shorter.
create unique index runs_by_idempotency_key on runs (idempotency_key)
    where idempotency_key is not null;
create index runs_by_lease on runs (lease_until) where lease_until is not null;
create index runs_by_start on runs (started, id);
create index runs_by_experiment on runs (experiment, started, id);

create table run_params (
    run text not null references runs (id),
    key text not null,
    value text not null,
    primary key (run, key)
);
create index run_params_by_value on run_params (key, value, run);

create table run_tags (
    run text not null references runs (id),
    key text not null,
    value text not null,
    primary key (run, key)
);
create index run_tags_by_value on run_tags (key, value, run);

create table run_inputs (
    run text not null references runs (id),
    position bigint not null,
    name text not null,
    digest text not null,
    context text not null,
    dataset_rows bigint,
    source text,
    source_type text,
    columns text,
    profile text,
    tags text,
    primary key (run, name, digest, context)
);

-- Bytes under a path of whatever has them: `run/ID`, `model/ID`, `trace/ID`.
create table artifact_paths (
    owner text not null,
    path text not null,
    digest text not null,
    size bigint not null,
    written bigint not null,
    primary key (owner, path)
);
create index artifact_paths_by_digest on artifact_paths (digest);

-- Artifacts that nothing refers to, and since when that is known.
create table garbage (
    digest text primary key,
    marked bigint not null
);

-- While one of these is in force no artifact is removed: a backup still copies.
create table artifact_pins (
    id text primary key,
    until bigint not null
);

-- Models that runs made and that are not registered: what MLflow's clients log since version 3.
create table logged_models (
    id text primary key,
    experiment bigint not null references experiments (id),
    name text not null,
    model_type text,
    status text not null,
    status_message text,
    source_run text,
    lifecycle text not null,
    created bigint not null,
    updated bigint not null
);
create index logged_models_by_experiment on logged_models (experiment, created, id);

create table logged_model_tags (
    model text not null references logged_models (id),
    key text not null,
    value text not null,
    primary key (model, key)
);

create table logged_model_params (
    model text not null references logged_models (id),
    key text not null,
    value text not null,
    primary key (model, key)
);

-- Points that runs measured of logged models, each with the data that it was measured on.
create table logged_model_metrics (
    model text not null references logged_models (id),
    metric text not null,
    run text not null,
    dataset_name text not null,
    dataset_digest text not null,
    step bigint not null,
    time bigint not null,
    value bigint not null,
    number double precision,
    primary key (model, metric, run, dataset_name, dataset_digest, step, time, value)
);
create index logged_model_metrics_by_run on logged_model_metrics (run);

-- Which logged models a run read or made.
create table run_models (
    run text not null references runs (id),
    model text not null,
    role text not null,
    step bigint not null,
    position bigint not null,
    primary key (run, role, model, step)
);
create index run_models_by_model on run_models (model);

-- What traces are found by; times and durations in microseconds.
create table traces (
    id text primary key,
    experiment bigint not null references experiments (id),
    started bigint not null,
    duration bigint,
    state text not null,
    name text,
    client_request text,
    request_preview text,
    response_preview text
);
create index traces_by_experiment on traces (experiment, started, id);

-- The parts of traces; `content` is a span as clients read it, `started` in nanoseconds.
create table spans (
    trace text not null references traces (id),
    id text not null,
    parent text,
    started bigint not null,
    content text not null,
    primary key (trace, id)
);

-- Which runs a client says that a trace belongs to, beside the one that its metadata names.
create table trace_runs (
    trace text not null references traces (id),
    run text not null,
    primary key (trace, run)
);
create index trace_runs_by_run on trace_runs (run);

create table trace_tags (
    trace text not null references traces (id),
    key text not null,
    value text not null,
    primary key (trace, key)
);

create table trace_metadata (
    trace text not null references traces (id),
    key text not null,
    value text not null,
    primary key (trace, key)
);

-- One metric of one run, with its latest point: the largest by (step, time, value).
-- `number` is the value as a number, for searches; null where it is NaN.
-- `tail` holds points that wait to be enough for a segment. `segments` is the number of the next segment;
-- those from `loose` on may still be put together with their neighbours.
create table metric_series (
    id bigint primary key,
    run text not null references runs (id),
    metric text not null,
    step bigint not null,
    time bigint not null,
    value bigint not null,
    number double precision,
    segments bigint not null,
    loose bigint not null,
    tail bytea not null,
    unique (run, metric)
);
create index metric_series_by_number on metric_series (metric, number, run);

-- Points of one series in columns; `id` is the series' number times 2^24 and the segment's, so that
-- those of a series lie together. A point may be in several: readers take it once.
create table metric_segments (
    id bigint primary key,
    first_step bigint not null,
    first_time bigint not null,
    last_step bigint not null,
    last_time bigint not null,
    points bigint not null,
    data bytea not null
);

create table models (
    id bigint primary key,
    name text not null unique,
    description text,
    created bigint not null,
    updated bigint not null
);

create table model_tags (
    model bigint not null references models (id),
    key text not null,
    value text not null,
    primary key (model, key)
);

-- Outlives its model: a number that a name has had names nothing else, ever.
create table model_numbers (
    name text primary key,
    last bigint not null
);

create table versions (
    id bigint primary key,
    model bigint not null references models (id),
    number bigint not null,
    manifest text not null,
    digest text not null,
    signature text,
    run text,
    dataset text,
    created bigint not null,
    updated bigint not null,
    actor text not null,
    description text,
    -- Where the bytes came from, as who registered it put it.
    source text,
    -- The logged model that it is, if it is one.
    logged_model text,
    -- For clients that know no aliases.
    stage text not null,
    run_link text,
    idempotency_key text,
    unique (model, number),
    unique (model, idempotency_key)
);
create index versions_by_run on versions (run);

create table version_metrics (
    version bigint not null references versions (id),
    metric text not null,
    value bigint not null,
    primary key (version, metric)
);

create table version_tags (
    version bigint not null references versions (id),
    key text not null,
    value text not null,
    primary key (version, key)
);

create table aliases (
    model bigint not null references models (id),
    alias text not null,
    version bigint not null references versions (id),
    moved bigint not null,
    primary key (model, alias)
);
create index aliases_by_version on aliases (version);

-- Who may call the server. `secret` is a hash that takes long to compute, never the secret itself.
create table principals (
    name text primary key,
    role text not null,
    secret text not null,
    created bigint not null
);

-- What stands for a principal: random, so that a plain hash of it is enough.
create table principal_tokens (
    hash text primary key,
    principal text not null references principals (name),
    note text not null,
    created bigint not null
);
create index principal_tokens_by_principal on principal_tokens (principal);

-- Append-only. `hash` covers the row and the hash before it; the columns after it only help to find a row.
create table events (
    position bigint primary key,
    id text not null unique,
    time bigint not null,
    kind text not null,
    subject text not null,
    actor text not null,
    reason text,
    detail text not null,
    previous text not null,
    hash text not null,
    model bigint,
    alias text
);
create index events_by_subject on events (subject, position);
create index events_by_model on events (model, position) where model is not null;

-- Which versions of a model an event is about.
create table event_versions (
    position bigint not null references events (position),
    version bigint not null,
    primary key (position, version)
);
create index event_versions_by_version on event_versions (version, position);

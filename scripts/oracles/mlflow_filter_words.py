"""The words that mlflow_filters.py makes filters and orders of."""

TEXTS = ["= 'risk'", "!= 'risk'", "= \"risk\"", "LIKE 'r%'", "like '%i%'", "ILIKE 'RISK'",
         "ilike '%K'", "= ''", "!= ''",
         "IS NULL", "IS NOT NULL", "is not null", "LIKE '_isk'", "LIKE 'fraud_2'", "LIKE 'fraud%2'",
         "ILIKE 'CR_DIT'"]
SETS = ["IN ('risk', 'churn')", "NOT IN ('risk','alpha')", "in ('risk')", "IN ()", "IN ('a',)",
        "IN (1, 2)",
        "IN 'risk'", "NOT IN ('x')", "IN ('risk', 1)"]
WRONG = ["", "=", "= risk", "= 1", "== 'risk'", "> 'risk'", "<> 'risk'", "BETWEEN 1 AND 2",
         "= NULL", "= ('risk')",
         "LIKE 1", "= 'risk", "= risk'", "REGEXP 'r'", "= 'a' 'b'", "= TRUE", "NOT LIKE 'r%'"]
NUMBERS = ["= 5", "!= 5", "< 5", "<= 7.0", "> 3", ">= 1e1", "= 0", "> -1", "< 1e-1", "= 0.5",
           "> 0.3", ">= 1.5"]
WRONG_NUMBERS = ["= '5'", "= nan", "> inf", "= 5 5", "LIKE 5", "ILIKE '5'", "> 'a'", "> 5e",
                 "= 0x10", "= 1,5", "=",
                 "IN (1, 2)", "> --1", "= +1", "> 1_000"]
TIMES = ["> 1050", "<= 1100", "= 1030", "!= 1030", ">= '1050'", "> 4900", "< 4950.5"]

RUN_TEXTS = ["= 'alpha'", "!= 'alpha'", "LIKE 'beta_1'", "LIKE 'beta%'", "ILIKE 'ALPHA%'",
             "= 'it''s'", "= \"it's\"",
             "= 'délta'", "LIKE '%a'", "= 'FINISHED'", "!= 'RUNNING'", "LIKE 'F%'", "ILIKE 'f%'",
             "= 'ann'", "= 'Ann'",
             "ILIKE 'ann'", "= 'tree'", "!= 'tree'", "LIKE '%e%'", "= '0.1'", "LIKE '0.%'",
             "= 'train3.py'"]
IDS = ["= '${r1}'", "!= '${r1}'", "IN ('${r1}', '${r2}')", "NOT IN ('${r1}', '${r2}')",
       "LIKE '${r3}'", "IN ('${r4}')",
       "ILIKE '${r5}'", "> '${r1}'", "= 1"]

RUNS = [
    (["metrics.loss", "metric.acc", "metrics.`val loss`", 'metrics."val loss"', "metrics.odd",
      "metrics.none", "metrics.a.b"],
     NUMBERS + ["IS NULL", "IS NOT NULL"]),
    (["metrics.loss", "metrics.`odd`"], WRONG_NUMBERS),
    (["params.lr", "param.kind", "parameters.`learning rate`", "parameter.empty", "params.a.b",
      "params.none", "tags.team",
      "tag.`mlflow.source.name`", 'tags."note"', "tags.mlflow.source.name"], RUN_TEXTS + TEXTS),
    (["params.kind", "tags.team"], WRONG + SETS),
    (["status", "attributes.status", "run_name", "attributes.run_name", "attr.`run name`",
      "attribute.`Run Name`", "user_id",
      "attributes.user_id", "run.status"], RUN_TEXTS + WRONG[:6] + SETS[:2] + ["IS NULL"]),
    (["run_id", "attributes.run_id", "attribute.run_id"], IDS),
    (["artifact_uri"], ["LIKE '%/artifacts'", "= 'mlflow-artifacts:/${e0}/${r2}/artifacts'",
                        "LIKE 'mlflow-artifacts:/${e0}/%'"]),
    (["start_time", "attributes.start_time", "end_time", "attributes.created", "Created"],
     TIMES + WRONG_NUMBERS),
    (["dataset.name", "datasets.digest", "dataset.context", "dataset.none"],
     ["= 'census'", "!= 'census'", "LIKE 'Cen%'", "ILIKE 'cen%'", "= 'd1'", "= 'train'",
      "IN ('d1', 'd5')",
      "NOT IN ('census')", "> 'a'", "= 1", "IS NULL"]),
    (["nonsense", "other.key", "metrics.", "`metrics`.loss", "attributes.nonsense",
      "lifecycle_stage", "experiment_id", ".x",
      "metrics.`", "params.order", "tags.group", "params.date", "metrics.count"],
     ["= 'a'", "> 1", "LIKE 'a'"]),
]
EXPERIMENTS = [
    (["name", "attribute.name", "attributes.name", "attr.`name`"], TEXTS + SETS + WRONG),
    (["tags.team", "tag.stage", "tags.`a b`", 'tags."late"', "tags.none"],
     TEXTS + ["= 'one'", "LIKE 'o%'", "= 'x'", "= 'yes'"] + SETS[:3] + WRONG[:5]),
    (["creation_time", "attributes.creation_time", "last_update_time"],
     ["> ${te1}", ">= ${te1}", "< ${te4}", "= ${te2}", "!= ${te2}", "<= 10", "> 'x'", "LIKE '1%'",
      "IS NULL"]),
    (["experiment_id"], ["= '${e1}'", "!= '${e1}'", "IN ('${e1}', '${e2}')", "NOT IN ('${e1}')",
                         "> '1'", "= 1", "LIKE '1'"]),
    (["nonsense", "lifecycle_stage", "artifact_location", "metrics.a", "params.a", "other.name"],
     ["= 'a'", "> 1", "LIKE '%'"]),
]
MODELS = [
    (["name", "attribute.name", "attributes.`name`"],
     ["= 'churn'", "!= 'churn'", "LIKE 'c%'", "ILIKE 'C%'", "LIKE 'fraud_2'", "LIKE 'fraud%2'",
      "= 'prix-é'", "ilike 'CHURN'",
      "LIKE '%'", "= 'zeta'", "!= 'zeta'"] + SETS + WRONG),
    (["tags.team", "tag.team", "tags.`team`", "tags.none", 'tags."team"'],
     TEXTS + SETS[:3] + WRONG[:6]),
    (["tags.`mlflow.prompt.is_prompt`"], ["= 'true'", "!= 'true'", "= 'false'", "LIKE 't%'",
                                          "IS NULL", "= 'other'"]),
    (["nonsense", "creation_timestamp", "last_updated_timestamp", "description", "version",
      "metrics.a", "alias"],
     ["= 'a'", "> 1", "LIKE '%'", "= 1"]),
]
VERSIONS = [
    (["name", "attribute.name"],
     ["= 'churn'", "!= 'churn'", "LIKE 'c%'", "ILIKE 'C%'", "LIKE 'fraud_2'", "= \"churn\"",
      "IN ('churn', 'Churn')",
      "NOT IN ('churn')", "LIKE '%'"] + WRONG + SETS[2:]),
    (["version_number", "attributes.version_number"],
     ["= 1", "!= 1", "> 1", ">= 2", "< 3", "<= 1", "= '1'", "= 1.5", "LIKE '1'", "IN (1)",
      "> 'a'"] + WRONG_NUMBERS),
    (["run_id", "attribute.run_id"], ["= '${r1}'", "!= '${r1}'", "IN ('${r1}')", "IN ('${r1}','x')",
                                      "IN ()", "LIKE '%'", "= ''",
                                      "NOT IN ('${r1}')", "IS NULL"]),
    (["source_path"], ["= 's3://bucket/m1'", "LIKE 's3%'", "ILIKE 's3%'", "!= 's3://bucket/m1'",
                       "LIKE '%M\\_%'", "LIKE 'S3://Bucket/M_0'",
                       "= 1", "> 'a'"]),
    (["tags.cv", "tag.`a b`", "tags.late", "tags.none"],
     ["= '1'", "!= '1'", "= 'x'", "= 'yes'", "LIKE '_'", "ILIKE 'X'", "IS NULL", "IS NOT NULL",
      "> '1'", "= 1", "IN ('1')"]),
    (["nonsense", "version", "stage", "current_stage", "creation_timestamp",
      "last_updated_timestamp", "description", "status",
      "model_id"], ["= 'a'", "> 1", "LIKE '%'"]),
]
LOGGED = [
    (["name", "attributes.name", "attribute.name", "attr.name"],
     ["= 'tree'", "!= 'tree'", "LIKE 'l%'", "ILIKE 'TREE'", "LIKE 'forest_1'", "IN ('tree', 'net')",
      "NOT IN ('tree')", "= \"tree\""]
     + WRONG + SETS[3:]),
    (["model_type", "status", "attributes.model_type"],
     ["= 'tree'", "!= 'tree'", "ILIKE 'tree'", "= 'PENDING'", "= 'READY'", "= 1", "!= 'READY'",
      "IN ('tree')", "= ''", "> 'a'"]),
    (["model_id", "source_run_id", "attributes.model_id"],
     ["= '${l1}'", "!= '${l1}'", "IN ('${l1}', '${l2}')", "NOT IN ('${l1}')", "= '${r0}'",
      "LIKE '${l3}'", "> 'a'"]),
    (["creation_timestamp", "creation_time", "last_updated_timestamp", "last_updated_time",
      "attributes.creation_timestamp"],
     ["> ${tl2}", ">= ${tl2}", "= ${tl3}", "!= ${tl3}", "< ${tl4}", "> 'x'", "LIKE '1%'", "<= 10"]),
    (["metrics.auc", "metric.auc", "metrics.`f1`", "metrics.none"],
     NUMBERS + WRONG_NUMBERS + ["IS NULL"]),
    (["params.depth", "param.kind", "params.`none`", "tags.team", "tag.team"],
     ["= '1'", "!= '1'", "= 'a'", "ILIKE 'a'", "LIKE '_'", "= 'x'", "IN ('x', 'y')", "NOT IN ('x')",
      "IS NULL", "= 1", "> '1'", "= ''"]),
    (["nonsense", "artifact_location", "experiment_id", "datasets.name", "other.a"],
     ["= 'a'", "> 1", "LIKE '%'"]),
]
LISTS = {"runs": RUNS, "experiments": EXPERIMENTS, "models": MODELS, "versions": VERSIONS,
         "logged": LOGGED}

# Asked of every list.
WHOLE = [
    " ", ";", "name", "AND", "= 'a'", "name = 'risk' OR name = 'churn'", "NOT name = 'risk'",
    "(name = 'risk')",
    "name = 'risk' AND", "AND name = 'risk'", "name = 'risk' name = 'churn'", "name='churn'",
    "name   =   'churn'",
    "  name = 'churn'  ", "name = 'churn';", "name = 'a'; name = 'b'", "'churn' = name",
    "name = 'AND'", "name = 'x AND y'",
    "name = 'churn' AND name LIKE 'c%'", "name = 'churn' -- comment",
    "name = 'churn' /* comment */", "name = 'ch' || 'urn'",
    "name = 'churn' AND AND name = 'x'", "name = 'churn', name = 'x'",
    "name LIKE '%' AND name LIKE '%r%'", "NAME = 'churn'",
    "Name = 'churn'", "name = 'churn'\nAND name LIKE 'c%'", "name = 'churn'\tAND\tname LIKE 'c%'",
    "name = '☃'",
    "name = 'a' AND (name = 'b' OR name = 'c')", "EXISTS name", "name = name", "name IS 'churn'",
    "name = 'tree' and name != 'net'",
    "1 = 1", "name = 'risk' AND 1 = 1", "SELECT * FROM runs", "name = 'x'); DROP TABLE runs; --",
    "name = '\\'", "name = 'a\\'b'",
]

RUN_ORDERS = [
    ["metrics.loss"], ["metrics.loss ASC"], ["metrics.loss DESC"], ["metrics.loss desc"],
    ["metrics.odd"], ["metrics.odd DESC"],
    ["metrics.acc", "metrics.loss DESC"], ["metrics.`val loss` DESC"],
    ["params.lr", "start_time ASC"], ["params.kind DESC"],
    ["params.`learning rate`"], ["tags.team ASC", "metrics.loss"],
    ["tags.`mlflow.source.name` DESC"], ["start_time"],
    ["attributes.start_time DESC"], ["attribute.start_time ASC"], ["end_time"],
    ["attributes.end_time DESC"], ["status"],
    ["status DESC", "start_time"], ["run_name"], ["attributes.run_name DESC"],
    ["attributes.`run name`"], ["user_id", "start_time"],
    ["Created"], ["attributes.created DESC"], ["metrics.none"], ["params.none DESC"],
    ["dataset.name"], ["nonsense"], ["metrics.loss UP"],
    ["metrics.loss ASC DESC"], ["loss DESC"], [""], ["metrics.loss", "metrics.loss DESC"],
    ["metrics.loss, metrics.acc"],
    ["metrics.loss ASC;"], ["'metrics.loss'"], ["metrics."], ["start_time ASC", "start_time DESC"],
    ["artifact_uri UP"], ["experiment_id"],
]
EXPERIMENT_ORDERS = [
    ["name"], ["name ASC"], ["name DESC"], ["name desc"], ["attribute.name"], ["experiment_id"],
    ["experiment_id DESC"],
    ["creation_time"], ["creation_time DESC"], ["last_update_time ASC"], ["last_update_time DESC"],
    ["attributes.creation_time ASC"],
    ["name", "experiment_id DESC"], ["name", "name"], ["nonsense"], ["name UP"], [""],
    ["tags.team"], ["name ASC DESC"], ["lifecycle_stage"],
]
MODEL_ORDERS = [
    ["name"], ["name ASC"], ["name DESC"], ["name desc"], ["attribute.name DESC"],
    ["creation_timestamp"], ["creation_timestamp DESC"],
    ["last_updated_timestamp"], ["last_updated_timestamp DESC"],
    ["last_updated_timestamp ASC", "name"], ["timestamp"], ["nonsense"],
    ["name UP"], [""], ["tags.team"], ["name ASC DESC"], ["`name`"], ["creation_time"],
]
VERSION_ORDERS = [
    ["name"], ["name DESC"], ["name ASC", "version_number DESC"], ["version_number", "name"],
    ["version_number DESC", "name ASC"],
    ["creation_timestamp"], ["creation_timestamp DESC"], ["last_updated_timestamp ASC"],
    ["last_updated_timestamp DESC"], ["version"],
    ["nonsense"], ["name UP"], [""], ["run_id"], ["tags.cv"], ["attribute.version_number ASC"],
]
LOGGED_ORDERS = [
    [{"field_name": field, **more}]
    for field in ("name", "creation_timestamp", "creation_time", "last_updated_timestamp",
                  "metrics.auc", "metrics.f1", "metrics.none",
                  "attributes.name", "params.depth", "tags.team", "nonsense", "", "model_type",
                  "status", "source_run_id")
    for more in ({}, {"ascending": True}, {"ascending": False})
    if field not in ("model_type", "status", "source_run_id") or more == {"ascending": True}
] + [[{"field_name": "metrics.f1", "ascending": True, "dataset_name": "census"}],
     [{"field_name": "metrics.f1", "ascending": False, "dataset_name": "census",
       "dataset_digest": "d1"}],
     [{"field_name": "metrics.f1", "ascending": True, "dataset_name": "none"}],
     [{"field_name": "name", "ascending": True}, {"field_name": "creation_timestamp",
                                                  "ascending": True}], [{}], ["name"], "name"]
ORDERS = {"runs": RUN_ORDERS, "experiments": EXPERIMENT_ORDERS, "models": MODEL_ORDERS,
          "versions": VERSION_ORDERS,
          "logged": LOGGED_ORDERS}

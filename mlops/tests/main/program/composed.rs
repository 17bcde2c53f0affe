//! `mlops serve --config`: what one file composes.

use super::{Place, onnx, rows};
use serde_json::{Value, json};
use std::path::Path;

fn boosted(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mlops-serve/tests/data/boosted");
    folder.join(name).display().to_string()
}

fn models() -> String {
    let (a, b) = (onnx("logistic"), onnx("lightgbm"));
    format!(
        "[models.a]\nsource = \"{}\"\nthreads = 1\nqueue = 8\n[models.b]\nsource = \"{}\"\nmax_batch_rows = 64\n",
        a.display(),
        b.display()
    )
}

#[test]
fn one_file_composes_models_and_says_where_to_listen() {
    let place = Place::new();
    let composed = r#"
        [serve]
        port = 1
        models = ["risk", "a", "b"]
        [compose.both]
        kind = "ensemble"
        rule = "mean"
        of = ["a", { model = "b", weight = 3.0 }]
        outputs = ["probabilities"]
        [compose.risk]
        kind = "cache"
        of = "both"
        ttl_ms = 60000"#;
    place.write("serve.toml", &format!("{}{composed}", models()));
    // The flag `--port 0` goes before the file.
    let server = place.serve(&["--config", "serve.toml", "--inference-log", "log"]);
    let all: Value = serde_json::from_str(&server.get("/v2/models").1).unwrap();
    assert_eq!(all, json!({ "models": ["a", "b", "risk"] }));
    let rows: Vec<Vec<f32>> = rows("logistic", 20).into_iter().map(|(_, row)| row).collect();
    let probabilities = |model: &str| -> Vec<f64> {
        let (answer, _) = server.infer(model, &rows);
        let outputs = answer["outputs"].as_array().unwrap().iter();
        let own = outputs.into_iter().find(|output| output["name"] == "probabilities").unwrap();
        own["data"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let (a, b, both) = (probabilities("a"), probabilities("b"), probabilities("risk"));
    for ((a, b), both) in a.iter().zip(&b).zip(&both) {
        assert!(((a + 3.0 * b) / 4.0 - both).abs() < 1e-6, "{a} {b} {both}");
    }
    let (first, one) = server.infer("risk", &rows);
    let (again, other) = server.infer("risk", &rows);
    assert_eq!((&first["outputs"], &first["model_name"]), (&again["outputs"], &json!("risk")));
    assert_ne!(one, other);
    let (_, page) = server.get("/metrics");
    for line in [
        "mlops_cache_hits_total{composition=\"risk\"} 2",
        "mlops_cache_misses_total{composition=\"risk\"} 1",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }
    assert!(!page.contains("mlops_shadow"), "{page}");
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn two_definitions_of_one_model_are_its_replicas_and_one_is_its_shadow() {
    let place = Place::new();
    let composed = r#"
        [models.c]
        source = "SOURCE"
        [compose.pair]
        kind = "replicas"
        of = ["a", "c"]
        [compose.risk]
        kind = "shadow"
        of = "pair"
        shadow = "c"
        [serve]
        models = ["risk"]"#;
    let composed = composed.replace("SOURCE", &onnx("logistic").display().to_string());
    place.write("serve.toml", &format!("{}{composed}", models()));
    let server = place.serve(&["--config", "serve.toml"]);
    let row = rows("logistic", 1).remove(0).1;
    let answers = [0, 1].map(|_| server.infer("risk", std::slice::from_ref(&row)).0);
    assert_eq!(answers[0]["outputs"], answers[1]["outputs"]);
    let (_, page) = server.get("/metrics");
    assert!(page.contains("mlops_shadow_copied_total{composition=\"risk\"} 2"), "{page}");
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn features_come_from_a_file() {
    let place = Place::new();
    place.write("customers.csv", "customer,f0,f1\n7,0.25,-1.5\n8,,2\n");
    let model = boosted("lightgbm_deep.txt");
    let file = format!(
        r#"
        [models.trees]
        source = {model:?}
        [stores.customers]
        source = "customers.csv"
        keys = ["customer"]
        [compose.risk]
        kind = "lookup"
        of = "trees"
        store = "customers"
        timeout_ms = 5000
        missing = {{ f0 = "null", f1 = {{ value = 1.0 }} }}"#
    );
    place.write("serve.toml", &file);
    let server = place.serve(&["--config", "serve.toml", "--model", &format!("plain={model}")]);
    let customers = json!([7, 8, 9]);
    let rest = [0.5, -0.25, 3.0, 0.0, 1.0, 2.0, -3.0, 0.125, 0.75];
    let body = json!({ "inputs": [
        { "name": "customer", "datatype": "INT64", "shape": [3], "data": customers },
        { "name": "features", "datatype": "FP64", "shape": [3, 3], "data": rest },
    ]});
    let (status, looked_up) = server.post("/v2/models/risk/infer", &body);
    assert_eq!(status, 200, "{looked_up}");
    let stored = [[Some(0.25), Some(-1.5)], [None, Some(2.0)], [None, Some(1.0)]];
    let whole: Vec<Option<f64>> = stored
        .iter()
        .zip(rest.chunks(3))
        .flat_map(|(stored, rest)| stored.iter().copied().chain(rest.iter().copied().map(Some)))
        .collect();
    let body = json!({ "inputs": [
        { "name": "features", "datatype": "FP64", "shape": [3, 5], "data": whole },
    ]});
    let (status, plain) = server.post("/v2/models/plain/infer", &body);
    assert_eq!(status, 200, "{plain}");
    assert_eq!(looked_up["outputs"], plain["outputs"]);
    let (_, page) = server.get("/metrics");
    assert!(page.contains("mlops_lookup_entities_total{composition=\"risk\"} 3"), "{page}");
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn the_environment_goes_before_the_file() {
    let place = Place::new();
    place.write("serve.toml", &format!("{}[serve]\nhost = \"no such host\"\nport = 1\n", models()));
    let mut command = place.command(&["serve", "--config", "serve.toml", "--port", "0"]);
    command.env("MLOPS__SERVE__HOST", "another host that is not there");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("another host that is not there:0"), "{said}");
}

/// What is not said by a flag: certificate, keys, rate, log.
#[test]
fn a_file_says_who_may_ask_how_it_is_encrypted_and_where_it_is_logged() {
    let place = Place::new();
    let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls");
    std::fs::copy(tls.join("first.pem"), place.path("cert.pem")).unwrap();
    std::fs::copy(tls.join("first.key.pem"), place.path("key.pem")).unwrap();
    place.write("keys", "shop shop-secret-000001\n");
    let section = r#"
        [serve]
        models = ["a"]
        tls_cert = "cert.pem"
        tls_key = "key.pem"
        api_keys = "keys"
        rate_limit = 0.01
        inference_log = "log""#;
    place.write("serve.toml", &format!("{}{section}", models()));
    let server = place.serve(&["--config", "serve.toml"]);
    assert!(server.url.starts_with("https://"), "{}", server.url);
    let client = super::tls::trusting("first.pem");
    let infer = |key: &str| {
        let row = rows("logistic", 1).remove(0).1;
        let body = json!({ "inputs": [
            { "name": "features", "shape": [1, 30], "datatype": "FP32", "data": row },
        ]});
        let request = client.post(format!("{}/v2/models/a/infer", server.url));
        request.header("x-api-key", key).send(body.to_string()).unwrap()
    };
    assert_eq!(infer("shop-secret-000002").status(), 401);
    let mut answer = infer("shop-secret-000001");
    let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    let id = answer["parameters"]["prediction"].as_str().unwrap().to_owned();
    assert_eq!(infer("shop-secret-000001").status(), 429);
    assert_eq!(server.end().code(), Some(0));
    let receipt = place.run(&["why", &id, "--inference-log", "log"]).ok();
    assert!(receipt.contains("the same to the bit"), "{receipt}");
}

#[test]
fn what_is_wrong_in_a_file_is_named() {
    let place = Place::new();
    let refused = |text: &str, code: i32, words: &str| {
        place.write("serve.toml", &format!("{}{text}", models()));
        place.run(&["serve", "--config", "serve.toml", "--port", "0"]).failed(code, words);
    };
    refused("[server]\nport = 1", 65, "no section [server] (from serve.toml); is `serve` meant?");
    refused("[serve]\nprot = 1", 65, "unknown field `prot`");
    refused("[serve]\nmodels = [\"c\"]", 65, "there is no model or composition \"c\"");
    refused("[compose.c]\nkind = \"cache\"\nof = \"aa\"", 65, "is \"a\" meant?");
    refused("[models.c]\nsource = \"gone.onnx\"", 66, "gone.onnx");
    refused("[models.c]\nsource = \"a.onnx\"\nremote = {}", 65, "for models of another server");
    refused(
        "[stores.s]\nsource = \"s.csv\"\n[compose.c]\nkind = \"lookup\"\nof = \"a\"\nstore = \"s\"",
        65,
        "store \"s\": `keys` is missing",
    );
    refused("[serve]\ntls_cert = \"cert.pem\"", 65, "a certificate and its key go together");
    refused("[models.c]\nsource = hunter2", 65, "serve.toml: line 9");
    place.run(&["serve", "--config", "absent.toml"]).failed(66, "absent.toml");
}

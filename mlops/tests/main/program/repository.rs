//! `mlops serve --model-repository`: models that callers load.

use super::{Place, columns, onnx, rows};
use serde_json::{Value, json};

fn place() -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path("models")).unwrap();
    std::fs::copy(onnx("logistic"), place.path("models/risk.onnx")).unwrap();
    place.package("mlp", "models/second");
    place.write("models/broken.onnx", "no model");
    place.write("models/notes.md", "");
    std::fs::copy(onnx("logistic"), place.path("outside.onnx")).unwrap();
    place
}

#[test]
fn callers_load_what_the_folder_has_and_nothing_else() {
    let place = place();
    let server = place.serve(&["--model-repository", "models"]);
    assert_eq!((server.get("/ping").0, server.get("/v2/health/ready").0), (200, 200));
    let (_, index) = server.post("/v2/repository/index", &json!({}));
    let known = |index: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let models = index.as_array().unwrap().iter();
        models.map(|model| (text(&model["name"]), text(&model["state"]))).collect()
    };
    let away = |name: &str| (name.to_owned(), "UNAVAILABLE".to_owned());
    assert_eq!(known(&index), [away("broken"), away("risk"), away("second")]);

    for name in ["risk", "second"] {
        let row = rows("logistic", 1).remove(0).1;
        let url = format!("{}/v2/repository/models/{name}/load", server.url);
        assert_eq!(server.client.post(url).send_empty().unwrap().status(), 200);
        let (answer, _) = server.infer(name, std::slice::from_ref(&row));
        let table = json!({ "dataframe_split": { "columns": columns(), "data": [row] } });
        let (status, scored) = server.post(&format!("/models/{name}/invoke"), &table);
        assert_eq!(status, 200, "{scored}");
        let label = &answer["outputs"][0];
        assert_eq!(scored["predictions"][0][label["name"].as_str().unwrap()], label["data"][0]);
    }
    let (status, said) = server.post("/models", &json!({ "model_name": "broken" }));
    assert_eq!((status, said["error_code"].as_str()), (400, Some("INVALID_PARAMETER_VALUE")));
    assert!(!said.to_string().contains("models/"), "{said}");

    let load = |name: &str, url: &str| {
        server.post("/models", &json!({ "model_name": name, "url": url })).0
    };
    let within = place.path("models/risk.onnx");
    assert_eq!(load("copy", within.to_str().unwrap()), 200);
    assert_eq!(load("copy", within.to_str().unwrap()), 409);
    assert_eq!(load("third", "second"), 200);
    for outside in ["../outside.onnx", place.path("outside.onnx").to_str().unwrap(), "/etc"] {
        assert_eq!(load("outside", outside), 400, "{outside}");
    }
    #[cfg(unix)]
    {
        let link = place.path("models/link.onnx");
        std::os::unix::fs::symlink(place.path("outside.onnx"), &link).unwrap();
        assert_eq!(load("link", "link.onnx"), 400);
        let (status, _) = server.post("/models", &json!({ "model_name": "link" }));
        assert_eq!(status, 404);
        std::fs::create_dir_all(place.path("models/deep/1")).unwrap();
        let link = place.path("models/deep/1/model.onnx");
        std::os::unix::fs::symlink(place.path("outside.onnx"), &link).unwrap();
        let (status, _) = server.post("/models", &json!({ "model_name": "deep" }));
        assert_eq!(status, 404);
    }
    assert_eq!(load("absent", "absent.onnx"), 404);
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn of_a_repository_in_tritons_layout_the_highest_version_is_loaded() {
    let place = Place::new();
    for version in ["1", "9", "10", "11", "012"] {
        std::fs::create_dir_all(place.path("models/risk").join(version)).unwrap();
    }
    for version in ["1", "9", "10", "012"] {
        let to = place.path("models/risk").join(version).join("model.onnx");
        std::fs::copy(onnx("logistic"), to).unwrap();
    }
    place.write("models/risk/config.pbtxt", "name: \"risk\"");
    place.write("models/risk/labels.txt", "no\nyes\n");
    place.write("models/risk/10/vocab.txt", "words");
    let server = place.serve(&["--model-repository", "models"]);
    let (_, index) = server.post("/v2/repository/index", &json!({}));
    assert_eq!(index[0]["name"], "risk");
    let url = format!("{}/v2/repository/models/risk/load", server.url);
    assert_eq!(server.client.post(url).send_empty().unwrap().status(), 200);
    let row = rows("logistic", 1).remove(0).1;
    let (answer, _) = server.infer("risk", &[row]);
    assert_eq!(answer["model_version"], "10", "the one after it is empty, and the last is none");
    assert_eq!(server.get("/v2/models/risk/versions/9/ready").0, 404);
    let ninth = json!({ "model_name": "ninth", "url": "risk/9" });
    assert_eq!(server.post("/models", &ninth).0, 200);
    assert_eq!(server.get("/v2/models/ninth/versions/9/ready").0, 200);
}

#[test]
fn what_does_not_fit_is_507() {
    let place = place();
    let server = place.serve(&["--model-repository", "models", "--max-loaded-bytes", "20"]);
    let (status, said) = server.post("/models", &json!({ "model_name": "risk" }));
    assert_eq!(status, 507, "{said}");
    let without = place.serve(&["--model", onnx("logistic").to_str().unwrap()]);
    let (status, _) = without.post("/models", &json!({ "model_name": "risk" }));
    assert_eq!(status, 501);
}

#[test]
fn with_keys_only_an_administrators_loads() {
    let place = place();
    place.write("keys", "shop shop-secret-000001\nops ops-secret-0000001 admin\n");
    let server = place.serve(&["--model-repository", "models", "--api-keys", "keys"]);
    let change = |key: &str, what: &str| {
        let url = format!("{}/v2/repository/models/risk/{what}", server.url);
        let request = server.client.post(url).header("x-api-key", key);
        let mut answer = request.send_empty().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    };
    let (status, said) = change("shop-secret-000001", "load");
    assert_eq!((status, said.contains("the role \\\"admin\\\"")), (403, true), "{said}");
    assert_eq!(change("shop-secret-000002", "load").0, 401);
    assert_eq!(change("ops-secret-0000001", "load").0, 200);
    // Who may ask the models asks those that are loaded, and leaves them where they are.
    let metadata = server.client.get(format!("{}/v2/models/risk", server.url));
    assert_eq!(metadata.header("x-api-key", "shop-secret-000001").call().unwrap().status(), 200);
    assert_eq!(change("shop-secret-000001", "unload").0, 403);
    assert_eq!(change("ops-secret-0000001", "unload").0, 200);
}

//! Registered models and their aliases over the wire.

use super::{Server, refused};
use axum::http::Method;
use mlops_core::{
    Alias, ModelName, Principal, Registry,
    registry::{AliasMoved, HistoryQuery, ModelUri, RegistryExt},
};
use serde_json::{Value, json};

const MODELS: &str = "/mlflow/registered-models";

async fn create(server: &Server, name: &str, versions: u64) {
    let (status, made) = server.post(&format!("{MODELS}/create"), json!({ "name": name })).await;
    assert_eq!(status, 200, "{made}");
    for _ in 0..versions {
        let new = json!({ "name": name, "source": "s3://bucket/model" });
        let (status, made) = server.post("/mlflow/model-versions/create", new).await;
        assert_eq!(status, 200, "{made}");
    }
}

async fn alias(server: &Server, method: Method, body: Value) -> (u16, Value) {
    server.call(method, &format!("{MODELS}/alias"), body).await
}

#[tokio::test]
async fn a_model_lives_its_life() {
    let server = Server::new().await;
    let new = json!({ "name": "risk", "description": "d", "tags": [
        { "key": "a", "value": "1" }, { "key": "a", "value": "2" }, { "key": "n" },
    ] });
    let (status, made) = server.post(&format!("{MODELS}/create"), new.clone()).await;
    assert_eq!(status, 200);
    let model = &made["registered_model"];
    assert_eq!(model["tags"], json!([{ "key": "a", "value": "2" }, { "key": "n", "value": "" }]));
    assert_eq!((&model["description"], model.get("aliases")), (&json!("d"), None));
    refused(server.post(&format!("{MODELS}/create"), new).await, 400, "RESOURCE_ALREADY_EXISTS");

    let update = json!({ "name": "risk", "description": "new" });
    let (_, updated) = server.call(Method::PATCH, &format!("{MODELS}/update"), update).await;
    assert_eq!(updated["registered_model"]["description"], "new");
    let update = json!({ "name": "risk" });
    let (_, updated) = server.call(Method::PATCH, &format!("{MODELS}/update"), update).await;
    assert_eq!(updated["registered_model"].get("description"), None);
    let tag = json!({ "name": "risk", "key": "b", "value": "3" });
    assert_eq!(server.post(&format!("{MODELS}/set-tag"), tag).await, (200, json!({})));
    for _ in 0..2 {
        let tag = json!({ "name": "risk", "key": "a" });
        let gone = server.call(Method::DELETE, &format!("{MODELS}/delete-tag"), tag).await;
        assert_eq!(gone, (200, json!({})));
    }
    let rename = json!({ "name": "risk", "new_name": "hazard" });
    let (status, renamed) = server.post(&format!("{MODELS}/rename"), rename).await;
    assert_eq!((status, &renamed["registered_model"]["name"]), (200, &json!("hazard")));
    let (_, got) = server.get(&format!("{MODELS}/get?name=hazard")).await;
    assert_eq!(
        got["registered_model"]["tags"],
        json!([{ "key": "b", "value": "3" }, { "key": "n", "value": "" }])
    );
    let delete = json!({ "name": "hazard" });
    let path = format!("{MODELS}/delete");
    assert_eq!(server.call(Method::DELETE, &path, delete.clone()).await, (200, json!({})));
    refused(server.call(Method::DELETE, &path, delete).await, 404, "RESOURCE_DOES_NOT_EXIST");
}

#[tokio::test]
async fn names_and_tags_have_rules() {
    let server = Server::new().await;
    let path = format!("{MODELS}/create");
    for name in
        [json!("a/b"), json!("a:b"), json!(".."), json!(" "), json!(""), json!(5), json!(null)]
    {
        let (status, body) = server.post(&path, json!({ "name": name })).await;
        assert_eq!(
            (status, &body["error_code"]),
            (400, &json!("INVALID_PARAMETER_VALUE")),
            "{name}"
        );
    }
    for (key, value) in [("a*", 1), ("a/../b", 1), ("", 1), (&"k".repeat(251), 1), ("k", 100_001)] {
        let tags = json!([{ "key": key, "value": "v".repeat(value) }]);
        let refusal = server.post(&path, json!({ "name": "x", "tags": tags })).await;
        refused(refusal, 400, "INVALID_PARAMETER_VALUE");
    }
    refused(server.get(&format!("{MODELS}/get?name=x")).await, 404, "RESOURCE_DOES_NOT_EXIST");
}

#[tokio::test]
async fn aliases_point_and_move() {
    let server = Server::new().await;
    create(&server, "risk", 2).await;
    let set = |version: &str| json!({ "name": "risk", "alias": "champion", "version": version });
    for version in ["1", "2"] {
        assert_eq!(alias(&server, Method::POST, set(version)).await, (200, json!({})));
        let (_, got) = server.get(&format!("{MODELS}/alias?name=risk&alias=champion")).await;
        assert_eq!(got["model_version"]["version"], version);
        assert_eq!(got["model_version"]["aliases"], json!(["champion"]));
    }
    let (_, latest) = server.get(&format!("{MODELS}/alias?name=risk&alias=latest")).await;
    assert_eq!(latest["model_version"]["version"], "2");
    let (_, got) = server.get(&format!("{MODELS}/get?name=risk")).await;
    assert_eq!(
        got["registered_model"]["aliases"],
        json!([{ "alias": "champion", "version": "2" }])
    );
    for name in ["latest", "Latest", "v1", "V22", "a b", "a.b", "", &"a".repeat(256)] {
        let new = json!({ "name": "risk", "alias": name, "version": "1" });
        refused(alias(&server, Method::POST, new).await, 400, "INVALID_PARAMETER_VALUE");
    }
    refused(alias(&server, Method::POST, set("9")).await, 404, "RESOURCE_DOES_NOT_EXIST");
    refused(
        server.get(&format!("{MODELS}/alias?name=risk&alias=none")).await,
        400,
        "INVALID_PARAMETER_VALUE",
    );
    for _ in 0..2 {
        let gone = json!({ "name": "risk", "alias": "champion" });
        assert_eq!(alias(&server, Method::DELETE, gone).await, (200, json!({})));
    }
}

#[tokio::test]
async fn our_fields_compare_and_say_why() {
    let server = Server::new().await;
    create(&server, "risk", 3).await;
    let set = |version: &str, expected: Value| {
        json!({ "name": "risk", "alias": "champion", "version": version,
            "mlops_expected": expected, "mlops_reason": format!("to {version}") })
    };
    for (version, expected) in [("1", json!("absent")), ("2", json!("1")), ("3", json!(2))] {
        assert_eq!(alias(&server, Method::POST, set(version, expected)).await, (200, json!({})));
    }
    let late = alias(&server, Method::POST, set("1", json!(0))).await;
    assert!(late.1["message"].as_str().unwrap().contains("version 3: host"), "{late:?}");
    refused(late, 409, "RESOURCE_CONFLICT");
    let kept = json!({ "name": "risk", "alias": "champion", "version": "1", "reason": "a try",
        "unmet": [{ "gate": "auc at least 0.9", "found": "0.1" }] });
    assert_eq!(server.post("/mlops/aliases/refused", kept).await, (200, json!({})));

    let path =
        "/mlops/history?of=models:/risk@champion&kind=alias.moved&kind=alias.refused&max_results=3";
    let (status, first) = server.get(path).await;
    assert_eq!(status, 200, "{first}");
    let next = first["next"].as_str().unwrap();
    let (_, rest) = server.get(&format!("{path}&after={next}")).await;
    let all =
        [first["events"].as_array().unwrap().clone(), rest["events"].as_array().unwrap().clone()]
            .concat();
    let reasons: Vec<_> = all.iter().map(|event| event["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["to 1", "to 2", "to 3", "a try"]);
    assert_eq!(all[3]["detail"]["unmet"][0]["found"], "0.1");
    let undoes = all[2]["id"].as_str().unwrap();
    let back =
        json!({ "name": "risk", "alias": "champion", "version": "2", "mlops_undoes": undoes });
    assert_eq!(alias(&server, Method::POST, back).await, (200, json!({})));
    // What went over the wire counts here.
    let (model, champion) = (ModelName::new("risk").unwrap(), Alias::new("champion").unwrap());
    let ada = server.store.acting_as(Principal::new("ada"));
    ada.rollback(&model, &champion, "it too").await.unwrap();
    let uri = ModelUri::alias(model, champion);
    assert_eq!(server.store.resolve(&uri).await.unwrap().id.version, 1);
    let last = server.store.history(HistoryQuery::new(uri)).await.unwrap().items.pop().unwrap();
    let moved: AliasMoved = serde_json::from_value(last.detail).unwrap();
    assert_eq!((moved.from, moved.to, moved.undoes.is_some()), (Some(2), Some(1), true));
}

#[tokio::test]
async fn searches_page_order_and_hide_prompts() {
    let server = Server::new().await;
    for (name, tag) in [("b", "team"), ("a", "team"), ("c", "mlflow.prompt.is_prompt")] {
        let tags = json!([{ "key": tag, "value": "true" }]);
        let new = json!({ "name": name, "tags": tags });
        server.post(&format!("{MODELS}/create"), new).await;
    }
    let names = async |query: &str| {
        let (status, found) = server.get(&format!("{MODELS}/search?{query}")).await;
        assert_eq!(status, 200, "{query}: {found}");
        let empty = Vec::new();
        let models = found["registered_models"].as_array().unwrap_or(&empty);
        let names: Vec<_> = models.iter().map(|model| model["name"].as_str().unwrap()).collect();
        (names.concat(), found["next_page_token"].as_str().map(str::to_owned))
    };
    assert_eq!(names("").await, ("ab".to_owned(), None));
    assert_eq!(names("order_by=name%20DESC").await.0, "ba");
    let (first, next) = names("max_results=1").await;
    let second = names(&format!("max_results=1&page_token={}", next.unwrap())).await;
    assert_eq!((first.as_str(), second.0.as_str(), second.1), ("a", "b", None));
    let prompts = "filter=tags.%60mlflow.prompt.is_prompt%60%20";
    assert_eq!(names(&format!("{prompts}%3D%20'true'")).await.0, "c");
    assert_eq!(names(&format!("{prompts}%3D%20'false'")).await.0, "ab");
    assert_eq!(names(&format!("{prompts}!%3D%20'true'")).await.0, "ab");
    for query in ["max_results=1001", "max_results=x", "page_token=zzz", "filter=name%20%3D"] {
        let refusal = server.get(&format!("{MODELS}/search?{query}")).await;
        refused(refusal, 400, "INVALID_PARAMETER_VALUE");
    }
}

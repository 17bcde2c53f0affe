//! What a real MLflow server found, asked of ours: generated filters and orders of five lists.

use super::{
    Case,
    normal::{Difference, json},
    session::Session,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
pub(super) struct Recorded {
    /// Requests that fill an empty server.
    pub(super) population: Vec<Case>,
    pub(super) cases: Vec<Search>,
}

/// One search: what it found, by names in order, or the error that it was refused with.
#[derive(Deserialize)]
pub(super) struct Search {
    list: String,
    filter: String,
    order_by: Option<Value>,
    #[serde(flatten)]
    outcome: Map<String, Value>,
}

impl Search {
    /// What the list of differences calls it.
    pub(super) fn name(&self) -> String {
        let order = self.order_by.as_ref().map(json).unwrap_or_default();
        format!("filter {}: {} {order}", self.list, self.filter).trim().to_owned()
    }

    /// Asks it; nothing if the outcome is what was recorded.
    pub(super) async fn difference(&self, session: &Session) -> Option<Difference> {
        let (status, answer) = session.exchange(&self.request()).await.unwrap();
        let given = if status == 200 {
            let lists = answer.as_object().unwrap().values().filter_map(Value::as_array);
            json!({ "found": lists.flatten().map(|one| named(session, one)).collect::<Vec<_>>() })
        } else {
            let code = answer["error_code"].as_str().unwrap_or("of another kind");
            json!({ "error": format!("{status} {code}") })
        };
        let wanted = Value::Object(self.outcome.clone());
        let place = "found".to_owned();
        (given != wanted).then_some(Difference { place, wanted, given })
    }

    fn request(&self) -> Case {
        let route = match self.list.as_str() {
            "models" => "registered-models",
            "versions" => "model-versions",
            "logged" => "logged-models",
            other => other,
        };
        let path = format!("/api/2.0/mlflow/{route}/search");
        let mut asked = json!({ "filter": self.filter, "max_results": 200 });
        if let Some(order) = &self.order_by {
            asked["order_by"] = order.clone();
        }
        if ["models", "versions"].contains(&self.list.as_str()) {
            return Case {
                method: "GET".to_owned(),
                path,
                query: pairs(&asked),
                ..Case::default()
            };
        }
        if self.list != "experiments" {
            asked["experiment_ids"] = json!(["${e0}"]);
        }
        Case { method: "POST".to_owned(), path, json: Some(asked), ..Case::default() }
    }
}

/// As a query: each item of a list comes by itself.
fn pairs(asked: &Value) -> Vec<(String, Value)> {
    let mut pairs = Vec::new();
    for (name, value) in asked.as_object().unwrap() {
        match value {
            Value::Array(all) => pairs.extend(all.iter().map(|one| (name.clone(), one.clone()))),
            one => pairs.push((name.clone(), one.clone())),
        }
    }
    pairs
}

/// The population's name of a thing; of what it did not name, the identity.
fn named(session: &Session, one: &Value) -> String {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let name = text(&one["name"]).unwrap_or_default();
    if let Some(version) = text(&one["version"]) {
        return format!("{name}/{version}");
    }
    let info = &one["info"];
    let known = [&one["experiment_id"], &info["model_id"], &info["run_id"]];
    match known.into_iter().find_map(text) {
        Some(id) => session.name_of(&id).map(str::to_owned).unwrap_or(id),
        None => name,
    }
}

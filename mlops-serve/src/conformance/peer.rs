//! The server that is asked, and what it says of itself.

use super::{
    answer::{Inferred, Output},
    client::{
        grpc::{Grpc, Reply},
        http::{Answer, Asked, Http},
    },
    config::ConformanceConfig,
    datatype::Datatype,
    mutation::Mutated,
    report::ServerSaid,
    tensor::{Spec, Tensor},
    verdict::{Unmet, Verdict, failed, skipped},
};
use mlops_core::{Error, Result};
use serde_json::{Value, json};
use std::cmp::Reverse;
use tokio::sync::OnceCell;

/// A model by its metadata.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) name: String,
    pub(super) versions: Vec<String>,
    pub(super) inputs: Vec<Spec>,
    pub(super) outputs: Vec<Spec>,
}

impl Model {
    /// Whether the protocol says how all of its inputs stand in JSON.
    pub(super) fn is_in_json(&self) -> bool {
        let in_json = |spec: &Spec| Datatype::of(&spec.datatype).is_none_or(Datatype::is_in_json);
        self.inputs.iter().all(in_json)
    }

    /// Harmless elements for each input; `None` for a datatype that the protocol does not have.
    pub(super) fn sample(&self, rows: usize) -> Option<Vec<Tensor>> {
        self.inputs.iter().map(|spec| Tensor::sample(spec, rows)).collect()
    }
}

/// A request that the subject answers.
#[derive(Debug)]
pub(super) struct Good {
    pub(super) tensors: Vec<Tensor>,
    pub(super) outputs: Vec<Output>,
    /// Whether asking twice gives the same.
    pub(super) repeats: bool,
}

/// A server, and the models that it is asked about.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) http: Http,
    pub(super) grpc: Option<Grpc>,
    pub(super) server: Value,
    pub(super) models: Vec<Model>,
    good: Result<Good, String>,
    pub(super) mutations: usize,
    pub(super) seed: u64,
    pub(super) mutated: [OnceCell<Mutated>; 3],
}

impl Peer {
    /// Asks what there is, and whether a request made of that is answered.
    pub(super) async fn open(config: &ConformanceConfig) -> Result<Self> {
        let http = Http::new(&config.url, config.timeout)?;
        http.open().await?;
        let server = http.ask(Asked::get("/v2")).await.ok().and_then(|answer| answer.json());
        let names =
            if config.models.is_empty() { listed(&http).await } else { config.models.clone() };
        let mut models = Vec::new();
        for name in &names {
            match describe(&http, name).await {
                Some(model) => models.push(model),
                None if config.models.is_empty() => {}
                None => {
                    return Err(Error::invalid(format!(
                        "the server does not describe a model {name:?}"
                    )));
                }
            }
        }
        if models.is_empty() {
            return Err(Error::invalid("the server lists no model that it describes: name one"));
        }
        if config.models.is_empty() {
            // The subject is one that can be asked the most.
            models.sort_by_key(|model| (!model.is_in_json(), Reverse(model.inputs.len())));
        }
        let grpc = config.grpc.as_deref().map(|address| Grpc::new(address, config.timeout));
        let server = server.unwrap_or_default();
        let (mutations, seed) = (config.mutations, config.seed);
        let good = Err(String::new());
        let mutated = Default::default();
        let mut peer = Self { http, grpc, server, models, good, mutations, seed, mutated };
        peer.good = peer.find_good(config.request.as_ref()).await;
        Ok(peer)
    }

    async fn find_good(&self, given: Option<&Value>) -> Result<Good, String> {
        let tensors = match given {
            Some(request) => {
                let inputs = request["inputs"].as_array();
                inputs.and_then(|all| all.iter().map(Tensor::of_json).collect())
            }
            None => self.subject().sample(2),
        };
        let tensors: Vec<Tensor> = tensors.ok_or("no request can be made: an unknown datatype")?;
        let body = request(&tensors);
        let mut answers = Vec::new();
        for _ in 0..2 {
            let answer = self.post(&body).await?;
            if answer.status != 200 {
                return Err(answer.shown());
            }
            answers.push(Inferred::read(&answer)?.outputs);
        }
        let outputs = answers.pop().unwrap_or_default();
        let repeats = answers.pop().is_some_and(|first| super::answer::same(&first, &outputs));
        Ok(Good { tensors, outputs, repeats })
    }

    pub(super) fn said(&self) -> ServerSaid {
        let text = |key: &str| self.server[key].as_str().unwrap_or("unknown").to_owned();
        let model = |model: &Model| {
            let one = |spec: &Spec| format!("{} {} {:?}", spec.name, spec.datatype, spec.shape);
            let inputs: Vec<String> = model.inputs.iter().map(one).collect();
            format!("{}({})", model.name, inputs.join(", "))
        };
        ServerSaid {
            name: text("name"),
            version: text("version"),
            extensions: self.extensions(),
            models: self.models.iter().map(model).collect(),
            grpc: self.grpc.is_some(),
        }
    }

    pub(super) fn extensions(&self) -> Vec<String> {
        let listed = self.server["extensions"].as_array().into_iter().flatten();
        listed.filter_map(|one| one.as_str().map(str::to_owned)).collect()
    }

    /// That the server says it speaks an extension; skips the check if not.
    pub(super) fn declares(&self, extension: &str) -> Verdict {
        if self.extensions().iter().any(|one| one == extension) {
            return Ok(());
        }
        Err(skipped(format!("extension {extension} is not declared")))
    }

    /// The model of most checks.
    pub(super) fn subject(&self) -> &Model {
        &self.models[0]
    }

    /// A request that is answered; skips the check if there is none.
    pub(super) fn good(&self) -> Verdict<&Good> {
        self.good.as_ref().map_err(|_| skipped("no request is known that the model answers"))
    }

    /// Elements to ask a model with: of the subject those that it is known to answer.
    pub(super) fn tensors_for(&self, model: &Model) -> Verdict<Vec<Tensor>> {
        if model.name == self.subject().name {
            return Ok(self.good()?.tensors.clone());
        }
        let unknown = || skipped("the model has an input of an unknown datatype");
        model.sample(2).ok_or_else(unknown)
    }

    /// Whether a model's answers are the same each time, as far as is known.
    pub(super) fn repeats(&self, model: &Model) -> bool {
        model.name != self.subject().name || self.good().is_ok_and(|good| good.repeats)
    }

    /// Why the request made of the metadata was not answered.
    pub(super) fn why_not(&self) -> Option<&str> {
        self.good.as_ref().err().map(String::as_str)
    }

    pub(super) fn grpc(&self) -> Verdict<&Grpc> {
        self.grpc.as_ref().ok_or_else(|| skipped("no address of gRPC was given"))
    }

    pub(super) fn infer_path(&self) -> String {
        format!("/v2/models/{}/infer", encoded(&self.subject().name))
    }

    async fn post(&self, body: &Value) -> Result<Answer, String> {
        let asked = Asked::post(self.infer_path(), body.to_string());
        self.http.ask(asked).await
    }

    /// The answer to an inference request in JSON, whatever its status.
    pub(super) async fn infer(&self, body: &Value) -> Verdict<Answer> {
        heard(self.post(body).await)
    }

    pub(super) async fn ask(&self, asked: Asked) -> Verdict<Answer> {
        heard(self.http.ask(asked).await)
    }

    pub(super) async fn call(&self, method: &str, message: &impl prost::Message) -> Verdict<Reply> {
        heard(self.grpc()?.call(method, message).await)
    }

    /// The first of all models with an input of this type, and where it is.
    pub(super) fn taker(&self, datatype: Datatype) -> Verdict<(&Model, usize)> {
        let takes = |spec: &Spec| spec.datatype == datatype.name();
        let find = |model| -> Option<(&Model, usize)> {
            let model: &Model = model;
            Some((model, model.inputs.iter().position(takes)?))
        };
        let none = || skipped(format!("no model has an input of {}", datatype.name()));
        self.models.iter().find_map(find).ok_or_else(none)
    }
}

fn heard<T>(answered: Result<T, String>) -> Verdict<T> {
    answered.map_err(Unmet::Silence)
}

/// The answer of status 200 as its outputs.
pub(super) fn inferred(answer: &Answer) -> Verdict<Inferred> {
    if answer.status != 200 {
        return Err(failed("status 200", answer.shown()));
    }
    Inferred::read(answer).map_err(|wrong| failed("an inference response", wrong))
}

/// An inference request with flat data.
pub(super) fn request(tensors: &[Tensor]) -> Value {
    json!({ "inputs": tensors.iter().map(Tensor::json).collect::<Vec<_>>() })
}

/// A path's segment.
pub(super) fn encoded(name: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| {
        if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    name.bytes().map(one).collect()
}

/// Names of models, as our list or Triton's index has them.
async fn listed(http: &Http) -> Vec<String> {
    let index = http.ask(Asked::post("/v2/repository/index", "{}")).await;
    let index = index.ok().and_then(|answer| answer.json()).unwrap_or_default();
    let ready = |entry: &&Value| entry["state"].as_str().is_none_or(|state| state == "READY");
    let entries = index.as_array().into_iter().flatten().filter(ready);
    let names: Vec<String> =
        entries.filter_map(|entry| entry["name"].as_str().map(str::to_owned)).collect();
    if !names.is_empty() {
        return names;
    }
    let list = http.ask(Asked::get("/v2/models")).await;
    let list = list.ok().and_then(|answer| answer.json()).unwrap_or_default();
    let names = list["models"].as_array().into_iter().flatten();
    names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

async fn describe(http: &Http, name: &str) -> Option<Model> {
    let answer = http.ask(Asked::get(format!("/v2/models/{}", encoded(name)))).await.ok()?;
    let said = answer.json().filter(|_| answer.status == 200)?;
    let versions = said["versions"].as_array().into_iter().flatten();
    let versions = versions.filter_map(|one| one.as_str().map(str::to_owned)).collect();
    let (inputs, outputs) = (specs(&said["inputs"])?, specs(&said["outputs"])?);
    Some(Model { name: name.to_owned(), versions, inputs, outputs })
}

/// Inputs or outputs of metadata; `None` if they are malformed.
pub(super) fn specs(listed: &Value) -> Option<Vec<Spec>> {
    let one = |spec: &Value| {
        let shape = spec["shape"].as_array()?.iter().map(Value::as_i64).collect::<Option<_>>()?;
        let text = |key: &str| spec[key].as_str().map(str::to_owned);
        Some(Spec { name: text("name")?, datatype: text("datatype")?, shape })
    };
    listed.as_array()?.iter().map(one).collect()
}

/// A verdict that names what it is about.
pub(super) fn about(what: &str, unmet: Unmet) -> Unmet {
    match unmet {
        Unmet::Failed { wanted, seen } => {
            Unmet::Failed { wanted: format!("{what}: {wanted}"), seen }
        }
        other => other,
    }
}

//! Clients of the server: they speak HTTP as anybody would, wait for each answer, and so have threads of
//! their own.

use crate::{
    census::{self, FEATURES},
    home::MODEL,
    live::Live,
    table::{Table, say},
    training::Trained,
};
use mlops::{Error, PredictionId, Result, ResultExt, inference_log::Outcome};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// What came back for one request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) prediction: PredictionId,
    pub(crate) version: String,
    pub(crate) labels: Vec<i64>,
    /// Of being employed.
    pub(crate) probabilities: Vec<f64>,
}

/// A client as anybody would write it; it waits, so it has a thread of its own.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
}

impl Client {
    pub(crate) fn new(url: &str) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        Self { agent: config.into(), url: format!("{url}/v2/models/{MODEL}") }
    }

    /// Asks about people, `width` numbers each.
    pub(crate) fn infer(&self, features: &[f32], width: usize) -> Result<Answer> {
        let shape = [features.len() / width.max(1), width];
        let input = json!({
            "name": "features", "shape": shape, "datatype": "FP32", "data": features,
        });
        let answer = self.post("infer", &json!({ "inputs": [input] }).to_string())?;
        Answer::read(&answer)
            .ok_or_else(|| Error::internal("the server's answer is not what the protocol says"))
    }

    /// Sends what came of predictions; the server has them on its disk when this returns.
    pub(crate) fn outcomes(&self, outcomes: &[Outcome]) -> Result<()> {
        let bodies: Vec<String> = outcomes.iter().map(Outcome::to_json).collect();
        self.post("outcomes", &format!("[{}]", bodies.join(","))).map(drop)
    }

    fn post(&self, what: &str, body: &str) -> Result<Value> {
        let failed = |cause: ureq::Error| Error::unavailable(format!("{what}: {cause}"));
        let url = format!("{}/{what}", self.url);
        let request = self.agent.post(&url).header("content-type", "application/json");
        let mut response = request.send(body).map_err(failed)?;
        let answer: Value = response.body_mut().read_json().map_err(failed)?;
        if !response.status().is_success() {
            let why = answer["error"].as_str().unwrap_or("no reason given");
            return Err(Error::invalid(why.to_owned()).context(response.status().to_string()));
        }
        Ok(answer)
    }
}

impl Answer {
    fn read(answer: &Value) -> Option<Self> {
        let outputs = answer["outputs"].as_array()?;
        let data =
            |name: &str| outputs.iter().find(|output| output["name"] == name)?["data"].as_array();
        let numbers =
            data("probabilities")?.iter().map(Value::as_f64).collect::<Option<Vec<_>>>()?;
        Some(Self {
            prediction: answer["parameters"]["prediction"].as_str()?.parse().ok()?,
            version: answer["model_version"].as_str()?.to_owned(),
            labels: data("label")?.iter().map(Value::as_i64).collect::<Option<_>>()?,
            probabilities: numbers.chunks_exact(2).map(|pair| pair[1]).collect(),
        })
    }
}

/// How requests went that came while something else happened.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) answered: BTreeMap<String, u64>,
    pub(crate) failed: u64,
}

/// Keeps asking about one person while `work` is done.
pub(crate) async fn under_load<T>(
    live: &Live,
    person: Vec<f32>,
    work: impl Future<Output = Result<T>>,
) -> Result<(T, Load)> {
    let (client, done) = (Client::new(&live.url), Arc::new(AtomicBool::new(false)));
    let finished = Arc::clone(&done);
    let asking = tokio::task::spawn_blocking(move || {
        let mut load = Load::default();
        while !finished.load(Ordering::Relaxed) {
            match client.infer(&person, person.len()) {
                Ok(answer) => *load.answered.entry(answer.version).or_default() += 1,
                Err(_) => load.failed += 1,
            }
        }
        load
    });
    let result = work.await;
    // A little more, so that the newcomer is heard, too.
    tokio::time::sleep(Duration::from_millis(50)).await;
    done.store(true, Ordering::Relaxed);
    let load = asking.await.map_err(|cause| Error::internal(cause.to_string()))?;
    Ok((result.context(|| "while clients were being answered")?, load))
}

/// Asks about three people of the test part, and asks wrongly once.
pub(crate) async fn first_answers(live: &Live, trained: &Trained) -> Result<PredictionId> {
    let tensors = census::tensors(&trained.test)?;
    let people = tensors.require("features")?.as_slice::<f32>()?;
    let people: Vec<Vec<f32>> =
        people.chunks(FEATURES.len()).take(3).map(<[f32]>::to_vec).collect();
    let (client, asked) = (Client::new(&live.url), people.clone());
    let asking = tokio::task::spawn_blocking(move || {
        let answers = asked.iter().map(|person| client.infer(person, FEATURES.len()));
        let answers = answers.collect::<Result<Vec<_>>>()?;
        Ok::<_, Error>((answers, client.infer(&[41.0, 21.0], 2)))
    });
    let (answers, refused) = asking.await.map_err(|cause| Error::internal(cause.to_string()))??;

    say(format_args!("listening on {}", live.url));
    let mut table = Table::new(["age", "schooling", "employed?", "by version", "prediction"]);
    for (person, answer) in people.iter().zip(&answers) {
        let probability = answer.probabilities.first().copied().unwrap_or(f64::NAN);
        table.row([
            person[0].to_string(),
            person[1].to_string(),
            format!("{probability:.4}"),
            answer.version.clone(),
            answer.prediction.to_string(),
        ]);
    }
    table.print();
    if let Err(error) = refused {
        say(format_args!("two numbers instead of sixteen: {error}"));
    }
    let first = answers.first().map(|answer| answer.prediction);
    first.ok_or_else(|| Error::internal("nobody was asked about"))
}

//! A model in an actix-web service: a handler calls it in process, with your own types in and out.
//!
//! `cargo run --example embed_actix` starts it, asks it, and stops it.

use actix_web::{App, HttpResponse, HttpServer, ResponseError, http::StatusCode, post, rt, web};
use mlops::serve::engines::{LoadOptions, tabular::TabularEngine};
use mlops::serve::{Endpoint, LocalConfig, LocalPredictor};
use mlops::{Input, Output, typed::Typed};
use serde::Deserialize;
use std::{error::Error, fmt, thread};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/employment_lightgbm.onnx");

/// Codes of the American Community Survey, one packed input: from the request to the model as they are.
#[derive(Deserialize, Input)]
struct Person {
    features: [f32; 16],
}

#[derive(Output)]
struct Employment {
    probabilities: Vec<f32>,
}

type Model = Typed<Person, Employment>;

#[post("/people/employment")]
async fn employment(
    model: web::Data<Model>,
    person: web::Json<Person>,
) -> Result<HttpResponse, Refused> {
    let answer = model.predict(&person).await.map_err(Refused)?;
    let employed = answer.probabilities.last().copied();
    let receipt = answer.id().to_string(); // `mlops why` finds this answer again
    Ok(HttpResponse::Ok().json(serde_json::json!({ "employed": employed, "receipt": receipt })))
}

/// An error of the family as an answer of this service: its kind knows the status.
#[derive(Debug)]
struct Refused(mlops::Error);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        let status = StatusCode::from_u16(self.0.kind().row().http);
        status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let session = TabularEngine::new().load_file(MODEL, &LoadOptions::default())?;
    let model = LocalPredictor::open("employment", "1", session, &LocalConfig::default())?;
    // Names and types are checked here, once; all workers share one model.
    let model = web::Data::new(Endpoint::from_predictor("employment", model).typed()?);

    let app = move || App::new().app_data(web::Data::<Model>::clone(&model)).service(employment);
    let server = HttpServer::new(app).workers(2).bind(("127.0.0.1", 0))?;
    let address = server.addrs().first().copied().ok_or("no address")?;
    let server = server.run();
    let handle = server.handle();
    let client = thread::spawn(move || ask(&format!("http://{address}/people/employment")));
    // Yours stops by Ctrl-C; what is under way is answered.
    rt::spawn(async move { (web::block(|| client.join()).await, handle.stop(true).await).1 });
    Ok(server.await?)
}

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn ask(url: &str) {
    let send =
        |features: &[f64]| ureq::post(url).send_json(serde_json::json!({ "features": features }));
    let person = [40., 21., 1., 0., 2., 0., 1., 1., 4., 1., 1., 2., 2., 2., 1., 1.];
    let answer = send(&person).and_then(|mut answer| answer.body_mut().read_to_string());
    println!("a person: {answer:?}\nhalf of one: {:?}", send(&person[..8]).err());
}

//! Models in the gRPC server that you already have: one port, one shutdown, your services beside them.
//! `cargo run --example embed_tonic` starts it, asks it, and stops it.

use mlops::serve::engines::{LoadOptions, tabular::TabularEngine};
use mlops::serve::{LocalConfig, LocalPredictor, grpc::GrpcService, http};
use std::error::Error;
use tokio::{net::TcpListener, sync::oneshot};
use tonic::transport::{Channel, Endpoint, Server, server::TcpIncoming};
use tonic::{Request, client::Grpc, server::NamedService};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/employment_lightgbm.onnx");
const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let session = TabularEngine::new().load_file(MODEL, &LoadOptions::default())?;
    let model = LocalPredictor::open("employment", "1", session, &LocalConfig::default())?;
    let (quit, stopped) = oneshot::channel::<()>(); // yours: tokio::signal::ctrl_c()
    let models = GrpcService::new(http::Service::new().with_model(model));

    // Stands for what your own .proto files make: any service of tonic's goes here.
    let (status, health) = tonic_health::server::health_reporter();
    status.set_serving::<GrpcService>().await;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let shop = Endpoint::from_shared(format!("http://{}", listener.local_addr()?))?;
    let server = Server::builder() // with your layers: they stand before all services
        .add_service(health)
        .add_service(models)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), async { drop(stopped.await) });
    let client = async { (ask(shop.connect_lazy()).await, quit.send(())).0 };
    let (ended, asked) = tokio::join!(server, client);
    ended.map_err(Into::into).and(asked)
}

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn ask(shop: Channel) -> Result<(), Box<dyn Error>> {
    let about = HealthCheckRequest { service: GrpcService::NAME.to_owned() };
    let health = HealthClient::new(shop.clone()).check(about).await?;
    println!("your own service says: {:?}", health.into_inner().status());
    let person = [40_f32, 21., 1., 0., 2., 0., 1., 1., 4., 1., 1., 2., 2., 2., 1., 1.];
    let features = Input { name: "features".into(), datatype: "FP32".into(), shape: vec![1, 16] };
    let raw = vec![person.map(f32::to_le_bytes).concat()];
    let asked = Infer { model_name: "employment".into(), inputs: vec![features], raw };
    let mut client = Grpc::new(shop);
    client.ready().await?;
    let codec = tonic_prost::ProstCodec::<Infer, Inferred>::default();
    let answer = client.unary(Request::new(asked), INFER.parse()?, codec).await?.into_inner();
    let probabilities = answer.raw.last().map(Vec::as_slice).unwrap_or_default().chunks(4);
    let numbers = probabilities.map(|four| four.try_into().map(f32::from_le_bytes));
    println!("the model says: {:?}", numbers.collect::<Result<Vec<_>, _>>()?);
    Ok(())
}

/// What is used here of the protocol's messages; its .proto file makes all of them.
#[derive(Clone, PartialEq, prost::Message)]
struct Infer {
    #[prost(string, tag = "1")]
    model_name: String,
    #[prost(message, repeated, tag = "5")]
    inputs: Vec<Input>,
    #[prost(bytes = "vec", repeated, tag = "7")]
    raw: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Input {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    datatype: String,
    #[prost(int64, repeated, tag = "3")]
    shape: Vec<i64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Inferred {
    #[prost(bytes = "vec", repeated, tag = "6")]
    raw: Vec<Vec<u8>>,
}

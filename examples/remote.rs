//! A model that another server has (Triton, MLServer, KServe or `mlops serve`), as a predictor like any other;
//! and one in this process that answers for as long as that server does not.
//!
//! `cargo run --example remote`

use axum::Router;
use mlops::predictor::PredictRequest;
use mlops::serve::compose::{Arm, Fallback, FallbackConfig};
use mlops::serve::engines::remote::{RemoteConfig, RemotePredictor};
use mlops::serve::engines::{LoadOptions, tabular::TabularEngine};
use mlops::serve::{LocalConfig, LocalPredictor, http::Service};
use mlops::tensor::{Tensor, Tensors};
use mlops::{Predictor, Result};
use std::{error::Error, io, net::SocketAddr, sync::Arc, thread, time::Duration};
use tokio::{net::TcpListener, runtime::Builder, sync::oneshot, time::sleep};

const TREES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/employment_lightgbm.onnx");

fn trees(version: &str) -> Result<LocalPredictor> {
    let session = TabularEngine::new().load_file(TREES, &LoadOptions::default())?;
    LocalPredictor::open("employment", version, session, &LocalConfig::default())
}

/// Stands for the other server, so that this program needs none.
struct Other {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<io::Result<()>>,
}

impl Other {
    fn start(address: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let app = Service::new().with_model(trees("large")?).into_router();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(serve(listener, app, stopped))
        });
        Ok(Self { address, stop, thread })
    }

    /// All of a sudden, as servers go.
    fn stop(self) -> Result<(), Box<dyn Error>> {
        self.stop.send(()).map_err(|()| "it ended by itself")?;
        Ok(self.thread.join().map_err(|_| "it panicked")??)
    }
}

async fn serve(
    listener: std::net::TcpListener,
    app: Router,
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let served = axum::serve(TcpListener::from_std(listener)?, app);
    tokio::select! {
        served = async { served.await } => served,
        _ = stopped => Ok(()),
    }
}

/// Which of the two answered, and what.
async fn ask(model: &Fallback) -> Result<String> {
    // AGEP and 15 more, as examples/data/README.md has them.
    let person = [40., 21., 1., 0., 2., 0., 1., 1., 4., 1., 1., 2., 2., 2., 1., 1_f32];
    let person = Tensors::one("features", Tensor::from_vec([1, 16], person.to_vec())?);
    let answer = model.predict(PredictRequest::new(person)).await?;
    let employed = answer.outputs.require("probabilities")?.as_slice::<f32>()?[1];
    Ok(format!("{}: {employed}", answer.arm.as_deref().unwrap_or_default()))
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<(), Box<dyn Error>> {
    let other = Other::start(([127, 0, 0, 1], 0).into())?;
    let address = other.address;

    // `grpc://` for gRPC, `https://` for TLS, `with_api_key` for who asks for one. Two failures in a row, and it is
    // left alone for 200 ms, so that nobody waits for a server that is not there.
    let config = RemoteConfig::of_model(&format!("http://{address}/v2/models/employment"))?
        .with_timeout(Duration::from_secs(5))
        .with_failures(2)
        .with_cool_down(Duration::from_millis(200));
    let there = Arc::new(RemotePredictor::connect(config).await?);
    let here = Arc::new(trees("small")?);

    let arms = vec![Arm::new("there", there.clone()), Arm::new("here", here)];
    let patience = FallbackConfig::default().with_patience(Some(Duration::from_secs(5)));
    let model = Fallback::new("employment", "1", arms, patience)?;

    let first = ask(&model).await?;
    assert!(first.starts_with("there"), "{first}");
    println!("{first}");
    other.stop()?;
    let meanwhile = ask(&model).await?;
    assert!(meanwhile.starts_with("here"), "{meanwhile}");
    println!("{meanwhile}, while the other server is gone");

    let other = Other::start(address)?;
    let mut again = meanwhile;
    for _ in 0..500 {
        again = ask(&model).await?;
        if again.starts_with("there") {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    // The same to the bit as before: tensors travel as raw bytes.
    assert_eq!(again, first);
    println!("{again}, again; {:?}", there.stats());
    other.stop()
}

//! The model of `scripts/bench serving` behind furnace-server, computed by our `tabular` engine.
//!
//! Usage: `furnace-peer MODEL.onnx PORT BATCH`; BATCH 1 is its default, without batching.

use furnace::{DataType, HostTensor, IoSpec, Model, Server, TensorModel, Values};
use mlops_core::tensor::{Tensor, Tensors};
use mlops_serve::{
    InferOptions, LoadOptions, Session, Stop,
    engines::tabular::{TabularEngine, TabularSession},
};
use std::{env, error::Error, sync::Arc};

const FEATURES: usize = 30;
const CLASSES: usize = 2;

#[derive(Debug)]
struct Gbdt {
    session: Arc<TabularSession>,
    input: Arc<str>,
    outputs: [Arc<str>; 2],
    never: Stop,
}

impl TensorModel for Gbdt {
    fn name(&self) -> &str {
        "gbdt"
    }

    fn backend(&self) -> &str {
        "cpu"
    }

    fn inputs(&self) -> Vec<IoSpec> {
        vec![IoSpec::fp32(&self.input, &[FEATURES])]
    }

    fn outputs(&self) -> Vec<IoSpec> {
        let [labels, scores] = &self.outputs;
        vec![IoSpec::new(labels, DataType::Int64, &[]), IoSpec::fp32(scores, &[CLASSES])]
    }

    fn run(&self, inputs: Vec<HostTensor>) -> furnace::Result<Vec<HostTensor>> {
        let [HostTensor { shape, values: Values::F32(values) }] =
            <[_; 1]>::try_from(inputs).expect("one input")
        else {
            unreachable!("the server has checked the type")
        };
        let rows = shape[0];
        let tensor = Tensor::from_vec(shape, values).expect("the server has checked the shape");
        let inputs = Tensors::one(Arc::clone(&self.input), tensor);
        let outputs =
            self.session.run(&inputs, &InferOptions::new(&self.never)).expect("the model runs");
        let [labels, scores] =
            self.outputs.each_ref().map(|name| outputs.get(name).expect("an output"));
        let labels = labels.as_slice::<i64>().expect("labels").to_vec();
        let scores = scores.as_slice::<f32>().expect("scores").to_vec();
        Ok(vec![
            HostTensor { shape: vec![rows], values: Values::I64(labels) },
            HostTensor { shape: vec![rows, CLASSES], values: Values::F32(scores) },
        ])
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [path, port, batch] = words.as_slice() else {
        return Err("usage: furnace-peer MODEL.onnx PORT BATCH".into());
    };
    let session = TabularEngine::new().load_file(path, &LoadOptions::default())?;
    let signature = &session.info().signature;
    let input = Arc::clone(&signature.inputs[0].name);
    let outputs = [0, 1].map(|at: usize| Arc::clone(&signature.outputs[at].name));
    let model = Gbdt { session, input, outputs, never: Stop::new() };
    let server = Server::new().port(port.parse()?).max_batch_size(batch.parse()?);
    // More than the calls that are open at a time: none is refused.
    let server = server.configure(|config| config.max_concurrent_requests = 1024);
    let server = server.model(Model::custom(model));
    Ok(server.serve().await?)
}

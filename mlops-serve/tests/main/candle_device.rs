//! Where candle computes: on a device that is not there, on none, and where there is one beside the processor.

use crate::{
    candle::{numbers, trained, write},
    candle_module::{arithmetic, inputs as pairs},
    encoder::{apart, data, embed, small, texts},
};
use mlops_core::{
    ErrorKind, Result,
    signature::ModelSignature,
    tensor::{Tensor, Tensors},
};
use mlops_serve::{
    Engine, InferOptions, LoadOptions, Session, Stop,
    engines::candle::{
        CandleDevice, CandleEngine, CandleModule, MlpConfig, Task, TrainOptions,
        candle_core::{self, Device},
        train,
    },
};
use std::sync::Arc;

/// No machine has so many.
const NOWHERE: [CandleDevice; 2] = [CandleDevice::Cuda(999), CandleDevice::Metal(999)];

fn perceptron(engine: &CandleEngine) -> Result<Arc<dyn Session>> {
    let options = TrainOptions::new().with_epochs(2).with_threads(2);
    let model = trained(&MlpConfig::new(3, Task::Classes(2)), 64, &options);
    let (_folder, package) = write(model.package().unwrap());
    engine.load(&package, &LoadOptions::default())
}

fn encoder(engine: &CandleEngine) -> Result<Arc<dyn Session>> {
    engine.load_encoder(data().join("small"), &LoadOptions::default())
}

fn run(session: &dyn Session, inputs: &Tensors) -> Tensors {
    session.run(inputs, &InferOptions::new(&Stop::new())).unwrap()
}

fn rows(count: usize) -> Tensors {
    Tensors::one("x", Tensor::from_vec([count, 3], numbers(3 * count)).unwrap())
}

#[test]
fn a_device_that_is_not_there_is_named_whatever_is_to_be_computed_on_it() {
    for device in NOWHERE {
        let engine = CandleEngine::new().with_device(device);
        let options = TrainOptions::new().with_device(device);
        let (x, y) = (numbers(6), vec![0_i64, 1]);
        let x = Tensor::from_vec([2, 3], x).unwrap();
        let y = Tensor::from_vec([2], y).unwrap();
        let config = MlpConfig::new(3, Task::Classes(2));
        let refused = [
            perceptron(&engine).unwrap_err(),
            encoder(&engine).unwrap_err(),
            engine.session(arithmetic(), &LoadOptions::default()).unwrap_err(),
            train(&config, &x, &y, &options, &Stop::new()).unwrap_err(),
        ];
        for error in refused {
            assert!(matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Unavailable));
            assert!(error.to_string().contains(&format!("device {device} ")), "{error}");
        }
    }
}

#[test]
fn the_processor_computes_instead_where_it_may_and_gives_its_own_bits() {
    for device in NOWHERE {
        let engine = CandleEngine::new().with_device(device).with_cpu_fallback(true);
        assert!(engine.device().unwrap().is_cpu());
        let (here, there) = (perceptron(&CandleEngine::new()), perceptron(&engine));
        assert_eq!(run(&*here.unwrap(), &rows(300)), run(&*there.unwrap(), &rows(300)));
        assert_eq!(embed(&*encoder(&engine).unwrap(), &texts()), embed(&*small(), &texts()));
        let module = engine.session(arithmetic(), &LoadOptions::default()).unwrap();
        assert_eq!(run(&*module, &pairs()).len(), 2);
    }
}

/// Multiplies by a weight that it has where it was told to.
#[derive(Debug)]
struct Scaled {
    weight: candle_core::Tensor,
    moved: usize,
}

impl CandleModule for Scaled {
    fn signature(&self) -> ModelSignature {
        arithmetic().signature()
    }

    fn weights_bytes(&self) -> u64 {
        4
    }

    fn move_to(&mut self, device: &Device) -> candle_core::Result<bool> {
        self.weight = self.weight.to_device(device)?;
        self.moved += 1;
        assert_eq!(self.moved, 1, "it is told once");
        Ok(true)
    }

    fn forward(&self, x: &[candle_core::Tensor]) -> candle_core::Result<Vec<candle_core::Tensor>> {
        assert_eq!(self.moved, 1, "it is told before");
        x.iter().map(|x| x.broadcast_mul(&self.weight)).collect()
    }
}

fn scaled(engine: &CandleEngine) -> Tensors {
    let weight = candle_core::Tensor::new(&[2_f32], &Device::Cpu).unwrap();
    let session = engine.session(Scaled { weight, moved: 0 }, &LoadOptions::default()).unwrap();
    run(&*session, &pairs())
}

#[test]
fn a_module_is_told_where_to_lie_before_it_computes() {
    let outputs = scaled(&CandleEngine::new());
    let sum = outputs.require("sum").unwrap().as_slice::<f32>().unwrap().to_vec();
    assert_eq!(sum, [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
}

/// Numbers of length about 1, in single precision, added in another order.
const NEAR: f32 = 1e-5;

/// The same on the first device of each kind, where there is one.
#[test]
fn a_device_computes_what_the_processor_does() {
    for device in [CandleDevice::Cuda(0), CandleDevice::Metal(0)] {
        let engine = CandleEngine::new().with_device(device);
        if let Err(why) = engine.device() {
            println!("skipped: a_device_computes_what_the_processor_does: {why}");
            continue;
        }
        for padded in [1, 7, 64] {
            let engine = engine.clone().with_padded_rows(padded);
            let there = embed(&*encoder(&engine).unwrap(), &texts());
            let far = apart(&there, &embed(&*small(), &texts()));
            assert!(far <= NEAR, "{device}, {padded} texts together: apart by {far}");
        }
        let probabilities = |engine| {
            let outputs = run(&*perceptron(engine).unwrap(), &rows(300));
            outputs.require("probabilities").unwrap().as_slice::<f32>().unwrap().to_vec()
        };
        let far = apart(&probabilities(&engine), &probabilities(&CandleEngine::new()));
        assert!(far <= NEAR, "{device}, a perceptron: apart by {far}");
        assert_eq!(scaled(&engine), scaled(&CandleEngine::new()));
        // One that cannot be moved is refused, or stays.
        let stays = engine.session(arithmetic(), &LoadOptions::default()).unwrap_err();
        assert_eq!(stays.kind(), ErrorKind::Unsupported, "{stays}");
        let may_stay = engine.with_cpu_fallback(true);
        assert!(may_stay.session(arithmetic(), &LoadOptions::default()).is_ok());
        let options = TrainOptions::new().with_epochs(2).with_device(device);
        let model = trained(&MlpConfig::new(3, Task::Classes(2)), 64, &options);
        assert!(model.losses().iter().all(|loss| loss.is_finite()));
    }
}

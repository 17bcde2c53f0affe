//! Networks of a host's own.

use mlops_core::{
    ErrorKind,
    conformance::predictor::Subject,
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
};
use mlops_serve::{
    InferOptions, LoadOptions, LocalConfig, LocalPredictor, Stop,
    engines::candle::{
        CandleEngine, CandleModule,
        candle_core::{self, Result},
    },
};
use std::fmt;

type Forward = fn(&[candle_core::Tensor]) -> Result<Vec<candle_core::Tensor>>;

/// Whatever a test wants to happen, under whatever signature.
pub(crate) struct Module(ModelSignature, Forward);

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Module")
    }
}

impl CandleModule for Module {
    fn signature(&self) -> ModelSignature {
        self.0.clone()
    }

    fn weights_bytes(&self) -> u64 {
        8
    }

    fn forward(&self, inputs: &[candle_core::Tensor]) -> Result<Vec<candle_core::Tensor>> {
        (self.1)(inputs)
    }
}

fn signature(inputs: &[(&str, DType)], outputs: &[(&str, DType)]) -> ModelSignature {
    let specs = |all: &[(&str, DType)]| {
        let spec = |(name, dtype): &(&str, DType)| TensorSpec::new(*name, *dtype, [None, Some(2)]);
        all.iter().map(spec).collect()
    };
    ModelSignature::new(specs(inputs), specs(outputs)).unwrap()
}

/// The sum and the difference of two pairs.
pub(crate) fn arithmetic() -> Module {
    let f32s = |names: [&'static str; 2]| names.map(|name| (name, DType::F32));
    let signature = signature(&f32s(["a", "b"]), &f32s(["sum", "difference"]));
    Module(signature, |x| Ok(vec![(&x[0] + &x[1])?, (&x[0] - &x[1])?]))
}

pub(crate) fn inputs() -> Tensors {
    let tensor = |values: [f32; 6]| Tensor::from_vec([3, 2], values.to_vec()).unwrap();
    let a = Tensors::one("a", tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    a.with("b", tensor([0.5, 0.5, -1.0, 0.0, 2.0, 6.0])).unwrap()
}

mlops_core::predictor_conformance!(a_module_of_ones_own, {
    let engine = CandleEngine::new().with_threads(2);
    let session = engine.session(arithmetic(), &LoadOptions::default()).unwrap();
    let predictor = LocalPredictor::open("own", "1", session, &LocalConfig::default()).unwrap();
    Subject::new(predictor, inputs())
});

#[test]
fn numbers_of_every_type_come_back_as_they_went_in() {
    use DType::{BF16, F16, F32, F64, I16, I32, I64, U8, U32};
    for dtype in [U8, U32, I16, I32, I64, F16, BF16, F32, F64] {
        let module = Module(signature(&[("x", dtype)], &[("y", dtype)]), |x| Ok(x.to_vec()));
        let session = CandleEngine::new().session(module, &LoadOptions::default()).unwrap();
        let bytes: Vec<u8> =
            (0..8 * dtype.size().unwrap()).map(|at| u8::try_from(at % 60).unwrap()).collect();
        let x = Tensor::from_buffer(dtype, [4, 2], bytes.clone().into()).unwrap();
        let outputs = session.run(&Tensors::one("x", x), &InferOptions::new(&Stop::new())).unwrap();
        assert_eq!(outputs.require("y").unwrap().as_bytes().unwrap(), bytes, "{dtype}");
    }
    for dtype in [DType::Utf8, DType::Bool, DType::U64] {
        let module = Module(signature(&[("x", dtype)], &[]), |x| Ok(x.to_vec()));
        let error = CandleEngine::new().session(module, &LoadOptions::default()).unwrap_err();
        assert!(error.kind() == ErrorKind::Unsupported && error.to_string().contains("x: "));
    }
}

/// A module that does not keep its word is its author's mistake, and never the caller's.
#[test]
fn what_it_gives_is_what_it_said() {
    let lies: [(Forward, &str); 5] = [
        (|x| Ok(vec![x[0].clone()]), "gave 1 tensors"),
        (|x| Ok(vec![x[0].narrow(0, 0, 1)?, x[1].clone()]), "of 3 rows"),
        (|x| Ok(vec![x[0].clone(), x[1].narrow(1, 0, 1)?]), "output \"difference\""),
        (|x| Ok(vec![x[0].to_dtype(candle_core::DType::F64)?, x[1].clone()]), "output \"sum\""),
        (|x| Ok(vec![x[0].matmul(&x[1])?]), "candle failed"),
    ];
    for (forward, words) in lies {
        let module = Module(arithmetic().0, forward);
        let session = CandleEngine::new().session(module, &LoadOptions::default()).unwrap();
        let error = session.run(&inputs(), &InferOptions::new(&Stop::new())).unwrap_err();
        assert!(
            error.kind() == ErrorKind::Internal && error.to_string().contains(words),
            "{error}"
        );
    }
    let tight = LoadOptions::default().with_max_working_bytes(40);
    let session = CandleEngine::new().session(arithmetic(), &tight).unwrap();
    let error = session.run(&inputs(), &InferOptions::new(&Stop::new())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

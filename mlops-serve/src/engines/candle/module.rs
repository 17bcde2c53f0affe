//! Networks of a host's own.

use super::{
    CandleEngine, NAME,
    error::{candle_failed, internal},
};
use crate::{
    engines::{InferOptions, LoadOptions, Session, SessionInfo},
    local::warm_up::made_up,
};
use candle_core::Device;
use mlops_core::{
    Error, ErrorKind, Result, ResultExt,
    arrow::buffer::Buffer,
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
};
use rayon::ThreadPool;
use std::{
    fmt::{self, Debug},
    sync::Arc,
};

/// A network of your own: candle's tensors in, candle's tensors out.
///
/// What implements it holds the weights. [`CandleEngine::session`] makes a session of it, which
/// everything else takes: a predictor, a batcher, an endpoint, a chain.
pub trait CandleModule: Debug + Send + Sync {
    /// What it takes and gives: numbers of the types that candle knows, without nulls.
    fn signature(&self) -> ModelSignature;

    /// Memory that its weights take, in bytes.
    fn weights_bytes(&self) -> u64;

    /// Moves the weights to where the engine computes, and says whether they are there; called once, before
    /// anything is computed. `false`, as here: they stay on the processor, and nothing else will do.
    fn move_to(&mut self, device: &Device) -> candle_core::Result<bool> {
        Ok(device.is_cpu())
    }

    /// Computes.
    ///
    /// # Behavior
    /// - is given the inputs on the device that [`move_to`](Self::move_to) was told, and may give outputs on any
    /// - is given the inputs of the signature in its order, each of its type and shape, of at least
    ///   one row; gives the outputs in its order
    /// - any number of threads may call it at once, all of them of the engine's own pool
    /// - whether a row has the same bits alone and among others is up to it
    fn forward(
        &self,
        inputs: &[candle_core::Tensor],
    ) -> candle_core::Result<Vec<candle_core::Tensor>>;
}

impl CandleEngine {
    /// A session of a network of your own, computed on the engine's threads and device.
    ///
    /// `Unsupported` names an input or output that candle has no type for, and a device that the network cannot
    /// be moved to, where the processor is no fallback. What the network gives is
    /// checked at each call: anything but what its signature says is `Internal`.
    ///
    /// ```
    /// use mlops_core::{Result, signature::{ModelSignature, TensorSpec}, tensor::{DType, Tensor, Tensors}};
    /// use mlops_serve::engines::candle::{CandleEngine, CandleModule, candle_core};
    /// use mlops_serve::{InferOptions, LoadOptions, Session, Stop};
    ///
    /// #[derive(Debug)]
    /// struct Twice(ModelSignature);
    ///
    /// impl CandleModule for Twice {
    ///     fn signature(&self) -> ModelSignature {
    ///         self.0.clone()
    ///     }
    ///     fn weights_bytes(&self) -> u64 {
    ///         0
    ///     }
    ///     fn forward(&self, x: &[candle_core::Tensor]) -> candle_core::Result<Vec<candle_core::Tensor>> {
    ///         Ok(vec![(&x[0] * 2.0)?])
    ///     }
    /// }
    ///
    /// # fn main() -> Result<()> {
    /// let column = |name| vec![TensorSpec::column(name, DType::F32)];
    /// let twice = Twice(ModelSignature::new(column("x"), column("y"))?);
    /// let session = CandleEngine::new().session(twice, &LoadOptions::default())?;
    /// let inputs = Tensors::one("x", Tensor::from_vec([2], vec![1.0_f32, 2.5])?);
    /// let outputs = session.run(&inputs, &InferOptions::new(&Stop::new()))?;
    /// assert_eq!(outputs.require("y")?.as_slice::<f32>()?, [2.0, 5.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn session(
        &self,
        mut module: impl CandleModule + 'static,
        options: &LoadOptions,
    ) -> Result<Arc<dyn Session>> {
        let signature = module.signature();
        for spec in signature.inputs.iter().chain(&signature.outputs) {
            if spec.nullable || candle_type(spec.dtype).is_none() {
                return Err(Error::unsupported(format!("candle has no tensors like {spec}")));
            }
        }
        let info = SessionInfo::new(signature, NAME, module.weights_bytes());
        let (pool, max_working_bytes) = (self.pool()?, options.max_working_bytes);
        let device = self.place(&mut module)?;
        let module = Box::new(module);
        Ok(Arc::new(ModuleSession { info, module, pool, device, max_working_bytes }))
    }

    /// Where the module computes, moved there.
    fn place(&self, module: &mut impl CandleModule) -> Result<Device> {
        let device = self.device()?;
        let moving = candle_failed(ErrorKind::Unavailable, "moving a module to its device");
        if module.move_to(&device).map_err(moving)? || device.is_cpu() {
            return Ok(device);
        }
        let why = "the module computes on the processor alone";
        if !self.cpu_fallback {
            return Err(Error::unsupported(format!("{why}, not on {}", self.device)));
        }
        tracing::warn!(device = %self.device, why, "the processor computes instead");
        Ok(Device::Cpu)
    }
}

struct ModuleSession {
    info: SessionInfo,
    module: Box<dyn CandleModule>,
    pool: Arc<ThreadPool>,
    device: Device,
    max_working_bytes: u64,
}

impl Session for ModuleSession {
    fn info(&self) -> &SessionInfo {
        &self.info
    }

    fn run(&self, inputs: &Tensors, options: &InferOptions<'_>) -> Result<Tensors> {
        let signature = &self.info.signature;
        signature.check_inputs(inputs)?;
        signature.check_outputs(options.outputs.unwrap_or_default())?;
        if inputs.size_bytes() as u64 > self.max_working_bytes {
            return Err(Error::too_large("the inputs need more memory than is allowed"));
        }
        options.stop.check()?;
        let all = if inputs.rows()? == 0 {
            made_up(&ModelSignature::new(signature.outputs.clone(), Vec::new())?, 0)?
        } else {
            self.compute(inputs)?
        };
        let Some(wanted) = options.outputs else { return Ok(all) };
        let pick = |some: Tensors, name: &Arc<str>| {
            some.with(Arc::clone(name), all.require(name)?.clone())
        };
        wanted.iter().try_fold(Tensors::new(), pick)
    }
}

impl ModuleSession {
    fn compute(&self, inputs: &Tensors) -> Result<Tensors> {
        let signature = &self.info.signature;
        let moved = |spec: &TensorSpec| to_candle(spec, inputs.require(&spec.name)?, &self.device);
        let x = signature.inputs.iter().map(moved);
        let x = x.collect::<Result<Vec<_>>>()?;
        let given = self.pool.install(|| self.module.forward(&x));
        let given = given.map_err(internal("computing a module"))?;
        if given.len() != signature.outputs.len() {
            let (count, wanted) = (given.len(), signature.outputs.len());
            let message = format!("a module gave {count} tensors, its signature has {wanted}");
            return Err(Error::internal(message));
        }
        let mut all = Tensors::new();
        for (spec, tensor) in signature.outputs.iter().zip(&given) {
            all.push(Arc::clone(&spec.name), from_candle(spec, tensor, inputs.rows()?)?)?;
        }
        Ok(all)
    }
}

impl Debug for ModuleSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModuleSession({:?})", self.module)
    }
}

fn candle_type(dtype: DType) -> Option<candle_core::DType> {
    Some(match dtype {
        DType::U8 => candle_core::DType::U8,
        DType::U32 => candle_core::DType::U32,
        DType::I16 => candle_core::DType::I16,
        DType::I32 => candle_core::DType::I32,
        DType::I64 => candle_core::DType::I64,
        DType::F16 => candle_core::DType::F16,
        DType::BF16 => candle_core::DType::BF16,
        DType::F32 => candle_core::DType::F32,
        DType::F64 => candle_core::DType::F64,
        _ => return None,
    })
}

fn to_candle(spec: &TensorSpec, tensor: &Tensor, device: &Device) -> Result<candle_core::Tensor> {
    let unknown = || Error::internal(format!("candle has no tensors like {spec}"));
    let (dtype, bytes) = candle_type(tensor.dtype()).zip(tensor.as_bytes()).ok_or_else(unknown)?;
    candle_core::Tensor::from_raw_buffer(bytes, dtype, tensor.shape(), device)
        .map_err(internal("reading an input"))
}

fn from_candle(spec: &TensorSpec, tensor: &candle_core::Tensor, rows: usize) -> Result<Tensor> {
    let within = || format!("output {:?} of a module", spec.name);
    if candle_type(spec.dtype) != Some(tensor.dtype()) || tensor.dims().first() != Some(&rows) {
        let (dtype, shape) = (tensor.dtype().as_str(), tensor.dims());
        let message = format!("it is {dtype}{shape:?}, not {spec} of {rows} rows");
        return Err(Error::internal(message)).context(within);
    }
    let mut bytes = Vec::with_capacity(tensor.elem_count() * tensor.dtype().size_in_bytes());
    tensor.write_bytes(&mut bytes).map_err(internal("reading an output"))?;
    let made = Tensor::from_buffer(spec.dtype, tensor.dims(), Buffer::from_vec(bytes))?;
    // The module's mistake, and not the caller's.
    let checked = spec.check(&made).map_err(|cause| Error::internal(cause.to_string()));
    checked.context(within).map(|()| made)
}

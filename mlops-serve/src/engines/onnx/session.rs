//! A loaded model: as many sessions of ONNX Runtime as may compute at once.
//!
//! Outputs are copied once, out of ONNX Runtime's memory, on purpose. What `ort` 2.0.0-rc.15 has to spare that:
//!
//! - Outputs that are allocated beforehand belong to the options of a run, which threads then cannot share: nobody could
//!   end the run when its caller has gone (`watch`).
//! - A binding of inputs and outputs leaves the options alone, but has to own its inputs, so that these are copied instead,
//!   and models take more than they give. (Of a view `bind_input` makes a copy by a binding of its own, and never
//!   returns.) The memory that it is to write into is not borrowed after the call either: it is safe by the compiler's
//!   word only.
//! - An output left where it lies keeps the session's arena, with all that it has grown to, for as long as anybody
//!   keeps the answer: a cache, a log, a queue.
//!
//! What there is to spare is not known well. Medians in µs of calls that took turns, in one run on one thread of a machine
//! that was busy otherwise, and in the last row mostly noise: a network of two layers of 256 × 256, ONNX Runtime 1.31.1
//! called directly (the bench `onnx` does the same calls):
//!
//! | rows | copied | bound | left |
//! |---|---|---|---|
//! | 1 | 15.1 | 15.8 | 14.5 |
//! | 32 | 100.7 | 105.0 | 98.3 |
//! | 512 | 1977.7 | 6233.3 | 1651.9 |
//!
//! With a provider of a device nothing is bound for the same reasons: a run moves each input there once and each output
//! back once, and a binding spares that only for what stays there between two calls.

use super::{
    NAME,
    config::OnnxConfig,
    convert, external, library,
    pool::Pool,
    providers, refusal, signature,
    watch::{Running, Watch},
};
use crate::engines::{InferOptions, LoadOptions, Session, SessionInfo, Stop, trial};
use mlops_core::{
    Error, ErrorKind, Result, SystemClock,
    tensor::{Tensor, Tensors},
};
use ort::{
    environment::Environment,
    session::{RunOptions, SessionInputValue, SessionInputs},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// A model that does not answer two and three rows of zeros in this time keeps the shapes that it declares.
const TRIAL: Duration = Duration::from_secs(2);

/// A loaded ONNX model. Any number of threads may run it; as many compute at once as it has sessions,
/// the others wait for their turn.
#[derive(Debug)]
pub struct OnnxSession {
    info: SessionInfo,
    lanes: Pool<Lane>,
    watch: Arc<Watch>,
    max_working_bytes: u64,
}

/// One session of ONNX Runtime, which runs one call at a time.
struct Lane {
    session: ort::session::Session,
    running: Arc<Running>,
}

/// Where a model's bytes are.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    File(&'a Path),
    Bytes(&'a [u8]),
}

impl Source<'_> {
    /// How many bytes it has, those in other files included; each file is looked at before it is read.
    fn checked_size(self, options: &LoadOptions) -> Result<u64> {
        let length = |path: &Path| {
            let facts = path.metadata().map_err(|source| Error::io(path.display(), source));
            facts.map(|facts| facts.len())
        };
        match self {
            Self::Bytes(bytes) => {
                options.check_size(bytes.len() as u64)?;
                match external::files_of(bytes)?.first() {
                    None => Ok(bytes.len() as u64),
                    Some(file) => Err(Error::unsupported(format!(
                        "the model keeps weights in {:?}: it is loaded from its file",
                        file.as_str()
                    ))),
                }
            }
            Self::File(path) => {
                let mut size = length(path)?;
                options.check_size(size)?;
                let folder = path.parent().unwrap_or(Path::new(""));
                for file in external::files_beside(path)? {
                    size = size.saturating_add(length(&file.under(folder))?);
                }
                options.check_size(size)?;
                Ok(size)
            }
        }
    }
}

impl OnnxSession {
    pub(super) fn load(
        source: Source<'_>,
        environment: Option<&Environment>,
        config: &OnnxConfig,
        watch: Arc<Watch>,
        options: &LoadOptions,
    ) -> Result<Self> {
        let size = source.checked_size(options)?;
        let environment = match environment {
            Some(environment) => environment.clone(),
            None => library::load()?.1,
        };
        let sessions = config.sessions.max(1);
        let mut lanes = Vec::with_capacity(sessions);
        for _ in 0..sessions {
            let session = commit(source, &environment, config)?;
            let run = RunOptions::new().map_err(refusal::internal("options of a run"))?;
            lanes.push(Lane { session, running: watch.add(run) });
        }
        let first = &lanes[0].session;
        let signature = signature::declared(first.inputs(), first.outputs())?;
        let info = SessionInfo::new(signature, NAME, size.saturating_mul(sessions as u64))
            .with_width(Some(sessions));
        let lanes = Pool::new(lanes, config.max_waiting);
        let max_working_bytes = options.max_working_bytes;
        let mut loaded = Self { info, lanes, watch, max_working_bytes };
        loaded.try_out()?;
        Ok(loaded)
    }

    /// Runs it on a few zeros, to see what shapes its outputs have.
    fn try_out(&mut self) -> Result<()> {
        let until = Instant::now() + TRIAL;
        let stop = Stop::new().with_deadline(until, Arc::new(SystemClock));
        let run = |inputs: &Tensors| self.run(inputs, &InferOptions::new(&stop));
        match trial::observed(&self.info.signature.inputs, run) {
            Ok(Some(seen)) => signature::corrected(&mut self.info.signature, &seen),
            Err(error) if error.kind() == ErrorKind::Unsupported => return Err(error),
            // Zeros need not be inputs that it takes.
            Ok(None) | Err(_) => {}
        }
        Ok(())
    }

    /// Names packed columns as the package does.
    pub(super) fn name_columns(&mut self, described: &mlops_core::signature::ModelSignature) {
        crate::engines::columns::name_columns(&mut self.info.signature, described);
    }

    fn check_size(&self, inputs: &Tensors) -> Result<()> {
        let (size, most) = (inputs.size_bytes() as u64, self.max_working_bytes);
        if size > most {
            return Err(Error::too_large(format!("the inputs have {size} bytes, over {most}")));
        }
        Ok(())
    }
}

/// Reads the model into one session.
fn commit(
    source: Source<'_>,
    environment: &Environment,
    config: &OnnxConfig,
) -> Result<ort::session::Session> {
    let mut builder = providers::builder(environment, config)?;
    // ort panics at types of inputs and outputs that it does not know.
    let loaded = catch_unwind(AssertUnwindSafe(|| match source {
        Source::File(path) => builder.commit_from_file(path),
        Source::Bytes(bytes) => builder.commit_from_memory(bytes),
    }));
    let unknown = "the model has an input or output of a type that is not known here";
    let loaded = loaded.map_err(|_| Error::unsupported(unknown))?;
    loaded.map_err(|cause| refusal::loading(&cause))
}

impl Lane {
    /// The outputs at these positions of the signature, in this order.
    fn run(
        &mut self,
        values: &[SessionInputValue<'_>],
        (watch, stop): (&Watch, &Stop),
        (info, wanted): (&SessionInfo, &[usize]),
    ) -> Result<Tensors> {
        let watched = watch.begin(&self.running, stop);
        let inputs = SessionInputs::<0>::ValueSlice(values);
        let ran = self.session.run_with_options(inputs, watched.options());
        let given =
            ran.map_err(|cause| stop.check().err().unwrap_or_else(|| refusal::running(&cause)))?;
        let mut outputs = Tensors::new();
        for &at in wanted {
            let spec = &info.signature.outputs[at];
            let tensor: Tensor = convert::output(&spec.name, spec.dtype, &given[at])?;
            outputs.push(Arc::clone(&spec.name), tensor)?;
        }
        Ok(outputs)
    }
}

impl Session for OnnxSession {
    fn info(&self) -> &SessionInfo {
        &self.info
    }

    fn run(&self, inputs: &Tensors, options: &InferOptions<'_>) -> Result<Tensors> {
        let signature = &self.info.signature;
        signature.check_inputs(inputs)?;
        signature.check_outputs(options.outputs.unwrap_or_default())?;
        self.check_size(inputs)?;
        options.stop.check()?;
        let mut values = Vec::with_capacity(signature.inputs.len());
        for spec in &signature.inputs {
            values.push(convert::input(&spec.name, inputs.require(&spec.name)?)?);
        }
        let at = |name: &Arc<str>| signature.outputs.iter().position(|spec| spec.name == *name);
        let wanted: Vec<usize> = match options.outputs {
            Some(names) => names.iter().filter_map(at).collect(),
            None => (0..signature.outputs.len()).collect(),
        };
        let mut lane = self.lanes.take(options.stop)?;
        lane.run(&values, (&self.watch, options.stop), (&self.info, &wanted))
    }
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lane")
    }
}

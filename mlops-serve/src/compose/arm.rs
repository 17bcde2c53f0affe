//! What compositions are made of, and what they have in common.

use crate::rollout::endpoint::check_compatible;
use futures_util::FutureExt;
use mlops_core::{
    Clock, Error, IdSource, PooledIds, Predictor, Result, ResultExt, SystemClock,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
    signature::ModelSignature,
    tensor::Tensors,
};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};

/// A named member of a composition.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Arm {
    /// What answers carry as their `arm`; unique in its composition.
    pub name: Arc<str>,
    /// What answers.
    pub predictor: Arc<dyn Predictor>,
    /// Its share of requests, or its say in an ensemble, beside the weights of the others; 1 unless
    /// it is said.
    pub weight: f64,
}

impl Arm {
    /// A member of weight 1.
    pub fn new(name: impl Into<Arc<str>>, predictor: Arc<dyn Predictor>) -> Self {
        Self { name: name.into(), predictor, weight: 1.0 }
    }

    /// Sets its weight: a finite number that is not negative.
    #[must_use]
    pub fn with_weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }

    /// Asks it; a panic is `Internal`.
    pub(super) async fn call(&self, request: PredictRequest) -> Result<PredictResponse> {
        call(&*self.predictor, &self.name, request).await
    }
}

/// Asks a predictor; a panic is `Internal` and loses this call alone.
pub(super) async fn call(
    predictor: &dyn Predictor,
    label: &str,
    mut request: PredictRequest,
) -> Result<PredictResponse> {
    let answer = match at_once(predictor, &mut request) {
        Some(answer) => answer,
        None => fenced(predictor, request).await,
    };
    unpanicked(answer, label)
}

/// What a predictor answers at once, if it does; its panic is the outer error.
pub(crate) fn at_once(
    predictor: &dyn Predictor,
    request: &mut PredictRequest,
) -> Option<thread::Result<Result<PredictResponse>>> {
    catch_unwind(AssertUnwindSafe(|| predictor.predict_at_once(request))).transpose()
}

/// What a predictor answers; its panic is the outer error.
pub(crate) async fn fenced(
    predictor: &dyn Predictor,
    request: PredictRequest,
) -> thread::Result<Result<PredictResponse>> {
    // One that makes its future by hand may panic before there is one.
    let answering = catch_unwind(AssertUnwindSafe(|| predictor.predict(request)))?;
    AssertUnwindSafe(answering).catch_unwind().await
}

pub(super) fn unpanicked(
    answer: thread::Result<Result<PredictResponse>>,
    label: &str,
) -> Result<PredictResponse> {
    // What it said may quote an input, so it stays with the host's panic hook.
    answer.unwrap_or_else(|_| Err(Error::internal(format!("{label:?} panicked"))))
}

/// Who a composition is, and where it takes time and identities from.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) info: Arc<PredictorInfo>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn IdSource>,
}

/// What one of several arms answered: what the composition's own answer is made from.
pub(super) struct Wanted {
    names: Option<Vec<Arc<str>>>,
    rows: usize,
}

impl Wanted {
    /// The outputs asked for; `None` for all.
    pub(super) fn names(&self) -> Option<&[Arc<str>]> {
        self.names.as_deref()
    }
}

impl Identity {
    pub(super) fn new(info: PredictorInfo) -> Self {
        Self { info: Arc::new(info), clock: Arc::new(SystemClock), ids: Arc::new(PooledIds::new()) }
    }

    /// Checks a request, and keeps what an answer has to be.
    pub(super) fn check(&self, request: &PredictRequest) -> Result<Wanted> {
        self.info.check_by(request, || self.clock.instant())?;
        Ok(Wanted { names: request.outputs.clone(), rows: request.inputs.rows()? })
    }

    /// The answer of a member, as the composition's own.
    pub(super) fn forward(
        &self,
        mut response: PredictResponse,
        arm: Option<&Arc<str>>,
        wanted: &Wanted,
    ) -> Result<PredictResponse> {
        response.outputs = self.fit(response.outputs, wanted)?;
        response.model = Arc::clone(&self.info.name);
        response.version = Arc::clone(&self.info.version);
        response.arm = match (arm, response.arm) {
            (Some(outer), Some(inner)) => Some(format!("{outer}/{inner}").into()),
            (Some(outer), None) => Some(Arc::clone(outer)),
            (None, inner) => inner,
        };
        Ok(response)
    }

    /// The outputs that are wanted, in their order; `Internal` if they are not what was declared.
    pub(super) fn fit(&self, outputs: Tensors, wanted: &Wanted) -> Result<Tensors> {
        let signature = &self.info.signature;
        let given = self.ordered(outputs, wanted.names.as_deref())?;
        for (name, tensor) in given.iter() {
            let fits = signature.output(name).map_or(Ok(()), |spec| spec.check(tensor));
            fits.map_err(|cause| self.broken(cause.message()))?;
            if tensor.rows() != wanted.rows {
                let (rows, wanted) = (tensor.rows(), wanted.rows);
                let text = format!("output {name:?} has {rows} rows for {wanted} rows of input");
                return Err(self.broken(&text));
            }
        }
        Ok(given)
    }

    fn ordered(&self, outputs: Tensors, names: Option<&[Arc<str>]>) -> Result<Tensors> {
        let declared = || self.info.signature.outputs.iter().map(|spec| &spec.name);
        let same = |names: &mut dyn ExactSizeIterator<Item = &Arc<str>>| {
            outputs.len() == names.len() && outputs.iter().zip(names).all(|((own, _), n)| own == n)
        };
        let as_wanted = match names {
            Some(names) => same(&mut names.iter()),
            None => same(&mut self.info.signature.outputs.iter().map(|spec| &spec.name)),
        };
        if as_wanted {
            return Ok(outputs);
        }
        // A member that was swapped for a wider one may give more than is declared.
        let pick = |some: Tensors, name: &Arc<str>| {
            let missing = || self.broken(&format!("output {name:?} is missing"));
            let tensor = outputs.get(name).ok_or_else(missing)?;
            some.with(Arc::clone(name), tensor.clone())
        };
        match names {
            Some(names) => names.iter().try_fold(Tensors::new(), pick),
            None => declared().try_fold(Tensors::new(), pick),
        }
    }

    /// What went wrong inside is no fault of the request.
    fn broken(&self, what: &str) -> Error {
        Error::internal(format!("inside {:?}: {what}", self.info.name))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.info.name, self.info.version)
    }
}

/// What arms that can stand in for each other take and give together: as the first says.
///
/// `InvalidInput` if there is none, if two have one name, if a weight is no share, or if callers of
/// the first could not be answered by another.
pub(super) fn alike(arms: &[Arm]) -> Result<ModelSignature> {
    check_arms(arms)?;
    let Some((first, others)) = arms.split_first() else { return Ok(ModelSignature::default()) };
    let signature = first.predictor.info().signature.clone();
    for arm in others {
        let compatible = check_compatible(&signature, &arm.predictor.info().signature);
        let (first, other) = (&first.name, &arm.name);
        compatible.context(|| format!("arm {other:?} cannot stand in for arm {first:?}"))?;
    }
    Ok(signature)
}

/// At least one, each under a name of its own, with a weight that is a share.
pub(super) fn check_arms(arms: &[Arm]) -> Result<()> {
    if arms.is_empty() {
        return Err(Error::invalid("a composition needs an arm"));
    }
    for (index, arm) in arms.iter().enumerate() {
        let Arm { name, weight, .. } = arm;
        if name.is_empty() || arms[..index].iter().any(|earlier| earlier.name == *name) {
            return Err(Error::invalid(format!("arm {name:?} has no name of its own")));
        }
        if !weight.is_finite() || *weight < 0.0 {
            return Err(Error::invalid(format!("arm {name:?} has weight {weight}")));
        }
    }
    let sum: f64 = arms.iter().map(|arm| arm.weight).sum();
    if sum == 0.0 || !sum.is_finite() {
        return Err(Error::invalid(format!("the weights of all arms are {sum} together")));
    }
    Ok(())
}

/// The most rows that all of them take.
pub(super) fn max_rows<'a>(
    predictors: impl Iterator<Item = &'a Arc<dyn Predictor>>,
) -> Option<usize> {
    predictors.filter_map(|predictor| predictor.info().max_rows).min()
}

/// How many calls make progress where each goes to one of them.
pub(super) fn widths<'a>(predictors: impl Iterator<Item = &'a Arc<dyn Predictor>>) -> usize {
    predictors.fold(0_usize, |sum, predictor| sum.saturating_add(predictor.info().width))
}

/// The clock and the ids of a composition, as `LocalPredictor` takes them.
macro_rules! with_clock_and_ids {
    ($composition:ty) => {
        impl $composition {
            /// Takes time and identities from here.
            #[must_use]
            pub fn with_clock_and_ids(
                mut self,
                clock: std::sync::Arc<dyn mlops_core::Clock>,
                ids: std::sync::Arc<dyn mlops_core::IdSource>,
            ) -> Self {
                (self.identity.clock, self.identity.ids) = (clock, ids);
                self
            }
        }
    };
}
pub(super) use with_clock_and_ids;

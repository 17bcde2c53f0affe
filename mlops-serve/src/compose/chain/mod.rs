//! One predictor after another, and what happens to tensors before, between and after them.

mod builder;
mod step;

pub use builder::ChainBuilder;

use super::arm::{self, Identity, Wanted};
use async_trait::async_trait;
use mlops_core::{
    Error, Predictor, Result, ResultExt,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
};
use std::sync::Arc;
use step::{Flow, Step};

/// Predictors one after another, with closures and transforms around them.
///
/// What a step takes is looked up by name in what the step before gave, and then in the request's
/// own inputs; what it does not name is left out. A closure is given all that the step before gave.
///
/// # Behavior
/// - names, types and shapes of all steps are checked when it is built, on no rows at all
/// - the answer has the outputs of its signature, whatever else the last step gives; a last step
///   that gives something else than was declared is `Internal`
/// - a step that fails loses that request; the error names the step and keeps its kind. A closure
///   that panics is `Internal`
/// - the prediction id and the parameters are those of the last predictor's answer; the arms that
///   its predictors name are joined by `+`
/// - the deadline reaches every predictor, which keeps it
/// - it is ready when every predictor is
///
/// ```
/// use mlops_core::{Predictor, signature::{ModelSignature, TensorSpec}, tensor::{DType, Tensors}};
/// use mlops_serve::compose::Chain;
/// # use mlops_core::testing::FnPredictor;
/// # let signature = |from, to| ModelSignature::new(
/// #     vec![TensorSpec::column(from, DType::F32)], vec![TensorSpec::column(to, DType::F32)]);
/// # let model = |from: &'static str, to: &'static str| FnPredictor::new(to, signature(from, to).unwrap(),
/// #     move |inputs| Ok(Tensors::one(to, inputs.require(from)?.clone())));
/// # let (encoder, classifier) = (model("text", "embedding"), model("features", "score"));
/// use std::sync::Arc;
///
/// let chain = Chain::builder("sentiment", "3")
///     .then(Arc::new(encoder))
///     .then_mapped(Arc::new(classifier), [("embedding", "features")])
///     .build()?;
/// assert_eq!(chain.info().signature.inputs[0].name.as_ref(), "text");
/// assert_eq!(chain.info().signature.outputs[0].name.as_ref(), "score");
/// # Ok::<(), mlops_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Chain {
    identity: Identity,
    steps: Vec<Step>,
    /// Whether nothing is lost if its predictor turns out to have to wait: it comes first, takes the
    /// chain's own requests as they are, and is the only one.
    may_be_at_once: bool,
}

impl Chain {
    /// A chain without steps yet.
    pub fn builder(name: impl Into<Arc<str>>, version: impl Into<Arc<str>>) -> ChainBuilder {
        ChainBuilder::new(name.into(), version.into())
    }

    fn new(info: PredictorInfo, steps: Vec<Step>) -> Self {
        let predictors = || steps.iter().filter_map(Step::predictor);
        let width = predictors().map(|predictor| predictor.info().width).min();
        let info = info.with_width(width.unwrap_or(1)).with_max_rows(arm::max_rows(predictors()));
        let may_be_at_once = predictors().count() == 1
            && steps.first().is_some_and(|first| first.takes(&info.signature.inputs));
        Self { identity: Identity::new(info), steps, may_be_at_once }
    }

    /// What the steps after its predictor make of an answer.
    fn finish(
        &self,
        mut answer: PredictResponse,
        rest: &[Step],
        wanted: &Wanted,
    ) -> Result<PredictResponse> {
        let mut flow = Flow::new(std::mem::take(&mut answer.outputs));
        for step in rest {
            step.compute(&mut flow).context(|| format!("step {:?}", step.name()))?;
        }
        answer.outputs = flow.into_given();
        self.identity.forward(answer, None, wanted)
    }
}

arm::with_clock_and_ids!(Chain);

#[async_trait]
impl Predictor for Chain {
    fn info(&self) -> Arc<PredictorInfo> {
        Arc::clone(&self.identity.info)
    }

    async fn ready(&self) -> Result<()> {
        for step in &self.steps {
            if let Some(predictor) = step.predictor() {
                predictor.ready().await.context(|| format!("step {:?}", step.name()))?;
            }
        }
        Ok(())
    }

    // One body: a request that is handed from future to future is copied into each.
    async fn predict(&self, mut request: PredictRequest) -> Result<PredictResponse> {
        let wanted = self.identity.check(&request)?;
        request.outputs = None;
        let mut flow = Flow::new(std::mem::take(&mut request.inputs));
        let (mut last, mut arms) = (None, Vec::new());
        for (at, step) in self.steps.iter().enumerate() {
            let within = || format!("step {:?}", step.name());
            let Step::Predict { name, predictor, inputs } = step else {
                step.compute(&mut flow).context(within)?;
                continue;
            };
            let is_last = at + 1 == self.steps.len();
            let mut own = if is_last { std::mem::take(&mut request) } else { request.clone() };
            own.inputs = flow.pick(inputs, is_last).context(within)?;
            // Only a last step's outputs are the chain's.
            own.outputs = wanted.names().filter(|_| is_last).map(<[_]>::to_vec);
            let answer = match arm::at_once(&**predictor, &mut own) {
                Some(answer) => answer,
                None => arm::fenced(&**predictor, own).await,
            };
            let mut answer = arm::unpanicked(answer, name).context(within)?;
            flow.give(std::mem::take(&mut answer.outputs));
            arms.extend(answer.arm.take());
            last = Some(answer);
        }
        self.identity.forward(whole(last, flow, &arms)?, None, &wanted)
    }

    fn predict_at_once(&self, request: &mut PredictRequest) -> Option<Result<PredictResponse>> {
        let (Step::Predict { name, predictor, .. }, rest) = self.steps.split_first()? else {
            return None;
        };
        if !self.may_be_at_once {
            return None;
        }
        let wanted = match self.identity.check(request) {
            Ok(wanted) => wanted,
            Err(error) => return Some(Err(error)),
        };
        let outputs = request.outputs.take_if(|_| !rest.is_empty());
        let Some(answer) = arm::at_once(&**predictor, request) else {
            request.outputs = outputs.or(request.outputs.take());
            return None;
        };
        let answer = arm::unpanicked(answer, name).context(|| format!("step {name:?}"));
        Some(answer.and_then(|answer| self.finish(answer, rest, &wanted)))
    }
}

/// The last predictor's answer, if there was one, as that of the whole.
fn whole(last: Option<PredictResponse>, flow: Flow, arms: &[Arc<str>]) -> Result<PredictResponse> {
    let mut answer = last.ok_or_else(|| Error::internal("a chain has no predictor"))?;
    answer.outputs = flow.into_given();
    answer.arm = match arms {
        [] => None,
        [only] => Some(Arc::clone(only)),
        several => Some(several.join("+").into()),
    };
    Ok(answer)
}

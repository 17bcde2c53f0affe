//! The next predictor answers where one cannot.

use super::arm::{self, Arm, Identity, Wanted};
use async_trait::async_trait;
use mlops_core::{
    Error, ErrorKind, Predictor, Result, ResultExt,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// When the next arm is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FallbackConfig {
    /// The kinds of error that another arm may answer better. `InvalidInput` and `TooLarge` are
    /// never among them: a bad request is bad everywhere.
    pub kinds: BTreeSet<ErrorKind>,
    /// How long an arm that is not the last may take: it is given as an earlier deadline to that
    /// arm, which keeps it as it keeps any other; nothing here waits on a timer.
    pub patience: Option<Duration>,
}

impl Default for FallbackConfig {
    /// What says "not now": unavailable, overloaded, timed out, internal. No patience is set.
    fn default() -> Self {
        use ErrorKind::{Internal, Overloaded, TimedOut, Unavailable};
        Self { kinds: [Unavailable, Overloaded, TimedOut, Internal].into(), patience: None }
    }
}

impl FallbackConfig {
    /// Sets the kinds of error after which the next arm is asked.
    #[must_use]
    pub fn with_kinds(mut self, kinds: impl IntoIterator<Item = ErrorKind>) -> Self {
        self.kinds = kinds.into_iter().collect();
        self
    }

    /// Sets how long an arm that is not the last may take.
    #[must_use]
    pub fn with_patience(mut self, patience: Option<Duration>) -> Self {
        self.patience = patience;
        self
    }

    fn asks_another(&self, error: &Error) -> bool {
        let kind = error.kind();
        let is_the_request = matches!(kind, ErrorKind::InvalidInput | ErrorKind::TooLarge);
        !is_the_request && self.kinds.contains(&kind)
    }
}

/// Asks its arms in their order until one answers.
///
/// # Behavior
/// - the answer carries the name of the arm that gave it
/// - an error of a configured kind, and a panic, goes on to the next arm; any other is returned
/// - `InvalidInput` and `TooLarge` are returned at once
/// - once the request's own deadline has passed nobody is asked any more
/// - the error of the last arm that was asked is returned if none answers
/// - it is ready when one arm is
#[derive(Debug)]
pub struct Fallback {
    identity: Identity,
    config: FallbackConfig,
    arms: Vec<Arm>,
}

impl Fallback {
    /// The first arm answers, the others stand in; weights mean nothing here.
    ///
    /// `InvalidInput` if there is no arm, if two have one name, or if an arm does not take what the
    /// first takes and give what the first gives.
    pub fn new(
        name: impl Into<Arc<str>>,
        version: impl Into<Arc<str>>,
        arms: Vec<Arm>,
        config: FallbackConfig,
    ) -> Result<Self> {
        let name = name.into();
        let signature = arm::alike(&arms).context(|| format!("fallback {name:?}"))?;
        let width = arms.first().map_or(1, |arm| arm.predictor.info().width);
        let info = PredictorInfo::new(name, version, signature)
            .with_width(width)
            .with_max_rows(arm::max_rows(arms.iter().map(|arm| &arm.predictor)));
        Ok(Self { identity: Identity::new(info), config, arms })
    }

    async fn ask(
        &self,
        arm: &Arm,
        mut request: PredictRequest,
        wanted: &Wanted,
        is_last: bool,
    ) -> Result<PredictResponse> {
        if let Some(patience) = self.config.patience.filter(|_| !is_last) {
            let until = self.identity.clock.instant().checked_add(patience);
            request.deadline = match (request.deadline, until) {
                (Some(deadline), Some(until)) => Some(deadline.min(until)),
                (deadline, until) => deadline.or(until),
            };
        }
        let response = arm.call(request).await.context(|| format!("arm {:?}", arm.name))?;
        self.identity.forward(response, Some(&arm.name), wanted)
    }

    fn is_over(&self, request: &PredictRequest) -> bool {
        request.deadline.is_some_and(|deadline| deadline <= self.identity.clock.instant())
    }
}

arm::with_clock_and_ids!(Fallback);

#[async_trait]
impl Predictor for Fallback {
    fn info(&self) -> Arc<PredictorInfo> {
        Arc::clone(&self.identity.info)
    }

    async fn ready(&self) -> Result<()> {
        let mut last = Ok(());
        for arm in &self.arms {
            last = arm.predictor.ready().await.context(|| format!("arm {:?}", arm.name));
            if last.is_ok() {
                break;
            }
        }
        last
    }

    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        let wanted = self.identity.check(&request)?;
        let Some((last, others)) = self.arms.split_last() else {
            return Err(Error::internal("a fallback has no arm"));
        };
        for arm in others {
            match self.ask(arm, request.clone(), &wanted, false).await {
                Err(error) if self.config.asks_another(&error) && !self.is_over(&request) => {
                    tracing::debug!(arm = %arm.name, %error, "falling back");
                }
                answered => return answered,
            }
        }
        self.ask(last, request, &wanted, true).await
    }
}

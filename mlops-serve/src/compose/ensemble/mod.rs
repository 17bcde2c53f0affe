//! Several predictors that answer together.

mod config;
mod mean;
mod member;
mod rule;
mod stack;
mod vote;

pub use config::EnsembleConfig;

use super::arm::{self, Arm, Identity};
use async_trait::async_trait;
use futures_util::{StreamExt, stream::FuturesUnordered};
use member::{Given, Member, all_inputs, common};
use mlops_core::{
    Error, PredictionId, Predictor, Result, ResultExt,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
    signature::ModelSignature,
};
use rule::Rule;
use stack::Stack;
use std::sync::Arc;

/// Asks all its members and makes one answer of theirs.
///
/// It takes whatever its members take; each gets the inputs that it names. Members are asked at the
/// same time, as far as they compute on threads of their own.
///
/// # Behavior
/// - what members answer is combined in their order, whichever is there first: the same answers
///   give the same bits
/// - a member that fails fails the request with its error, and the others are given up
/// - with a quorum, members that fail are left out as long as so many answer; then the answer's
///   `arm` names those that did, joined by `+`. All members are waited for, so that an answer does
///   not depend on which is faster
/// - members that give different shapes for one request are `Internal`
/// - the answer has a prediction id of its own, and no parameters
/// - it is ready when as many members are as have to answer
#[derive(Debug)]
pub struct Ensemble {
    identity: Identity,
    members: Vec<Member>,
    rule: Rule,
    quorum: usize,
}

impl Ensemble {
    /// The mean of members' numbers by their weights: Σ wᵢ xᵢ / Σ wᵢ in double precision, rounded
    /// once. The outputs are float32 or float64, and the same for all members.
    ///
    /// `InvalidInput` if they are not, or if a weight is not above 0; so in the other rules.
    pub fn mean(
        name: impl Into<Arc<str>>,
        version: impl Into<Arc<str>>,
        arms: Vec<Arm>,
        config: &EnsembleConfig,
    ) -> Result<Self> {
        let rule = |members: &[Member]| mean::outputs(&common(members, config)?).map(Rule::Mean);
        Self::new(name.into(), version.into(), arms, config.quorum, rule)
    }

    /// A soft vote: the mean of one output of probabilities, a class a position of its last axis,
    /// and as `label: int64[-1]` the position of the largest. The first of equals wins; where all
    /// are NaN the label is -1.
    pub fn soft_vote(
        name: impl Into<Arc<str>>,
        version: impl Into<Arc<str>>,
        arms: Vec<Arm>,
        config: &EnsembleConfig,
    ) -> Result<Self> {
        let rule =
            |members: &[Member]| vote::probabilities(&common(members, config)?).map(Rule::SoftVote);
        Self::new(name.into(), version.into(), arms, config.quorum, rule)
    }

    /// A hard vote: of one output of labels (whole numbers, booleans, text or bytes, one a row) the
    /// one with the largest sum of weights. Among equals the one that the first member among its
    /// voters gave wins.
    pub fn vote(
        name: impl Into<Arc<str>>,
        version: impl Into<Arc<str>>,
        arms: Vec<Arm>,
        config: &EnsembleConfig,
    ) -> Result<Self> {
        let rule = |members: &[Member]| vote::labels(&common(members, config)?).map(Rule::Vote);
        Self::new(name.into(), version.into(), arms, config.quorum, rule)
    }

    /// Stacking (Wolpert, Neural Networks 5, 1992): members' outputs side by side, in the order of
    /// members and of their outputs, are the one input of a last predictor, whose outputs are the
    /// ensemble's. Numbers become that input's type; its width is theirs together.
    ///
    /// A quorum is `InvalidInput`: the last predictor learned from all members.
    pub fn stack(
        name: impl Into<Arc<str>>,
        version: impl Into<Arc<str>>,
        arms: Vec<Arm>,
        last: Arc<dyn Predictor>,
        config: &EnsembleConfig,
    ) -> Result<Self> {
        if config.quorum.is_some() {
            return Err(Error::invalid("a stack needs all its members and takes no quorum"));
        }
        let rule = |members: &[Member]| {
            let packed = members.iter().map(|member| member.outputs(config));
            let packed = packed.collect::<Result<Vec<_>>>()?;
            Ok(Rule::Stack(Stack::new(last, packed)?))
        };
        Self::new(name.into(), version.into(), arms, None, rule)
    }

    fn new(
        name: Arc<str>,
        version: Arc<str>,
        arms: Vec<Arm>,
        quorum: Option<usize>,
        rule: impl FnOnce(&[Member]) -> Result<Rule>,
    ) -> Result<Self> {
        let label = Arc::clone(&name);
        Self::checked(name, version, arms, quorum, rule).context(|| format!("ensemble {label:?}"))
    }

    fn checked(
        name: Arc<str>,
        version: Arc<str>,
        arms: Vec<Arm>,
        quorum: Option<usize>,
        rule: impl FnOnce(&[Member]) -> Result<Rule>,
    ) -> Result<Self> {
        arm::check_arms(&arms)?;
        if let Some(arm) = arms.iter().find(|arm| arm.weight == 0.0) {
            return Err(Error::invalid(format!("arm {:?} of weight 0 has no say", arm.name)));
        }
        let quorum = quorum.unwrap_or(arms.len());
        if quorum == 0 || quorum > arms.len() {
            let text = format!("a quorum of {quorum} of {} members", arms.len());
            return Err(Error::invalid(text));
        }
        let inputs = all_inputs(&arms)?;
        let members: Vec<Member> = arms.into_iter().map(Member::new).collect();
        let rule = rule(&members)?;
        let info = PredictorInfo::new(name, version, ModelSignature::new(inputs, rule.outputs())?);
        let asked = || members.iter().map(|member| &member.arm.predictor).chain(rule.last());
        let width = asked().map(|predictor| predictor.info().width).min();
        let info = info.with_width(width.unwrap_or(1)).with_max_rows(arm::max_rows(asked()));
        Ok(Self { identity: Identity::new(info), members, rule, quorum })
    }

    /// Asks all, and gives what they answered in their order.
    async fn ask(&self, request: &PredictRequest) -> Result<Vec<Given>> {
        let asking = self.members.iter().enumerate();
        let mut asking: FuturesUnordered<_> =
            asking.map(|(at, member)| member.ask(at, request, self.rule.asks(at))).collect();
        let (mut given, mut failed) = (Vec::with_capacity(self.members.len()), 0);
        while let Some(answer) = asking.next().await {
            match answer {
                Ok(answer) => given.push(answer),
                Err(error) => {
                    failed += 1;
                    if failed > self.members.len() - self.quorum {
                        return Err(error);
                    }
                    tracing::debug!(ensemble = ?self.identity, %error, "a member is left out");
                }
            }
        }
        given.sort_by_key(|given| given.at);
        Ok(given)
    }

    /// Who answered, if not all did.
    fn arm(&self, given: &[Given]) -> Option<Arc<str>> {
        let names = || given.iter().map(|given| self.members[given.at].arm.name.as_ref());
        let some_failed = given.len() < self.members.len();
        some_failed.then(|| names().collect::<Vec<_>>().join("+").into())
    }
}

arm::with_clock_and_ids!(Ensemble);

#[async_trait]
impl Predictor for Ensemble {
    fn info(&self) -> Arc<PredictorInfo> {
        Arc::clone(&self.identity.info)
    }

    async fn ready(&self) -> Result<()> {
        let mut unready = 0;
        for Member { arm, .. } in &self.members {
            if let Err(error) = arm.predictor.ready().await {
                unready += 1;
                if unready > self.members.len() - self.quorum {
                    return Err(error.context(format!("arm {:?}", arm.name)));
                }
            }
        }
        match self.rule.last() {
            Some(last) => last.ready().await.context(|| "the last predictor of a stack"),
            None => Ok(()),
        }
    }

    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        let wanted = self.identity.check(&request)?;
        let given = self.ask(&request).await?;
        let outputs = self.rule.combine(&request, &given).await?;
        let outputs = self.identity.fit(outputs, &wanted)?;
        let Identity { info, clock, ids } = &self.identity;
        let prediction = PredictionId::from_u128(ids.next(clock.now()));
        let mut answer = PredictResponse::new(prediction, info, &request, outputs);
        answer.arm = self.arm(&given);
        Ok(answer)
    }
}

//! Shares of the requests for each of several predictors.

use super::arm::{self, Arm, Identity};
use async_trait::async_trait;
use mlops_core::{
    Digest, Error, Predictor, Result, ResultExt,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
};
use std::sync::Arc;

/// Gives each arm its share of the requests.
///
/// # Behavior
/// - a request with a `key` goes where every request with that key goes, in every process and in
///   every release: the arm depends on the salt, the key, and the weights, and on nothing else
/// - where a weight is moved from one arm to the next, keys move between those two arms alone
/// - a request without a key goes to an arm at random, by a number from the `IdSource`
/// - an arm of weight 0 gets nothing
/// - the answer carries the arm's name; an arm that fails is not stood in for: that is a
///   [`Fallback`](super::Fallback)
/// - it is ready when every arm with a share is
///
/// **Where a key goes.** The first eight bytes, read as a big-endian number, of the SHA-256 of the
/// salt, a zero byte and the key, are a point between 0 and 2⁶⁴. Arms lie on that line in their
/// order, each as long as its share of the sum of weights; the arm under the point answers.
#[derive(Debug)]
pub struct Split {
    identity: Identity,
    salt: Arc<str>,
    arms: Vec<Arm>,
    /// Where each arm ends on the line; the last with a share has no end.
    ends: Vec<u64>,
}

impl Split {
    /// Splits by the weights of the arms; the salt is the name.
    ///
    /// `InvalidInput` if there is no arm, if two have one name, if the weights are no shares, or if
    /// an arm does not take what the first takes and give what the first gives.
    pub fn new(
        name: impl Into<Arc<str>>,
        version: impl Into<Arc<str>>,
        arms: Vec<Arm>,
    ) -> Result<Self> {
        let name = name.into();
        let signature = arm::alike(&arms).context(|| format!("split {name:?}"))?;
        let members = || arms.iter().filter(|arm| arm.weight > 0.0).map(|arm| &arm.predictor);
        let info = PredictorInfo::new(Arc::clone(&name), version, signature)
            .with_width(arm::widths(members()))
            .with_max_rows(arm::max_rows(members()));
        let split =
            Self { identity: Identity::new(info), salt: Arc::default(), ends: ends(&arms), arms };
        split.with_salt(name)
    }

    /// Sets what keys are mixed with: splits of different salts are independent of each other.
    /// `InvalidInput` if it holds a zero byte, which ends it.
    pub fn with_salt(mut self, salt: impl Into<Arc<str>>) -> Result<Self> {
        self.salt = salt.into();
        if self.salt.contains('\0') {
            return Err(Error::invalid("the salt of a split holds a zero byte"));
        }
        Ok(self)
    }

    /// The arm that answers requests with this key.
    pub fn arm_of(&self, key: &str) -> &Arm {
        let digest = Digest::of([self.salt.as_bytes(), b"\0", key.as_bytes()].concat());
        let mut first = [0; 8];
        first.copy_from_slice(&digest.as_bytes()[..8]);
        self.under(u64::from_be_bytes(first))
    }

    fn under(&self, point: u64) -> &Arm {
        let at = self.ends.partition_point(|&end| end <= point);
        // The last end is beyond all points but one, which belongs to the arm that ends there.
        &self.arms[at.min(self.last())]
    }

    /// The last arm with a share.
    fn last(&self) -> usize {
        self.arms.iter().rposition(|arm| arm.weight > 0.0).unwrap_or(0)
    }

    fn choose(&self, request: &PredictRequest) -> &Arm {
        if let Some(key) = &request.key {
            return self.arm_of(key);
        }
        let number = self.identity.ids.next(self.identity.clock.now());
        // Part of an id may be a time; a digest of all of it is evenly spread.
        self.arm_of(&format!("{number:032x}"))
    }
}

arm::with_clock_and_ids!(Split);

/// Where each arm ends between 0 and 2⁶⁴.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of 2^64 that is not negative; above the range `as` gives the largest, as meant"
)]
fn ends(arms: &[Arm]) -> Vec<u64> {
    const LINE: f64 = 18_446_744_073_709_551_616.0;
    let sum: f64 = arms.iter().map(|arm| arm.weight).sum();
    let mut so_far = 0.0;
    arms.iter()
        .map(|arm| {
            so_far += arm.weight;
            (so_far / sum * LINE) as u64
        })
        .collect()
}

#[async_trait]
impl Predictor for Split {
    fn info(&self) -> Arc<PredictorInfo> {
        Arc::clone(&self.identity.info)
    }

    async fn ready(&self) -> Result<()> {
        for arm in self.arms.iter().filter(|arm| arm.weight > 0.0) {
            arm.predictor.ready().await.context(|| format!("arm {:?}", arm.name))?;
        }
        Ok(())
    }

    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        let wanted = self.identity.check(&request)?;
        let arm = self.choose(&request);
        let response = arm.call(request).await.context(|| format!("arm {:?}", arm.name))?;
        self.identity.forward(response, Some(&arm.name), &wanted)
    }
}

//! The request says which predictor answers.

use super::arm::{self, Arm, Identity};
use async_trait::async_trait;
use mlops_core::{
    Error, Predictor, Result, ResultExt,
    predictor::{Parameter, PredictRequest, PredictResponse, PredictorInfo},
};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// What in a request names its arm.
#[derive(Clone)]
pub struct BranchRule(By);

type Closure = dyn Fn(&PredictRequest) -> Option<Arc<str>> + Send + Sync;

#[derive(Clone)]
enum By {
    Parameter(Arc<str>),
    Key,
    Closure(Arc<Closure>),
}

impl BranchRule {
    /// The value of a parameter: text as it is, `true`, `false`, or a whole number in decimal. Any
    /// other number names nothing.
    pub fn parameter(name: impl Into<Arc<str>>) -> Self {
        Self(By::Parameter(name.into()))
    }

    /// The key.
    pub fn key() -> Self {
        Self(By::Key)
    }

    /// What a closure says: it may look at everything, the inputs too, which have been checked. It
    /// runs on the request's task, so it is short; one that panics loses that request.
    pub fn by(rule: impl Fn(&PredictRequest) -> Option<Arc<str>> + Send + Sync + 'static) -> Self {
        Self(By::Closure(Arc::new(rule)))
    }

    /// The name that it finds.
    fn find(&self, request: &PredictRequest) -> Result<Option<Arc<str>>> {
        Ok(match &self.0 {
            By::Parameter(name) => {
                match request.parameters.as_ref().and_then(|all| all.get(name.as_ref())) {
                    Some(Parameter::Text(text)) => Some(text.as_str().into()),
                    Some(Parameter::Bool(value)) => Some(value.to_string().into()),
                    Some(Parameter::Int(value)) => Some(value.to_string().into()),
                    _ => None,
                }
            }
            By::Key => request.key.clone(),
            By::Closure(rule) => catch_unwind(AssertUnwindSafe(|| rule(request)))
                .map_err(|_| Error::internal("the rule of a branch panicked"))?,
        })
    }
}

impl fmt::Debug for BranchRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            By::Parameter(name) => write!(f, "the parameter {name:?}"),
            By::Key => f.write_str("the key"),
            By::Closure(_) => f.write_str("a closure"),
        }
    }
}

/// Sends each request to the arm that a rule names.
///
/// # Behavior
/// - the answer carries the arm's name
/// - a request whose rule names nothing, or no arm, goes to the default arm
/// - without a default arm such a request is `InvalidInput`; the refusal says what should have
///   named the arm, and not what it said
/// - an arm that fails is not stood in for
/// - it is ready when every arm is
#[derive(Debug)]
pub struct Branch {
    identity: Identity,
    rule: BranchRule,
    arms: Vec<Arm>,
    default: Option<usize>,
}

impl Branch {
    /// A branch without a default arm; weights mean nothing here.
    ///
    /// `InvalidInput` if there is no arm, if two have one name, or if an arm does not take what the
    /// first takes and give what the first gives.
    pub fn new(
        name: impl Into<Arc<str>>,
        version: impl Into<Arc<str>>,
        rule: BranchRule,
        arms: Vec<Arm>,
    ) -> Result<Self> {
        let name = name.into();
        let signature = arm::alike(&arms).context(|| format!("branch {name:?}"))?;
        let members = || arms.iter().map(|arm| &arm.predictor);
        let info = PredictorInfo::new(name, version, signature)
            .with_width(arm::widths(members()))
            .with_max_rows(arm::max_rows(members()));
        Ok(Self { identity: Identity::new(info), rule, arms, default: None })
    }

    /// Names the arm for requests that name none. `InvalidInput` if there is no such arm.
    pub fn with_default(mut self, name: &str) -> Result<Self> {
        let unknown = || Error::invalid(format!("the branch has no arm {name:?}"));
        self.default = Some(self.position(name).ok_or_else(unknown)?);
        Ok(self)
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.arms.iter().position(|arm| arm.name.as_ref() == name)
    }

    fn choose(&self, request: &PredictRequest) -> Result<&Arm> {
        let named = self.rule.find(request)?.and_then(|name| self.position(&name));
        let unnamed = || {
            let (rule, name) = (&self.rule, &self.identity.info.name);
            Error::invalid(format!("{rule:?} names no arm of {name:?}"))
        };
        let at = named.or(self.default).ok_or_else(unnamed)?;
        Ok(&self.arms[at])
    }
}

arm::with_clock_and_ids!(Branch);

#[async_trait]
impl Predictor for Branch {
    fn info(&self) -> Arc<PredictorInfo> {
        Arc::clone(&self.identity.info)
    }

    async fn ready(&self) -> Result<()> {
        for arm in &self.arms {
            arm.predictor.ready().await.context(|| format!("arm {:?}", arm.name))?;
        }
        Ok(())
    }

    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        let wanted = self.identity.check(&request)?;
        let arm = self.choose(&request)?;
        let response = arm.call(request).await.context(|| format!("arm {:?}", arm.name))?;
        self.identity.forward(response, Some(&arm.name), &wanted)
    }
}

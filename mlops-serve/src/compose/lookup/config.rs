//! What is looked up, and what stands in for what is not there.

use mlops_core::predictor::Parameter;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// What is looked up, how long that may take, and what stands in for what is not there.
///
/// ```
/// use mlops_serve::compose::{LookupConfig, Missing};
/// use mlops_core::predictor::Parameter;
/// use std::time::Duration;
///
/// let config = LookupConfig::new("customers")
///     .with_timeout(Duration::from_millis(3))
///     .with_missing("orders_7d", Missing::Value(Parameter::Int(0)))
///     .with_missing("income", Missing::Null);
/// assert_eq!(*config.missing_of("age"), Missing::Fail);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LookupConfig {
    /// The view of the store.
    pub view: Arc<str>,
    /// The features that come from it; if `None`, all of the view's that the model takes.
    pub features: Option<Vec<Arc<str>>>,
    /// How long the store may take; a request's own deadline may be earlier.
    pub timeout: Duration,
    /// What stands in for a feature that is not known, by its name.
    pub missing: BTreeMap<Arc<str>, Missing>,
    /// What does for the others.
    pub otherwise: Missing,
    /// A row that is older than this is not known; rows of any age are if `None`.
    pub max_age: Option<Duration>,
    /// What happens where the store cannot be asked.
    pub away: Away,
}

/// What stands in for a feature that is not known.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Missing {
    /// Nothing: the request is `NotFound`, and the error names the feature and the row.
    #[default]
    Fail,
    /// A null if the model takes nulls there, else NaN; refused for a feature that can be neither.
    Null,
    /// This value.
    Value(Parameter),
}

/// What happens where the store cannot be asked, or does not answer in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Away {
    /// The request fails as the store did.
    #[default]
    Fail,
    /// Nothing is known of any entity, and so each feature's own rule holds.
    Missing,
}

impl LookupConfig {
    /// Of this view all that the model takes, within 50 ms, of any age; what is not known fails.
    pub fn new(view: impl Into<Arc<str>>) -> Self {
        Self {
            view: view.into(),
            features: None,
            timeout: Duration::from_millis(50),
            missing: BTreeMap::new(),
            otherwise: Missing::Fail,
            max_age: None,
            away: Away::Fail,
        }
    }

    /// Sets the features that come from the store; the others come from the request.
    #[must_use]
    pub fn with_features<S: Into<Arc<str>>>(
        mut self,
        features: impl IntoIterator<Item = S>,
    ) -> Self {
        self.features = Some(features.into_iter().map(Into::into).collect());
        self
    }

    /// Sets how long the store may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets what stands in for one feature.
    #[must_use]
    pub fn with_missing(mut self, feature: impl Into<Arc<str>>, missing: Missing) -> Self {
        self.missing.insert(feature.into(), missing);
        self
    }

    /// Sets what stands in for features without a rule of their own.
    #[must_use]
    pub fn with_otherwise(mut self, missing: Missing) -> Self {
        self.otherwise = missing;
        self
    }

    /// Sets the age over which a row is not known.
    #[must_use]
    pub fn with_max_age(mut self, age: Option<Duration>) -> Self {
        self.max_age = age;
        self
    }

    /// Sets what happens where the store cannot be asked.
    #[must_use]
    pub fn with_away(mut self, away: Away) -> Self {
        self.away = away;
        self
    }

    /// What stands in for this feature.
    pub fn missing_of(&self, feature: &str) -> &Missing {
        self.missing.get(feature).unwrap_or(&self.otherwise)
    }
}

/// What a look-up has counted. Each only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookupStats {
    /// Requests for which the store was asked.
    pub asked: u64,
    /// Entities that it was asked about; one that stands in several rows of a request counts once.
    pub entities: u64,
    /// Features of rows that were not known, or too old.
    pub missing: u64,
    /// Requests for which the store could not be asked, or did not answer in time.
    pub away: u64,
}

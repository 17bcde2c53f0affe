//! Where the features of entities are, as they are known now.

use super::FeatureView;
use crate::{Result, Timestamp, tensor::Tensors};
use async_trait::async_trait;
use std::{fmt::Debug, sync::Arc, time::Instant};

/// Features by entity, for whoever answers requests.
///
/// The suite is `conformance::online`: each bullet below is one check.
#[async_trait]
pub trait OnlineStore: Debug + Send + Sync {
    /// Which entities and features a view has.
    ///
    /// # Behavior
    /// - a view that is not there is `NotFound` and is named
    async fn view(&self, name: &str) -> Result<Arc<FeatureView>>;

    /// What is known of some entities now. Dropping the future abandons the work.
    ///
    /// # Behavior
    /// - gives a row for each key, in the order asked; a key that is asked for twice is there twice
    /// - gives the features asked for, in that order, each of its type and shape, to the bit
    /// - an entity that was never written is null in every feature, and has no time
    /// - a view that is not there is `NotFound`; an unknown feature, and a missing, unknown, null or wrongly
    ///   typed key, is `InvalidInput`; each is named, and no message holds a key's value
    /// - a deadline that has passed is `TimedOut`
    /// - no keys give no rows
    async fn read(&self, question: OnlineRead) -> Result<OnlineRows>;

    /// Makes rows known.
    ///
    /// # Behavior
    /// - a read that begins after it has returned sees it
    /// - a row replaces the one of the same entity, unless that one is of a later time; so in one write, where
    ///   of equal times the last counts
    /// - a null stays null, and what stands beside it stays too
    /// - a feature that is missing, unknown or wrongly typed, and as many times as there are not rows, are
    ///   `InvalidInput` and named, and nothing of that write is known afterwards
    async fn write(&self, rows: OnlineWrite) -> Result<()>;
}

#[async_trait]
impl<S: OnlineStore + ?Sized> OnlineStore for Arc<S> {
    async fn view(&self, name: &str) -> Result<Arc<FeatureView>> {
        (**self).view(name).await
    }
    async fn read(&self, question: OnlineRead) -> Result<OnlineRows> {
        (**self).read(question).await
    }
    async fn write(&self, rows: OnlineWrite) -> Result<()> {
        (**self).write(rows).await
    }
}

/// What is asked about which entities.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OnlineRead {
    /// The view.
    pub view: Arc<str>,
    /// A row for each entity: the keys of the view, by name.
    pub keys: Tensors,
    /// The features wanted.
    pub features: Vec<Arc<str>>,
    /// After this the answer is worth nothing.
    pub deadline: Option<Instant>,
}

impl OnlineRead {
    /// Asks about these entities, without a deadline.
    pub fn new<S: Into<Arc<str>>>(
        view: impl Into<Arc<str>>,
        keys: Tensors,
        features: impl IntoIterator<Item = S>,
    ) -> Self {
        let features = features.into_iter().map(Into::into).collect();
        Self { view: view.into(), keys, features, deadline: None }
    }

    /// Sets the deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }
}

/// What is known of the entities that were asked about.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OnlineRows {
    /// A row for each, null where nothing is known.
    pub features: Tensors,
    /// As of when each row is; `None` if nothing is known of that entity.
    pub times: Vec<Option<Timestamp>>,
}

impl OnlineRows {
    /// Rows, each with its time.
    pub fn new(features: Tensors, times: Vec<Option<Timestamp>>) -> Self {
        Self { features, times }
    }
}

/// What becomes known: all features of some entities.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OnlineWrite {
    /// The view.
    pub view: Arc<str>,
    /// A row for each entity: the keys of the view, by name.
    pub keys: Tensors,
    /// Every feature of the view, by name; nulls where one is not known.
    pub features: Tensors,
    /// As of when each row is.
    pub times: Vec<Timestamp>,
}

impl OnlineWrite {
    /// These rows of a view.
    pub fn new(
        view: impl Into<Arc<str>>,
        keys: Tensors,
        features: Tensors,
        times: Vec<Timestamp>,
    ) -> Self {
        Self { view: view.into(), keys, features, times }
    }
}

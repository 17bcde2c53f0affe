//! Lists that arrive in pages, and what they are asked by.

use serde::{Deserialize, Serialize};

/// Some items of a longer list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items, in the order asked for.
    pub items: Vec<T>,
    /// Where the next page begins; `None` if this is the last. Opaque to callers.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// The only page.
    pub const fn all(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self::all(Vec::new())
    }
}

/// What a list is asked by: MLflow's filter grammar, an order, a page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Search {
    /// `metrics.loss < 0.5 AND tags.team = 'risk'`; empty takes all.
    pub filter: String,
    /// `metrics.loss ASC`, `attribute.start_time DESC` …; each list has its own default.
    pub order_by: Vec<String>,
    /// Only these experiments, where the list has them; empty takes all.
    pub experiments: Vec<crate::ExperimentId>,
    /// Live things, deleted ones, or both.
    pub view: View,
    /// The most items in a page; each list has its own default and maximum.
    pub max_results: Option<usize>,
    /// The `next` of the page before.
    pub page: Option<String>,
}

/// Live things, deleted ones, or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum View {
    /// Not deleted.
    #[default]
    Active,
    /// Deleted.
    Deleted,
    /// Both.
    All,
}

impl Search {
    /// Everything that is live, in the list's own order.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only what the filter matches.
    #[must_use]
    pub fn with_filter(mut self, filter: impl Into<String>) -> Self {
        self.filter = filter.into();
        self
    }

    /// Adds a key to order by.
    #[must_use]
    pub fn with_order_by(mut self, key: impl Into<String>) -> Self {
        self.order_by.push(key.into());
        self
    }

    /// Only things of this experiment.
    #[must_use]
    pub fn with_experiment(mut self, experiment: crate::ExperimentId) -> Self {
        self.experiments.push(experiment);
        self
    }

    /// Live things, deleted ones, or both.
    #[must_use]
    pub fn with_view(mut self, view: View) -> Self {
        self.view = view;
        self
    }

    /// At most so many in a page.
    #[must_use]
    pub fn with_max_results(mut self, max_results: usize) -> Self {
        self.max_results = Some(max_results);
        self
    }

    /// The page that begins where another ended.
    #[must_use]
    pub fn with_page(mut self, page: Option<String>) -> Self {
        self.page = page;
        self
    }
}

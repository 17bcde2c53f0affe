//! Predictors that are made of predictors.
//!
//! Each is a [`Predictor`](mlops_core::Predictor) and so may be a part of another. None starts a
//! runtime or needs one: any executor may poll their futures. There are two kinds.
//!
//! - A composition has a name and a version of its own, and its answers carry them: [`Chain`],
//!   [`Split`], [`Branch`], [`Fallback`], [`Ensemble`]. Which [`Arm`] computed an answer is in the
//!   answer's `arm`; where arms are compositions with arms, the names are joined by `/`, the outer
//!   first. An answer that is one member's keeps the prediction id that the member gave it, so that
//!   what the member logged is found by it.
//! - A wrapper is not seen in what it passes on, name and version included: [`Shadow`],
//!   [`Replicas`] (unless they are [`named`](Replicas::named)), [`Cached`]. [`Lookup`] is one too, but that
//!   it takes keys where the model takes features.
//!
//! Id, key, parameters, deadline and priority of a request reach every member. A member that panics
//! loses one request, which is `Internal`; the composition goes on.

mod arm;
mod branch;
mod cached;
mod chain;
#[cfg(feature = "definitions")]
pub mod definition;
mod ensemble;
mod fallback;
mod lookup;
mod replicas;
mod shadow;
mod split;

pub use arm::Arm;
pub(crate) use arm::{at_once, fenced};
pub use branch::{Branch, BranchRule};
pub use cached::{Cached, CachedConfig, CachedStats};
pub use chain::{Chain, ChainBuilder};
pub use ensemble::{Ensemble, EnsembleConfig};
pub use fallback::{Fallback, FallbackConfig};
pub use lookup::{Away, Lookup, LookupConfig, LookupStats, Missing};
pub use replicas::{Replicas, ReplicasConfig};
pub use shadow::{Shadow, ShadowConfig, ShadowObserver, ShadowPair, ShadowStats, ShadowWork};
pub use split::Split;

//! What a stranger writes: an own predictor, an own detector and an own service, with nothing but
//! public names.

pub mod detector;
pub mod predictor;
pub mod service;

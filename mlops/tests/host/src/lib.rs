//! What a stranger writes: an own predictor and an own detector, with nothing but public names.

pub mod detector;
pub mod predictor;

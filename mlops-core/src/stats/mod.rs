//! What siblings need to say how sure they are.

mod interval;

pub use interval::Interval;

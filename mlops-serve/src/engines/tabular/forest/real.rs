//! The number types of forests.

use super::paged::Ordered;
use std::{
    fmt::Debug,
    ops::{Add, AddAssign, Div, Mul, Neg},
};

/// What is nearer to zero is taken for it, where a test says so: LightGBM's `kZeroThreshold`.
const ZERO: f32 = 1e-35;

/// The number type in which a forest compares and adds.
pub(in super::super) trait Real:
    Ordered
    + Debug
    + Default
    + PartialOrd
    + Add<Output = Self>
    + AddAssign
    + Div<Output = Self>
    + Mul<Output = Self>
    + Neg<Output = Self>
    + Send
    + Sync
{
    fn of(value: f32) -> Self;
    /// A number of trees.
    fn count(trees: usize) -> Self;
    /// The nearest `f32`: scores are given and transformed in it.
    fn narrow(self) -> f32;
    /// As a wider number, which is exact.
    fn wide(self) -> f64;
    /// The nearest number.
    fn nearest(wide: f64) -> Self;
    fn is_nan(self) -> bool;
    fn is_nearly_zero(self) -> bool {
        self <= Self::of(ZERO) && self >= Self::of(-ZERO)
    }
    /// The whole part, unless it is negative or there is none.
    fn whole(self) -> Option<u32>;
}

impl Real for f32 {
    fn of(value: f32) -> Self {
        value
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer trees than an f32 counts exactly")]
    fn count(trees: usize) -> Self {
        trees as Self
    }

    fn narrow(self) -> f32 {
        self
    }

    fn wide(self) -> f64 {
        self.into()
    }

    #[expect(clippy::cast_possible_truncation, reason = "rounded")]
    fn nearest(wide: f64) -> Self {
        wide as Self
    }

    fn is_nan(self) -> bool {
        self.is_nan()
    }

    fn whole(self) -> Option<u32> {
        f64::from(self).whole()
    }
}

impl Real for f64 {
    fn of(value: f32) -> Self {
        Self::from(value)
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer trees than an f64 counts exactly")]
    fn count(trees: usize) -> Self {
        trees as Self
    }

    #[expect(clippy::cast_possible_truncation, reason = "scores leave as f32")]
    fn narrow(self) -> f32 {
        self as f32
    }

    fn wide(self) -> f64 {
        self
    }

    fn nearest(wide: f64) -> Self {
        wide
    }

    fn is_nan(self) -> bool {
        self.is_nan()
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range")]
    fn whole(self) -> Option<u32> {
        (self > -1.0 && self < 2_147_483_648.0).then_some(self as u32)
    }
}

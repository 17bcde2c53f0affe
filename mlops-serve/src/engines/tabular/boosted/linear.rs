//! Leaves that say a linear function of the row: LightGBM's linear trees, and XGBoost's `gblinear`, which is one such
//! leaf for each output.

use super::super::forest::Real;
use std::ops::Range;

/// The functions, by the numbers that leaves have for what they say.
#[derive(Debug)]
pub(super) struct Functions<S> {
    functions: Vec<Function<S>>,
    /// The places of features and what each is multiplied by.
    terms: Vec<(usize, S)>,
}

#[derive(Debug)]
struct Function<S> {
    constant: S,
    terms: Range<usize>,
    missing: Missing<S>,
}

/// What a function says of a row in which one of its features is missing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Missing<S> {
    /// This number.
    Instead(S),
    /// The sum without it.
    LeftOut,
}

impl<S: Real> Functions<S> {
    pub(super) fn new() -> Self {
        Self { functions: Vec::new(), terms: Vec::new() }
    }

    /// How many there are: the number of the next.
    pub(super) fn len(&self) -> usize {
        self.functions.len()
    }

    pub(super) fn add(
        &mut self,
        constant: S,
        terms: impl IntoIterator<Item = (usize, S)>,
        missing: Missing<S>,
    ) {
        let first = self.terms.len();
        self.terms.extend(terms);
        self.functions.push(Function { constant, terms: first..self.terms.len(), missing });
    }

    /// How many features a row must have.
    pub(super) fn features(&self) -> usize {
        self.terms.iter().map(|(feature, _)| feature.saturating_add(1)).max().unwrap_or(0)
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.functions.as_slice()) + size_of_val(self.terms.as_slice())
    }

    /// What the function of this number, which is among them, says of a row that has the features.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of one")]
    pub(super) fn say(&self, number: S, row: &[S]) -> S {
        let Function { constant, terms, missing } = &self.functions[number.wide() as usize];
        let mut sum = *constant;
        for (feature, factor) in &self.terms[terms.clone()] {
            let value = row[*feature];
            match missing {
                _ if !value.is_nan() => sum += *factor * value,
                Missing::Instead(instead) => return *instead,
                Missing::LeftOut => {}
            }
        }
        sum
    }
}

//! All ways to deal a few rows into two samples.

use super::{
    super::{probability, real},
    line::Place,
};

/// The most steps that an enumeration takes: 9 rows a side, or 2 beside 120.
const MOST_STEPS: f64 = 1e6;

/// Whether the deals of n + m rows can be counted one by one.
pub(super) fn are_few(n: u64, m: u64) -> bool {
    let (few, all) = (n.min(m), n + m);
    let mut deals = 1.0;
    for row in 0..few {
        deals *= real(all - row) / real(row + 1);
        if deals * real(all) > MOST_STEPS {
            return false;
        }
    }
    true
}

/// The share of all deals of groups of these sizes for which the sum of `term` over the groups is
/// at least `least`.
///
/// Sums that differ do so by more than a part in 10¹⁰ at these numbers of rows; rounding does not.
pub(super) fn share_of_at_least(
    least: f64,
    sizes: &[u64],
    n: u64,
    m: u64,
    term: impl Fn(Place, Place) -> f64,
) -> f64 {
    let bound = least * (1.0 - 1e-10) - 1e-13;
    let mut deals = Deals { bound, term, over: 0.0, all: 0.0 };
    deals.deal(sizes, Place { n, m, i: 0, j: 0 }, 0.0, 1.0);
    probability(deals.over / deals.all)
}

struct Deals<F> {
    bound: f64,
    term: F,
    over: f64,
    all: f64,
}

impl<F: Fn(Place, Place) -> f64> Deals<F> {
    fn deal(&mut self, sizes: &[u64], at: Place, sum: f64, ways: f64) {
        let Some((size, rest)) = sizes.split_first() else {
            self.all += ways;
            self.over += if sum >= self.bound { ways } else { 0.0 };
            return;
        };
        let least = size.saturating_sub(at.m - at.j);
        let mut choices = binomial(*size, least);
        for to_reference in least..=(*size).min(at.n - at.i) {
            let after = at.after(to_reference, size - to_reference);
            self.deal(rest, after, sum + (self.term)(at, after), ways * choices);
            choices *= real(size - to_reference) / real(to_reference + 1);
        }
    }
}

fn binomial(of: u64, chosen: u64) -> f64 {
    (0..chosen).fold(1.0, |ways, at| ways * real(of - at) / real(at + 1))
}

//! How improbable counts are that are too improbable for their probability's digits.

use super::{real, strata::Stratum};

/// Logarithms of odds between which the ratio lies that makes the counts seen the expected ones.
const FURTHEST: f64 = 80.0;

/// About minus the logarithm of the probability that the window has, over all strata together, rows
/// of the kind as far from their expected number as it has, in the same direction.
///
/// The probability of a sum of hypergeometric counts is about that of the most probable way to come
/// by it, in which all strata have one ratio of odds between the window and the rest (the multiplier
/// of Lagrange); and each count's is exp(−Σ o ln(o/e)) over the four cells of its stratum, up to a
/// factor that grows like the root of the number of rows. So it is off by some units of what may be
/// hundreds, mostly too small, and orders what a sum of floats cannot.
pub(crate) fn tail_exponent(strata: &[Stratum]) -> f64 {
    let seen: f64 = strata.iter().map(|(_, (with, _))| real(*with)).sum();
    let expected = |odds: f64| strata.iter().map(|stratum| tilted(*stratum, odds)).sum::<f64>();
    let (mut low, mut high) = (-FURTHEST, FURTHEST);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if expected(middle.exp()) < seen { low = middle } else { high = middle }
    }
    let odds = f64::midpoint(low, high).exp();
    strata.iter().map(|stratum| divergence(*stratum, tilted(*stratum, odds))).sum()
}

/// The window's rows of the kind if its odds are so many times those of the rest: the root x of
/// x (n − k + x) = odds (k − x)(m − x), of k rows of the kind in all.
fn tilted(stratum: Stratum, odds: f64) -> f64 {
    let (with, before, now) = rows(stratum);
    let (square, product) = (odds - 1.0, odds * with * now);
    let line = odds * (with + now) + (before - with);
    let root = (line * line - 4.0 * square * product).max(0.0).sqrt();
    // Of its two forms the one that subtracts no near equals.
    let found =
        if line > 0.0 { 2.0 * product / (line + root) } else { (line - root) / (2.0 * square) };
    found.clamp((with - before).max(0.0), with.min(now))
}

/// Rows of the kind, those of the reference, and those of the window.
fn rows((before, now): Stratum) -> (f64, f64, f64) {
    (real(before.0 + now.0), real(before.1), real(now.1))
}

/// Σ o ln(o/e) over the four cells, if the window has so many rows of the kind.
fn divergence(stratum: Stratum, inside: f64) -> f64 {
    let (with, before, now) = rows(stratum);
    let (all, without) = (before + now, before + now - with);
    let cells = [
        (inside, with * now / all),
        (with - inside, with * before / all),
        (now - inside, without * now / all),
        (before - (with - inside), without * before / all),
    ];
    let part = |(seen, expected): (f64, f64)| {
        if seen > 0.0 { seen * (seen / expected).ln() } else { 0.0 }
    };
    cells.into_iter().map(part).sum::<f64>().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{dealt_tails, summed_tails};

    /// Minus the logarithm of the smaller tail, and what is said of it.
    fn beside(strata: &[Stratum]) -> (f64, f64) {
        let tails = match strata {
            [(before, now)] => dealt_tails(*before, *now),
            several => summed_tails(several).unwrap(),
        };
        (-tails.0.min(tails.1).ln(), tail_exponent(strata))
    }

    #[test]
    fn it_is_some_units_off_one_stratums_law() {
        let cases = [
            ((10, 1_000), (70, 500)),
            ((500, 1_000), (120, 900)),
            ((990, 1_000), (300, 400)),
            ((1_000, 1_000), (880, 1_000)),
            ((0, 5_000), (60, 1_000)),
            ((30_000, 1_000_000), (1_100, 20_000)),
            ((4, 9_000), (90, 300)),
        ];
        for case in cases {
            let (law, said) = beside(&[case]);
            assert!((20.0..690.0).contains(&law), "{case:?} {law}");
            assert!((-0.5..8.0).contains(&(law - said)), "{case:?} {law} {said}");
        }
    }

    #[test]
    fn it_is_some_units_off_the_law_of_several() {
        let cases = [
            vec![((1, 1_000), (1, 50)), ((30, 600), (14, 90)), ((0, 80), (5, 70))],
            vec![((20, 400), (0, 60)); 12],
            vec![((900, 1_000), (70, 100)), ((100, 1_000), (2, 100)), ((500, 1_000), (30, 100))],
        ];
        for case in &cases {
            let (law, said) = beside(case);
            assert!((9.0..37.0).contains(&law), "{case:?} {law}");
            assert!((-0.5..8.0).contains(&(law - said)), "{case:?} {law} {said}");
        }
    }

    #[test]
    fn nothing_apart_is_nothing_and_all_apart_is_finite() {
        assert!(tail_exponent(&[((10, 100), (10, 100)); 24]) < 1e-9);
        for all in [((0, 1 << 37), (1 << 37, 1 << 37)), ((7, 7), (0, 9)), ((0, 3), (0, 9))] {
            let said = tail_exponent(&[all, all]);
            assert!(said.is_finite() && said >= 0.0, "{all:?} {said}");
        }
    }
}

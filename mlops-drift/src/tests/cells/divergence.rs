//! Distances of two samples over cells, beside what noise alone makes of them.

use super::super::{real, rows_of_cells};
use mlops_core::Result;
use statrs::function::erf::erf;
use std::f64::consts::SQRT_2;

/// Added to every cell's count where an empty cell would make the distance infinite: half a row, as
/// in Jeffreys' prior.
const SMOOTHING: f64 = 0.5;

/// A distance of two samples over cells, in nats or as a share, and what it is without drift.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Divergence {
    /// The distance of the shares seen; noise makes it too large.
    pub value: f64,
    /// What to expect of `value` without drift, over the k cells that hold rows: in all of these
    /// the first term that does not vanish is a multiple of Σ (q − p)²/p, whose mean is
    /// (k − 1)(1/n + 1/m).
    pub noise_floor: f64,
    /// One summand a cell, none negative; they add up to `value`.
    pub contributions: Vec<f64>,
}

impl Divergence {
    /// The distance less its noise floor, at least 0.
    pub fn excess(&self) -> f64 {
        (self.value - self.noise_floor).max(0.0)
    }

    /// Of shares (p, q) of the cells, given how much of Σ (q − p)²/p the distance is.
    fn of(sides: &Sides, share: f64, terms: impl Iterator<Item = f64>) -> Self {
        // Rounding may leave a negative nothing.
        let contributions: Vec<f64> = terms.map(|term| term.max(0.0)).collect();
        let noise_floor = share * (sides.held - 1.0) * (1.0 / sides.n + 1.0 / sides.m);
        Self { value: contributions.iter().sum(), noise_floor, contributions }
    }
}

/// The Jensen–Shannon divergence in nats, 0..=ln 2: ½ Σ p·ln(p/c) + ½ Σ q·ln(q/c), c being the mean
/// of both shares (Lin, "Divergence measures based on the Shannon entropy", IEEE Transactions on
/// Information Theory 37, 1991). Its root is the Jensen–Shannon distance. Noise: an eighth of
/// (k − 1)(1/n + 1/m). `None` if either side counts nothing.
pub fn jensen_shannon(reference: &[u64], window: &[u64]) -> Result<Option<Divergence>> {
    let Some(sides) = Sides::of(reference, window)? else { return Ok(None) };
    let part = |p: f64, mean: f64| if p > 0.0 { p / 2.0 * (p / mean).ln() } else { 0.0 };
    let term = |(p, q): (f64, f64)| {
        let mean = f64::midpoint(p, q);
        part(p, mean) + part(q, mean)
    };
    Ok(Some(Divergence::of(&sides, 1.0 / 8.0, sides.shares(0.0).map(term))))
}

/// The Kullback–Leibler divergence of the window from the reference in nats: Σ q·ln(q/p) of shares
/// smoothed by half a row a cell, as [`psi`](crate::tests::psi) is. A cell's contribution is
/// q·ln(q/p) − q + p. Noise: half of (k − 1)(1/n + 1/m). `None` if either side counts nothing.
pub fn kullback_leibler(reference: &[u64], window: &[u64]) -> Result<Option<Divergence>> {
    let Some(sides) = Sides::of(reference, window)? else { return Ok(None) };
    let term = |(p, q): (f64, f64)| if q > 0.0 { q * (q / p).ln() - q + p } else { 0.0 };
    Ok(Some(Divergence::of(&sides, 0.5, sides.shares(SMOOTHING).map(term))))
}

/// The square of the Hellinger distance, 0..=1: ½ Σ (√p − √q)² = 1 − Σ √(p·q). Noise: an eighth of
/// (k − 1)(1/n + 1/m). `None` if either side counts nothing.
pub fn hellinger(reference: &[u64], window: &[u64]) -> Result<Option<Divergence>> {
    let Some(sides) = Sides::of(reference, window)? else { return Ok(None) };
    let term = |(p, q): (f64, f64)| (p.sqrt() - q.sqrt()).powi(2) / 2.0;
    Ok(Some(Divergence::of(&sides, 1.0 / 8.0, sides.shares(0.0).map(term))))
}

/// The largest difference of a cell's shares (L-infinity), and what it is without drift.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LargestDifference {
    /// max |q − p|, 0..=1.
    pub value: f64,
    /// The first cell that differs so much.
    pub cell: usize,
    /// At most so much is to be expected of `value` without drift: the mean of the largest of
    /// independent normal deviations as wide as those of the cells' differences.
    pub noise_floor: f64,
}

impl LargestDifference {
    /// The difference less its noise floor, at least 0.
    pub fn excess(&self) -> f64 {
        (self.value - self.noise_floor).max(0.0)
    }
}

/// The largest difference of a cell's shares. `None` if either side counts nothing.
///
/// The deviation of a difference without drift is √(h(1 − h)(1/n + 1/m)), h being the pooled share.
/// That the differences depend on one another makes their largest smaller (Šidák, "Rectangular
/// confidence regions for the means of multivariate normal distributions", Journal of the American
/// Statistical Association 62, 1967).
pub fn largest_difference(reference: &[u64], window: &[u64]) -> Result<Option<LargestDifference>> {
    let Some(sides) = Sides::of(reference, window)? else { return Ok(None) };
    let (mut value, mut cell) = (0.0, 0);
    for (at, (p, q)) in sides.shares(0.0).enumerate() {
        if (q - p).abs() > value {
            (value, cell) = ((q - p).abs(), at);
        }
    }
    let unit = 1.0 / sides.n + 1.0 / sides.m;
    let pooled = |(p, q): (f64, f64)| (p * sides.n + q * sides.m) / (sides.n + sides.m);
    let deviations = sides.shares(0.0).map(pooled).map(|h| (h * (1.0 - h) * unit).max(0.0).sqrt());
    let deviations: Vec<f64> = deviations.filter(|sigma| *sigma > 0.0).collect();
    Ok(Some(LargestDifference { value, cell, noise_floor: mean_largest(&deviations) }))
}

/// ∫ 1 − Π P(|zᵢ| ≤ t/σᵢ) dt, by the midpoint rule up to where nothing is left.
fn mean_largest(deviations: &[f64]) -> f64 {
    const NODES: u32 = 256;
    let step = 8.0 * deviations.iter().copied().fold(0.0, f64::max) / f64::from(NODES);
    let exceeded = |node: u32| {
        let t = (f64::from(node) + 0.5) * step;
        1.0 - deviations.iter().map(|sigma| erf(t / (sigma * SQRT_2))).product::<f64>()
    };
    if step > 0.0 { (0..NODES).map(exceeded).sum::<f64>() * step } else { 0.0 }
}

struct Sides<'a> {
    reference: &'a [u64],
    window: &'a [u64],
    n: f64,
    m: f64,
    /// Cells that hold rows.
    held: f64,
}

impl<'a> Sides<'a> {
    fn of(reference: &'a [u64], window: &'a [u64]) -> Result<Option<Self>> {
        let (n, m) = rows_of_cells(reference, window)?;
        if n == 0 || m == 0 {
            return Ok(None);
        }
        let held = reference.iter().zip(window).filter(|(a, b)| *a + *b > 0).count() as u64;
        Ok(Some(Self { reference, window, n: real(n), m: real(m), held: real(held) }))
    }

    /// The shares of both sides in each cell, so many rows added to each that holds any.
    fn shares(&self, added: f64) -> impl Iterator<Item = (f64, f64)> {
        let share = move |count: u64, rows: f64| (real(count) + added) / (rows + added * self.held);
        self.reference.iter().zip(self.window).map(move |(a, b)| {
            if a + b == 0 { (0.0, 0.0) } else { (share(*a, self.n), share(*b, self.m)) }
        })
    }
}

//! The Cramér–von Mises and the Anderson–Darling distance between bounds.

use super::{
    super::real,
    Certified, CertifiedTest, LinePair, SafeP, deals,
    limit_law::{Bridge, Tied, tail},
    line::{Place, Segment, fraction},
};

/// Below so many rows on a side the law of many rows is not used.
pub(super) const MIN_LIMIT_ROWS: u64 = 5;
/// From this share of the rows on, equal values change the law of many rows: 50 equal groups still
/// have eigenvalues within a part in a thousand of those without ties.
const HEAVY_TIE: f64 = 0.02;

/// Which squared differences are added up.
#[derive(Clone, Copy)]
enum Weight {
    /// Each as it is: nm/N² · Σ rows · ½(d² before + d² after).
    Even,
    /// Each over its variance: nm · Σ rows · d² after / (h·(N − h)), `h` rows being dealt.
    ByVariance,
}

impl LinePair {
    /// The Cramér–von Mises criterion nm/N · ∫ ½((F − G)²₋ + (F − G)²₊) dH, `H` being the pooled
    /// distribution function, N = n + m (Anderson, "On the distribution of the two-sample
    /// Cramér-von Mises criterion", Annals of Mathematical Statistics 33, 1962); `None` if either
    /// side is empty.
    ///
    /// Where equal values make the distribution functions jump, the square is the mean of those
    /// before and after, so that it does not matter which way the line is looked at. That equals
    /// the form in midranks without ties, and with ties where both sides have as many rows; else
    /// midranks add a term that grows with ties alone, and that calls two constants different.
    ///
    /// Inside a cell the squares lie between the least and the largest possible. `p`: all deals of
    /// the values if they are few, else the law of ∫B² of a Brownian bridge, moved and scaled to
    /// the mean and variance at these rows or, with a value that one row in fifty has, the law
    /// of the bridge at these ties.
    pub fn cramer_von_mises(&self) -> Option<CertifiedTest> {
        self.squares(Weight::Even)
    }

    /// The Anderson–Darling statistic A² of two samples, N = n + m: nm · Σ lⱼ·(F − G)²/(h·(N − h))
    /// over the distinct values but the last, of which lⱼ rows have the j-th and `h` at most the
    /// j-th (Scholz and Stephens, "K-sample Anderson–Darling tests", Journal of the American
    /// Statistical Association 82, 1987, equation 6); `None` if either side is empty.
    ///
    /// Its mean without drift is about 1. Bounds and `p` as for
    /// [`cramer_von_mises`](Self::cramer_von_mises), with the bridge over its deviation.
    pub fn anderson_darling(&self) -> Option<CertifiedTest> {
        self.squares(Weight::ByVariance)
    }

    fn squares(&self, weight: Weight) -> Option<CertifiedTest> {
        if self.is_empty() {
            return None;
        }
        let (mut low, mut high, mut exact) = (0.0, 0.0, true);
        for (at, segment) in self.walk() {
            let (least, most) = match segment {
                Segment::Known(groups) => {
                    let (mut at, mut sum) = (at, 0.0);
                    for group in groups {
                        let after = at.after(group.reference, group.window);
                        sum += weight.term(at, after);
                        at = after;
                    }
                    (sum, sum)
                }
                Segment::Sums { .. } => {
                    exact = false;
                    weight.bounds(at, segment.rows())
                }
            };
            low += least;
            high += most;
        }
        let factor = weight.factor(self.n, self.m);
        let statistic = Certified::new(low * factor, high * factor, exact);
        Some(CertifiedTest { statistic, p: self.p(weight, statistic.low, exact) })
    }

    fn p(&self, weight: Weight, statistic: f64, exact: bool) -> Option<SafeP> {
        let (n, m) = (self.n, self.m);
        if exact && deals::are_few(n, m) {
            let sizes: Vec<u64> = self.group_sizes().collect();
            let factor = weight.factor(n, m);
            let term = |before: Place, after: Place| weight.term(before, after) * factor;
            let value = deals::share_of_at_least(statistic, &sizes, n, m, term);
            return Some(SafeP { value, exact: true });
        }
        if n.min(m) < MIN_LIMIT_ROWS {
            return None;
        }
        let rows = real(n + m);
        let heaviest = self.known_group_sizes().max().unwrap_or(0);
        let value = if real(heaviest) - 1.0 < HEAVY_TIE * rows {
            let law = weight.bridge();
            tail(standardised(statistic, law, n, m), &law)
        } else {
            // The mean of either statistic is that of its limit times N / (N − 1).
            let x = statistic * (rows - 1.0) / rows;
            tail(x, &weight.tied(&self.coarse_sizes(), x))
        };
        Some(SafeP { value, exact: false })
    }

    fn known_group_sizes(&self) -> impl Iterator<Item = u64> {
        self.segments.iter().flat_map(|segment| {
            let groups = if let Segment::Known(groups) = segment { groups.as_slice() } else { &[] };
            groups.iter().map(|group| group.reference + group.window)
        })
    }

    /// Shares of groups of equal values, small neighbours merged: at most some 800.
    fn coarse_sizes(&self) -> Vec<f64> {
        const SMALL: f64 = 1.0 / 400.0;
        let rows = real(self.n + self.m);
        let (mut sizes, mut open) = (Vec::new(), 0.0);
        let close = |open: &mut f64, sizes: &mut Vec<f64>| {
            if *open > 0.0 {
                sizes.push(std::mem::take(open));
            }
        };
        for segment in &self.segments {
            let of_segment: Vec<f64> = match segment {
                Segment::Known(groups) => {
                    groups.iter().map(|group| real(group.reference + group.window)).collect()
                }
                Segment::Sums { .. } => {
                    let (reference, window) = segment.rows();
                    let rows_here = real(reference + window);
                    let pieces = (rows_here / rows / SMALL).ceil().max(1.0);
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "at most 400"
                    )]
                    let count = pieces as usize;
                    vec![rows_here / pieces; count]
                }
            };
            for size in of_segment {
                if size >= SMALL * rows {
                    close(&mut open, &mut sizes);
                }
                open += size / rows;
                if open >= SMALL {
                    close(&mut open, &mut sizes);
                }
            }
        }
        close(&mut open, &mut sizes);
        sizes
    }
}

impl Weight {
    /// One group of equal values, the walk standing before and after it.
    fn term(self, before: Place, after: Place) -> f64 {
        let rows = real(after.pooled() - before.pooled());
        let square = |place: Place| place.difference().powi(2);
        match self {
            Self::Even => rows * (square(before) + square(after)) / 2.0,
            Self::ByVariance => rows * square(after) * by_variance(after),
        }
    }

    fn factor(self, n: u64, m: u64) -> f64 {
        let (n, m) = (real(n), real(m));
        match self {
            Self::Even => n / (n + m) * m / (n + m),
            Self::ByVariance => n * m,
        }
    }

    /// The least and the most that so many rows may add.
    fn bounds(self, at: Place, (reference, window): (u64, u64)) -> (f64, f64) {
        let rows = real(reference + window);
        let (least, most) = at.reach(reference, window);
        let (least, most) = (fraction(least, at.n, at.m), fraction(most, at.n, at.m));
        let largest = least.powi(2).max(most.powi(2));
        let smallest =
            if least <= 0.0 && most >= 0.0 { 0.0 } else { least.powi(2).min(most.powi(2)) };
        match self {
            Self::Even if reference == 0 || window == 0 => {
                // One step adds the most, as many steps as rows the least.
                let mean = (least * least + least * most + most * most) / 3.0;
                let steps = ((most - least) / rows).powi(2) / 6.0;
                (rows * (mean + steps), rows * (least * least + most * most) / 2.0)
            }
            Self::Even => (rows * smallest, rows * largest),
            Self::ByVariance => variance_bounds(at, reference + window, smallest, largest),
        }
    }

    fn bridge(self) -> Bridge {
        match self {
            Self::Even => Bridge::Plain,
            Self::ByVariance => Bridge::OverDeviation,
        }
    }

    /// The law at groups of these shares.
    fn tied(self, shares: &[f64], x: f64) -> Tied {
        let mut up_to = 0.0;
        let pairs = shares.windows(2);
        let weights = pairs.map(|pair| {
            up_to += pair[0];
            match self {
                Self::Even => f64::midpoint(pair[0], pair[1]),
                Self::ByVariance => pair[0] / (up_to * (1.0 - up_to)),
            }
        });
        Tied::new(shares.to_vec(), weights.collect(), x)
    }
}

/// 1 / (h·(N − h)); 0 at the end, where the difference is 0 as well.
fn by_variance(at: Place) -> f64 {
    inverse_variance(at.pooled(), at.n + at.m)
}

fn inverse_variance(dealt: u64, rows: u64) -> f64 {
    if dealt == rows { 0.0 } else { 1.0 / real(dealt) / real(rows - dealt) }
}

/// The squares lie between these; their weights between those of the places where a group may end.
fn variance_bounds(at: Place, rows: u64, smallest: f64, largest: f64) -> (f64, f64) {
    let all = at.n + at.m;
    let (first, last) = (at.pooled() + 1, at.pooled() + rows);
    let weight = |dealt: u64| inverse_variance(dealt, all);
    let count = real(rows);
    if last < all {
        let flat = if first * 2 > all { weight(first) } else { weight(last) };
        let flat = if first * 2 <= all && last * 2 >= all { 4.0 / real(all).powi(2) } else { flat };
        let mut high = count * largest * weight(first).max(weight(last));
        if at.pooled() == 0 {
            high = high.min(count * count / real(all - last) / real(at.n.min(at.m)).powi(2));
        }
        return (count * smallest * flat, high);
    }
    // With r rows left the difference is at most r / min(n, m), and their squares over the weight
    // add up to less than this.
    let fewer = real(at.n.min(at.m));
    (0.0, count * count / 2.0 / real(first) / (fewer * fewer))
}

/// The statistic as one of the limit's mean and variance: mean and variance at n and m rows
/// without ties are known.
fn standardised(statistic: f64, law: Bridge, n: u64, m: u64) -> f64 {
    let (n, m) = (real(n), real(m));
    let (all, pairs) = (n + m, n * m);
    match law {
        // Anderson 1962, equations 11 and 14.
        Bridge::Plain => {
            let mean = (1.0 + 1.0 / all) / 6.0;
            let spread = 4.0 * pairs * all - 3.0 * (n * n + m * m) - 2.0 * pairs;
            let variance = (all + 1.0) * spread / (45.0 * all * all * 4.0 * pairs);
            1.0 / 6.0 + (statistic - mean) / (45.0 * variance).sqrt()
        }
        Bridge::OverDeviation => {
            let limit = 2.0 * (std::f64::consts::PI.powi(2) - 9.0) / 3.0;
            1.0 + (statistic - 1.0) * (limit / anderson_variance(n, m, limit)).sqrt()
        }
    }
}

/// Scholz and Stephens 1987, equation 4, of two samples.
fn anderson_variance(n: f64, m: f64, limit: f64) -> f64 {
    let all = n + m;
    if all > 20_000.0 {
        return limit;
    }
    let inverses = 1.0 / n + 1.0 / m;
    // Σ 1/i over i < N, and Σ 1 / ((N − i)·j) over i < j < N.
    let (mut single, mut double) = (1.0, 0.0);
    let (mut of_ends, mut i) = (0.0, 2.0);
    while i < all {
        single += 1.0 / i;
        of_ends += 1.0 / (all - i + 1.0);
        double += of_ends / i;
        i += 1.0;
    }
    let cubic = 4.0 * double - 6.0 + (10.0 - 6.0 * double) * inverses;
    let quadratic =
        12.0 * double + 8.0 * single - 22.0 + (2.0 * double - 14.0 * single - 4.0) * inverses;
    let linear = 36.0 * single + 4.0 + (2.0 * single - 6.0) * inverses;
    let constant = 24.0;
    let sum = ((cubic * all + quadratic) * all + linear) * all + constant;
    sum / ((all - 1.0) * (all - 2.0) * (all - 3.0))
}

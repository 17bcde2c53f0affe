//! The Kolmogorov–Smirnov distance between bounds.

use super::{
    super::{
        EXACT_CELLS,
        ks_law::{exceedance, kolmogorov},
        real,
    },
    Certified, CertifiedTest, LinePair, SafeP,
    line::{Place, Segment, fraction},
};

impl LinePair {
    /// The largest distance between the two distribution functions, 0..=1 (see
    /// [`ks`](crate::tests::ks)); `None` if either side is empty.
    ///
    /// At the ends of a cell the distance is known. Inside it can exceed both only as far as if all
    /// rows of one side came first. `p` is exact up to [`EXACT_CELLS`], values that are not known
    /// taken for different, which makes it larger if anything.
    pub fn ks(&self) -> Option<CertifiedTest> {
        if self.is_empty() {
            return None;
        }
        let (low, high) = self.largest();
        let distance = |apart: u128| fraction(apart.cast_signed(), self.n, self.m);
        let exact = low == high;
        let few = self.n.checked_mul(self.m).is_some_and(|cells| cells <= EXACT_CELLS);
        let p = if few {
            exceedance(self.n, self.m, self.group_sizes(), low)
        } else {
            let (n, m) = (real(self.n), real(self.m));
            kolmogorov((n / (n + m) * m).sqrt() * distance(low))
        };
        Some(CertifiedTest {
            statistic: Certified::new(distance(low), distance(high), exact),
            p: Some(SafeP { value: p, exact: few && exact && self.all_known() }),
        })
    }

    /// The least and the largest that `max |i·m − j·n|` can be.
    fn largest(&self) -> (u128, u128) {
        let (mut low, mut high) = (0, 0);
        for (at, segment) in self.walk() {
            low = low.max(seen(at, segment));
            high = high.max(possible(at, segment));
        }
        (low, high.max(low))
    }

    /// Which segments could hold a distance larger than any seen.
    pub(super) fn ks_undecided(&self) -> Vec<bool> {
        let (low, _) = self.largest();
        self.walk().map(|(at, segment)| possible(at, segment) > low).collect()
    }
}

/// The largest distance that is certainly there: at the end, and at the groups that are known.
fn seen(at: Place, segment: &Segment) -> u128 {
    let Segment::Known(groups) = segment else {
        let (reference, window) = segment.rows();
        return at.after(reference, window).apart().unsigned_abs();
    };
    let (mut at, mut largest) = (at, 0);
    for group in groups {
        at = at.after(group.reference, group.window);
        largest = largest.max(at.apart().unsigned_abs());
    }
    largest
}

/// The largest distance that may be there.
fn possible(at: Place, segment: &Segment) -> u128 {
    if matches!(segment, Segment::Known(_)) {
        return seen(at, segment);
    }
    let (reference, window) = segment.rows();
    let (least, most) = at.reach(reference, window);
    least.unsigned_abs().max(most.unsigned_abs())
}

//! The second pass: values of undecided cells, read from the rows.

use super::{
    Distance, LinePair,
    line::{Segment, groups},
};
use mlops_core::{Error, Result};

/// Takes the values of both sides once more and keeps those of undecided cells.
///
/// It holds eight bytes for each value in those cells: few for Kolmogorov–Smirnov and, where there
/// is drift, for Wasserstein; nearly all for the other two, which depend on every rank.
#[derive(Clone, Debug)]
pub struct ReadAgain {
    pair: LinePair,
    wanted: Vec<Wanted>,
}

#[derive(Clone, Debug)]
struct Wanted {
    segment: usize,
    low: f64,
    high: f64,
    reference: Vec<f64>,
    window: Vec<f64>,
}

impl LinePair {
    /// A second pass that will make these distances exact.
    pub fn read_again(&self, distances: &[Distance]) -> ReadAgain {
        let mut undecided = vec![false; self.segments.len()];
        for distance in distances {
            let cells = match distance {
                Distance::Ks => self.ks_undecided(),
                Distance::Wasserstein => self.wasserstein_undecided(),
                Distance::CramerVonMises | Distance::AndersonDarling => self.not_known(),
            };
            undecided.iter_mut().zip(cells).for_each(|(own, cell)| *own |= cell);
        }
        let wanted = self.segments.iter().enumerate().zip(undecided);
        let wanted = wanted.filter(|(_, undecided)| *undecided).map(|((segment, of), _)| {
            let (low, high) = of.range();
            Wanted { segment, low, high, reference: Vec::new(), window: Vec::new() }
        });
        ReadAgain { wanted: wanted.collect(), pair: self.clone() }
    }

    fn not_known(&self) -> Vec<bool> {
        self.segments.iter().map(|segment| matches!(segment, Segment::Sums { .. })).collect()
    }
}

impl ReadAgain {
    /// How many rows of the reference and of the window the undecided cells hold.
    pub fn rows(&self) -> (u64, u64) {
        let rows = self.wanted.iter().map(|wanted| self.pair.segments[wanted.segment].rows());
        rows.fold((0, 0), |sum, (a, b)| (sum.0 + a, sum.1 + b))
    }

    /// Takes values of the reference, in any order and as many times as there are pieces; NaN is
    /// passed over.
    pub fn reference(&mut self, values: &[f64]) {
        self.take(values, |wanted| &mut wanted.reference);
    }

    /// Takes values of the window.
    pub fn window(&mut self, values: &[f64]) {
        self.take(values, |wanted| &mut wanted.window);
    }

    fn take(&mut self, values: &[f64], side: impl Fn(&mut Wanted) -> &mut Vec<f64>) {
        for value in values {
            let at = self.wanted.partition_point(|wanted| wanted.high < *value);
            if let Some(wanted) = self.wanted.get_mut(at).filter(|wanted| wanted.low <= *value) {
                // −0 is 0.
                side(wanted).push(value + 0.0);
            }
        }
    }

    /// The pair with every value of the undecided cells; `InvalidInput` if they are not the values
    /// that the profiles counted.
    pub fn finish(mut self) -> Result<LinePair> {
        for mut wanted in self.wanted {
            let segment = &mut self.pair.segments[wanted.segment];
            let found = (wanted.reference.len() as u64, wanted.window.len() as u64);
            if found != segment.rows() {
                return Err(Error::invalid(format!(
                    "between {} and {} the profiles count {:?} rows, and {found:?} were read: \
                     other rows",
                    wanted.low,
                    wanted.high,
                    segment.rows()
                )));
            }
            let reference = counted(&mut wanted.reference);
            *segment = Segment::Known(groups(&reference, &counted(&mut wanted.window)));
        }
        Ok(self.pair)
    }
}

fn counted(values: &mut [f64]) -> Vec<(f64, u64)> {
    values.sort_unstable_by(f64::total_cmp);
    let runs = values.chunk_by(|a, b| a.total_cmp(b).is_eq());
    runs.map(|run| (run[0], run.len() as u64)).collect()
}

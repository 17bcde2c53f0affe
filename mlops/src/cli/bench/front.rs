//! What was measured, and what of it nothing else beats.

use super::sweep::Candidate;

/// What one turn showed, or the median of several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) rows_per_second: f64,
    pub(super) latency_ms_p50: f64,
    pub(super) latency_ms_p99: f64,
}

/// A candidate and its turns.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) candidate: Candidate,
    pub(super) samples: Vec<Sample>,
}

impl Measured {
    pub(super) fn new(candidate: Candidate) -> Self {
        Self { candidate, samples: Vec::new() }
    }

    /// Of each number by itself.
    pub(super) fn median(&self) -> Sample {
        let of = |number: fn(&Sample) -> f64| {
            let mut all: Vec<f64> = self.samples.iter().map(number).collect();
            all.sort_by(f64::total_cmp);
            all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
        };
        Sample {
            rows_per_second: of(|sample| sample.rows_per_second),
            latency_ms_p50: of(|sample| sample.latency_ms_p50),
            latency_ms_p99: of(|sample| sample.latency_ms_p99),
        }
    }
}

/// All, the quickest answers first, each with whether it is on the Pareto front.
pub(super) fn marked(mut all: Vec<Measured>) -> Vec<(Measured, bool)> {
    all.sort_by(|a, b| a.median().latency_ms_p99.total_cmp(&b.median().latency_ms_p99));
    let samples: Vec<Sample> = all.iter().map(Measured::median).collect();
    let marks: Vec<bool> = samples.iter().map(|one| !is_beaten(*one, &samples)).collect();
    all.into_iter().zip(marks).collect()
}

/// Whether one of these is at least as good in both, and better in one.
fn is_beaten(one: Sample, by: &[Sample]) -> bool {
    let (rows, late) = (one.rows_per_second, one.latency_ms_p99);
    by.iter().any(|other| {
        let as_good = other.rows_per_second >= rows && other.latency_ms_p99 <= late;
        as_good && (other.rows_per_second > rows || other.latency_ms_p99 < late)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_what_nothing_beats() {
        let sample = |(rows_per_second, latency_ms_p99): (f64, f64)| Sample {
            rows_per_second,
            latency_ms_p50: 0.0,
            latency_ms_p99,
        };
        let all = [(10.0, 1.0), (20.0, 2.0), (20.0, 3.0), (15.0, 2.0), (5.0, 1.0), (30.0, 9.0)];
        let all = all.map(sample);
        let front: Vec<bool> = all.iter().map(|one| !is_beaten(*one, &all)).collect();
        assert_eq!(front, [true, true, false, false, false, true]);
        // Two that are the same beat neither.
        let twins = [sample((1.0, 1.0)); 2];
        assert!(twins.iter().all(|one| !is_beaten(*one, &twins)));
    }
}

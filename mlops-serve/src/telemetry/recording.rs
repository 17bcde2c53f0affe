//! A recorder, and the three things that it is told.

use metrics::{Key, Label, Level, Metadata, Recorder};

static ABOUT: Metadata<'static> =
    Metadata::new("mlops_serve::telemetry", Level::INFO, Some("mlops_serve::telemetry"));

pub(super) struct Recording<'a>(pub(super) &'a dyn Recorder);

/// What fell in the cells of a histogram since it was told last.
pub(super) struct Fallen<'a> {
    /// Upper bounds of all cells but the last.
    pub(super) bounds: &'a [f64],
    /// How often each, from the first cell to the last, and how often it had been.
    pub(super) counts: &'a [u64],
    pub(super) told: &'a [u64],
    /// All that fell, together.
    pub(super) sum: f64,
}

impl Recording<'_> {
    /// So many more; a series is there from its first zero.
    pub(super) fn count(&self, name: &'static str, labels: Vec<Label>, more: u64) {
        self.0.register_counter(&Key::from_parts(name, labels), &ABOUT).increment(more);
    }

    #[expect(clippy::cast_precision_loss, reason = "gauges are floats; 2^53 requests wait nowhere")]
    pub(super) fn set(&self, name: &'static str, labels: Vec<Label>, now: u64) {
        self.0.register_gauge(&Key::from_parts(name, labels), &ABOUT).set(now as f64);
    }

    /// Each as the upper bound of its cell; those of the last, which has none, as the mean that they had
    /// if nothing else had fallen.
    #[expect(clippy::cast_precision_loss, reason = "a mean is a float")]
    pub(super) fn fell(&self, name: &'static str, labels: Vec<Label>, fallen: &Fallen<'_>) {
        let histogram = self.0.register_histogram(&Key::from_parts(name, labels), &ABOUT);
        for (cell, (now, told)) in fallen.counts.iter().zip(fallen.told).enumerate() {
            let more = now.saturating_sub(*told);
            if more == 0 {
                continue;
            }
            let past =
                || fallen.bounds.last().copied().unwrap_or(0.0).max(fallen.sum / more as f64);
            let value = fallen.bounds.get(cell).copied().unwrap_or_else(past);
            histogram.record_many(value, usize::try_from(more).unwrap_or(usize::MAX));
        }
    }
}

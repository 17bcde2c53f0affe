//! `mlops drift`: does a window of rows still look like the reference?

mod ending;
mod folder;
mod log;
mod profile;
mod report;
mod side;
mod times;
mod watch;

use super::{Answer, Console};
use crate::Result;
use clap::{Args, Subcommand};
use mlops_drift::ProfileDetectorConfig;

/// Compare rows with the reference that a model was trained on
#[derive(Debug, Subcommand)]
pub(super) enum Drift {
    Report(Box<report::Comparison>),
    Profile(profile::Making),
    Watch(Box<watch::Watching>),
}

// When a column counts as drifted. No doc comment: it would stand in the place of the command's own.
#[derive(Debug, Args)]
struct Thresholds {
    /// The share of false findings among the columns found to differ
    #[arg(long, default_value_t = ProfileDetectorConfig::default().alpha)]
    alpha: f64,
    /// The largest total variation distance that is negligible
    #[arg(long, default_value_t = ProfileDetectorConfig::default().margin)]
    margin: f64,
    /// The largest negligible share of missing rows, or of values not listed, where the reference has
    /// none such
    #[arg(long, default_value_t = ProfileDetectorConfig::default().novel_margin)]
    novel_margin: f64,
    /// Rows below which, on either side, nothing is said
    #[arg(long, value_name = "ROWS", default_value_t = ProfileDetectorConfig::default().min_rows)]
    min_rows: u64,
}

impl Thresholds {
    fn config(&self) -> ProfileDetectorConfig {
        ProfileDetectorConfig::default()
            .with_alpha(self.alpha)
            .with_margin(self.margin)
            .with_novel_margin(self.novel_margin)
            .with_min_rows(self.min_rows)
    }
}

impl Drift {
    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        match self {
            Self::Report(comparison) => comparison.run(console),
            Self::Profile(making) => making.run(console),
            Self::Watch(watching) => watching.run(console),
        }
    }

    /// Whether the result goes to stdout as JSON.
    pub(super) fn json(&self) -> bool {
        match self {
            Self::Report(comparison) => comparison.json(),
            Self::Profile(making) => making.json(),
            Self::Watch(watching) => watching.json(),
        }
    }
}

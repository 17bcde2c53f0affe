#![doc = include_str!("../README.md")]

pub mod alarm;
mod detector;
pub mod monitor;
pub mod performance;
pub mod profile;
mod random;
pub mod report;
pub mod sequential;
pub mod tests;
pub mod why;

pub use alarm::{AlarmConfig, Alarms};
pub use detector::{ProfileDetector, ProfileDetectorConfig};
pub use monitor::{Alarm, AlarmStream, Monitor, MonitorConfig, Severity};
pub use performance::{LateAccuracy, LateAccuracyConfig};
pub use profile::{Profile, ProfileOptions};
pub use report::Report;

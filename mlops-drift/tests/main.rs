//! What the crate promises, against other people's numbers, by enumeration and by simulation.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "main/alarms.rs"]
mod alarms;
#[path = "main/answers.rs"]
mod answers;
#[path = "main/calibration.rs"]
mod calibration;
#[path = "main/conformance.rs"]
mod conformance;
#[path = "main/defects.rs"]
mod defects;
#[path = "main/detector.rs"]
mod detector;
#[path = "main/distances.rs"]
mod distances;
#[path = "main/divergences.rs"]
mod divergences;
#[path = "main/laws.rs"]
mod laws;
#[path = "main/monitor.rs"]
mod monitor;
#[path = "../examples/simulate/null.rs"]
mod null;
#[path = "main/oracles.rs"]
mod oracles;
#[path = "main/performance.rs"]
mod performance;
#[path = "main/profile.rs"]
mod profile;
#[path = "main/random.rs"]
mod random;
#[path = "main/report.rs"]
mod report;
#[path = "main/report_forms.rs"]
mod report_forms;
#[path = "main/segments.rs"]
mod segments;
#[path = "main/sequential.rs"]
mod sequential;
#[path = "main/shards.rs"]
mod shards;
#[path = "main/simulation.rs"]
mod simulation;
#[path = "main/tensors.rs"]
mod tensors;
#[path = "main/two_samples.rs"]
mod two_samples;
#[path = "main/why.rs"]
mod why;

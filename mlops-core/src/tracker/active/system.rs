//! What the machine does while a run works: processor and memory, under MLflow's names.

use super::buffer::Buffer;
use crate::{Clock, Error, tracker::Metric};
use std::time::Duration;
use sysinfo::{MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::time::Instant;

const MEBIBYTE: f64 = 1_048_576.0;

/// Samples of the machine, taken by the run's own thread.
pub(super) struct SystemMetrics {
    system: System,
    process: Option<Pid>,
    every: Duration,
    pub(super) due: Instant,
    taken: i64,
}

impl SystemMetrics {
    /// The first sample is due after one interval: the use of a processor is a mean over time.
    pub(super) fn new(every: Duration) -> Self {
        let mut system = System::new();
        system.refresh_cpu_usage();
        let every = every.max(sysinfo::MINIMUM_CPU_UPDATE_INTERVAL);
        let process = sysinfo::get_current_pid().ok();
        Self { system, process, every, due: Instant::now() + every, taken: 0 }
    }

    /// Puts a sample into the buffer, if one is due; never waits for a place.
    pub(super) fn sample_if_due(
        &mut self,
        buffer: &Buffer,
        clock: &dyn Clock,
    ) -> Result<(), Error> {
        if Instant::now() < self.due {
            return Ok(());
        }
        self.due = Instant::now() + self.every;
        let (now, step) = (clock.now(), self.taken);
        self.taken += 1;
        for (name, value) in self.sample() {
            buffer.try_push(Metric::new(name, value, step, now))?;
        }
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 8 PiB of memory")]
    fn sample(&mut self) -> Vec<(&'static str, f64)> {
        let Self { system, process, .. } = self;
        system.refresh_cpu_usage();
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let (used, total) = (system.used_memory() as f64, system.total_memory() as f64);
        let mut sample = vec![
            ("system/cpu_utilization_percentage", f64::from(system.global_cpu_usage())),
            ("system/system_memory_usage_megabytes", used / MEBIBYTE),
        ];
        if total > 0.0 {
            sample.push(("system/system_memory_usage_percentage", 100.0 * used / total));
        }
        if let Some(pid) = *process {
            let wanted = ProcessRefreshKind::nothing().with_memory();
            system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, wanted);
            let own = system.process(pid).map(|process| process.memory() as f64 / MEBIBYTE);
            sample.extend(own.map(|own| ("system/process_memory_usage_megabytes", own)));
        }
        sample
    }
}

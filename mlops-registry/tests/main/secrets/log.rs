//! What is said through `tracing`, in whichever thread, at every level.

use std::{
    fmt::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
};

static LOG: Mutex<String> = Mutex::new(String::new());

fn log() -> MutexGuard<'static, String> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Listens to the whole process from now on. The record's own threads are none of the test's.
pub(super) fn listen() {
    // Only the first of several tests in one process can, and does it for all.
    let _ = tracing::subscriber::set_global_default(Listener);
}

/// What was said since it was read last.
pub(super) fn read() -> String {
    std::mem::take(&mut log())
}

struct Listener;
struct Writer;

impl tracing::field::Visit for Writer {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        write!(log(), "{}={value:?} ", field.name()).unwrap();
    }
}

impl tracing::Subscriber for Listener {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        span.record(&mut Writer);
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut Writer);
    }
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Writer);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

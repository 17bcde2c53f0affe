//! One alarm an episode, and another if it gets worse.

use super::Severity;
use mlops_core::Timestamp;

/// Whether a column's change has begun, and what was told of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Episode {
    open: Option<Open>,
    /// The window with which the last one ended; rows up to then are of the past.
    fresh: u64,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    since: Timestamp,
    /// The window in which it was noticed.
    window: u64,
    /// The worst that was told; nothing while alarms are held back.
    told: Option<Severity>,
}

/// What is to be told.
pub(super) struct Told {
    pub(super) since: Timestamp,
    /// Whether something less bad was told before.
    pub(super) again: bool,
}

impl Episode {
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The window in which the episode was noticed, if one goes on.
    pub(super) fn noticed(&self) -> Option<u64> {
        self.open.map(|open| open.window)
    }

    /// Windows up to this one are of an episode that has ended.
    pub(super) fn fresh(&self) -> u64 {
        self.fresh
    }

    /// A change beyond the margin: begins an episode or goes on with it.
    pub(super) fn continue_with(
        &mut self,
        (since, window): (Timestamp, u64),
        severity: Severity,
        silent: bool,
    ) -> Option<Told> {
        let open = self.open.get_or_insert(Open { since, window, told: None });
        if silent || open.told.is_some_and(|told| told >= severity) {
            return None;
        }
        let again = open.told.replace(severity).is_some();
        Some(Told { since: open.since, again })
    }

    /// The same, of a column whose windows are from now on counted otherwise: so many have ended.
    pub(super) fn counted_otherwise(self, count: u64) -> Self {
        let open = self.open.map(|open| Open { window: count, ..open });
        Self { open, fresh: if self.fresh > 0 { count } else { 0 } }
    }

    /// The change is over with this window.
    pub(super) fn end(&mut self, window: u64) {
        *self = Self { open: None, fresh: window };
    }
}

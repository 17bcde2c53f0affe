//! Being told to end, by ctrl-c or SIGTERM, between two rows as well as between two looks.

use crate::{Error, Result, server::asked_to_end};
use std::{
    cell::Cell,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

/// Whether the process was told to end: it hears from when it is made.
#[derive(Debug)]
pub(super) struct Ending {
    told: Receiver<()>,
    is_told: Cell<bool>,
}

impl Ending {
    pub(super) fn listen() -> Result<Self> {
        let failed = |source| Error::io("listening for signals", source);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed)?;
        let asked = {
            let _inside = runtime.enter();
            asked_to_end()?
        };
        let (tell, told) = channel();
        let wait = move || {
            runtime.block_on(asked);
            // Whoever listened may have ended by itself.
            let _ = tell.send(());
        };
        thread::Builder::new().name("mlops-signals".to_owned()).spawn(wait).map_err(failed)?;
        Ok(Self { told, is_told: Cell::new(false) })
    }

    /// Whether it has been told so far.
    pub(super) fn is_told(&self) -> bool {
        self.wait(Duration::ZERO)
    }

    /// Waits so long, or until it is told; whether it is.
    pub(super) fn wait(&self, most: Duration) -> bool {
        if self.is_told.get() {
            return true;
        }
        match self.told.recv_timeout(most) {
            Ok(()) => self.is_told.set(true),
            Err(RecvTimeoutError::Timeout) => {}
            // Nobody listens any more: it can only be killed, and does not look without a pause.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(most),
        }
        self.is_told.get()
    }
}

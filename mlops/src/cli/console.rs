//! What the program says: results on stdout, everything about the work on stderr.

use crate::{Error, Result};
use serde::Serialize;
use std::{
    fmt,
    io::{self, IsTerminal, Write},
    sync::Mutex,
    time::{Duration, Instant},
};

/// Foreign text as one line that shows its control characters: nobody forges a line of ours, or moves
/// the cursor.
pub(super) fn visible(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => line.push(c),
            _ => line.extend(c.escape_debug()),
        }
    }
    line
}

/// The two streams, and whether results are wanted as JSON. Nothing is ever coloured.
#[derive(Debug)]
pub(super) struct Console {
    json: bool,
    progress: Mutex<Option<Instant>>,
}

#[expect(clippy::unused_self, reason = "what may speak holds the console")]
impl Console {
    pub(super) fn new(json: bool) -> Self {
        Self { json, progress: Mutex::new(None) }
    }

    /// Whether results are wanted as JSON.
    pub(super) fn json(&self) -> bool {
        self.json
    }

    /// A line of the result.
    pub(super) fn say(&self, line: impl fmt::Display) -> Result<()> {
        self.write(format!("{line}\n").as_bytes())
    }

    /// The result as one JSON object on one line.
    pub(super) fn say_json(&self, value: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_vec(value)
            .map_err(|cause| Error::internal("the result is no JSON").with_source(cause))?;
        text.push(b'\n');
        self.write(&text)
    }

    /// Bytes of the result, at once: whoever reads them may wait for each line.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<()> {
        let mut out = io::stdout().lock();
        let written = out.write_all(bytes).and_then(|()| out.flush());
        written.map_err(|source| Error::io("writing to stdout", source))
    }

    /// A line about the work, not of the result.
    pub(super) fn note(&self, line: impl fmt::Display) {
        // Nobody may be reading; the work goes on.
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// How far the work is, on a terminal, at most twice a second and not in its first second.
    pub(super) fn progress(&self, line: impl fmt::Display) {
        if !io::stderr().is_terminal() {
            return;
        }
        let now = Instant::now();
        let mut last = self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match *last {
            None => *last = Some(now + Duration::from_millis(500)),
            Some(said) if now.saturating_duration_since(said) < Duration::from_millis(500) => {}
            Some(_) => {
                *last = Some(now);
                self.note(line);
            }
        }
    }

    /// Why the command ends without a result, with every cause.
    pub(super) fn failed(&self, error: &Error) {
        if self.json {
            let object = serde_json::json!({
                "error": error.to_string(),
                "kind": format!("{:?}", error.kind()),
            });
            self.note(object);
        } else {
            self.note(format_args!("error: {error}"));
            let mut source = std::error::Error::source(error);
            while let Some(cause) = source {
                self.note(format_args!("  caused by: {cause}"));
                source = cause.source();
            }
        }
    }
}

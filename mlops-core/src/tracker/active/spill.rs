//! Metrics that found no place in the buffer, on this machine's disk until they can be written.

use crate::{Error, Result, RunId, Timestamp, tracker::Metric};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A file of one line a metric; empty again once all of them are written.
#[derive(Debug)]
pub(super) struct Spill {
    path: PathBuf,
    most: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// Bytes of lines that are written to the tracker, and of all lines.
    done: u64,
    length: u64,
}

/// Name, bits of the value, step, microseconds since the epoch: JSON has no NaN.
type Line = (String, u64, i64, i64);

impl Spill {
    /// A new file in a folder, which is created if it is not there.
    pub(super) fn create(folder: &Path, run: RunId, most: u64) -> Result<Self> {
        let path = folder.join(format!("{run}.metrics"));
        let open = || {
            fs::create_dir_all(folder)?;
            // What an earlier process of the same run left is ours to write.
            let mut file = File::options().create(true).append(true).read(true).open(&path)?;
            let mut length = file.metadata()?.len();
            if length > 0 {
                // A line that was cut off must not take the next one with it.
                file.write_all(b"\n")?;
                length += 1;
            }
            Ok((file, length))
        };
        let (file, length) = open().map_err(|source| Error::io(path.display(), source))?;
        Ok(Self { path, most, state: Mutex::new(State { file, done: 0, length }) })
    }

    /// Adds a metric; false if the file is full.
    pub(super) fn push(&self, metric: &Metric) -> Result<bool> {
        let Metric { name, point } = metric;
        let (bits, micros) = (point.value.to_bits(), point.time.unix_micros());
        let mut line = serde_json::to_vec(&(name.as_ref(), bits, point.step, micros))
            .map_err(|cause| Error::internal("a metric is no JSON").with_source(cause))?;
        line.push(b'\n');
        let mut state = self.state();
        let length = state.length.saturating_add(line.len() as u64);
        if length > self.most {
            return Ok(false);
        }
        if let Err(source) = state.file.write_all(&line) {
            let _ = state.file.set_len(state.length);
            return Err(self.failed(source));
        }
        state.length = length;
        Ok(true)
    }

    /// The first metrics, which stay there, and how many bytes they take. A line that is cut off,
    /// because its process was killed, is passed over.
    pub(super) fn first(&self, count: usize) -> Result<(Vec<Metric>, u64)> {
        let mut state = self.state();
        if state.done >= state.length {
            return Ok((Vec::new(), 0));
        }
        let from = SeekFrom::Start(state.done);
        state.file.seek(from).map_err(|source| self.failed(source))?;
        let (mut lines, mut metrics, mut bytes) = (BufReader::new(&state.file), Vec::new(), 0);
        let mut line = Vec::new();
        while metrics.len() < count {
            line.clear();
            let read = lines.read_until(b'\n', &mut line).map_err(|source| self.failed(source))?;
            if read == 0 {
                break;
            }
            bytes += read as u64;
            if let Ok((name, bits, step, micros)) = serde_json::from_slice::<Line>(&line) {
                let time = Timestamp::from_unix_micros(micros);
                metrics.push(Metric::new(name, f64::from_bits(bits), step, time));
            }
        }
        Ok((metrics, bytes))
    }

    /// So many bytes of the first metrics are written, or lost.
    pub(super) fn remove(&self, bytes: u64) -> Result<()> {
        let mut state = self.state();
        state.done = state.done.saturating_add(bytes);
        if state.done >= state.length {
            state.file.set_len(0).map_err(|source| self.failed(source))?;
            (state.done, state.length) = (0, 0);
        }
        Ok(())
    }

    fn failed(&self, source: std::io::Error) -> Error {
        Error::io(self.path.display(), source)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a panic elsewhere left is still a file.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        let state = self.state();
        if state.done >= state.length {
            // An empty file that stays does no harm.
            let _ = fs::remove_file(&self.path);
        }
    }
}

//! A file that grows by whole frames: what a segment is while it is being written.
//!
//! Eight bytes say what it is, then frames follow: the payload's length (8 bytes, little-endian),
//! the first 16 bytes of the SHA-256 of length and payload, the payload. Whatever a power cut
//! leaves behind the last whole frame (nothing, zeros, half a frame) fails its digest.

use crate::{Error, Result, digest::Hasher, disk};
use std::{
    fs::File,
    io::{BufReader, Read, Write},
    path::{Path, PathBuf},
};

/// The last two digits are the version of this form.
const MAGIC: &[u8; 8] = b"MLOPSJ01";
const HEAD: usize = 24;

/// A journal that is being written.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Creates a file that must not be there; its name is on the disk when this returns.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let failed = |source| Error::io(path.display(), source);
        let mut file = File::create_new(path).map_err(failed)?;
        file.write_all(MAGIC).and_then(|()| file.sync_all()).map_err(failed)?;
        disk::sync_dir(path.parent().unwrap_or(Path::new(".")))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Adds a frame, which is on the disk when this returns. After an error the end of the file is
    /// in doubt: nothing may be added any more.
    pub(super) fn append(&mut self, payload: &[u8]) -> Result<()> {
        let length = (payload.len() as u64).to_le_bytes();
        let mut frame = Vec::with_capacity(HEAD + payload.len());
        frame.extend_from_slice(&length);
        frame.extend_from_slice(&check(length, payload));
        frame.extend_from_slice(payload);
        let written = self.file.write_all(&frame).and_then(|()| self.file.sync_data());
        written.map_err(|source| Error::io(self.path.display(), source))
    }
}

/// The whole frames of a journal, from its beginning.
#[derive(Debug)]
pub(super) struct Frames {
    reader: BufReader<File>,
    path: PathBuf,
    /// Bytes that are not yet read.
    left: u64,
    /// Bytes behind the last whole frame, once the end is reached.
    pub(super) dropped: u64,
}

impl Frames {
    /// `Unsupported` if it is a journal of a later version, `Corrupt` if it is none.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let failed = |source| Error::io(path.display(), source);
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut reader = BufReader::new(file);
        let mut magic = Vec::with_capacity(MAGIC.len());
        (&mut reader).take(MAGIC.len() as u64).read_to_end(&mut magic).map_err(failed)?;
        let mut frames = Self { reader, path: path.to_owned(), left: 0, dropped: 0 };
        if magic == MAGIC {
            frames.left = length.saturating_sub(MAGIC.len() as u64);
        } else if magic.len() < MAGIC.len() || magic.iter().all(|&byte| byte == 0) {
            // The machine stopped while the file was being created.
            frames.dropped = length;
        } else if magic[..6] == MAGIC[..6] {
            let name = path.display();
            return Err(Error::unsupported(format!("{name}: a journal of a later version")));
        } else {
            return Err(Error::corrupt(format!("{}: not a journal", path.display())));
        }
        Ok(frames)
    }

    fn read(&mut self, length: u64) -> Result<Option<Vec<u8>>> {
        let Some(left) = self.left.checked_sub(length) else { return Ok(None) };
        let mut bytes = Vec::new();
        let read = (&mut self.reader).take(length).read_to_end(&mut bytes);
        read.map_err(|source| Error::io(self.path.display(), source))?;
        self.left = left;
        Ok((bytes.len() as u64 == length).then_some(bytes))
    }

    fn frame(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(head) = self.read(HEAD as u64)? else { return Ok(None) };
        let mut length = [0; 8];
        length.copy_from_slice(&head[..8]);
        let payload = self.read(u64::from_le_bytes(length))?;
        Ok(payload.filter(|payload| head[8..] == check(length, payload)))
    }
}

impl Iterator for Frames {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let before = self.left;
        let frame = self.frame().transpose();
        if frame.is_none() && before > 0 {
            (self.dropped, self.left) = (before, 0);
        }
        frame
    }
}

fn check(length: [u8; 8], payload: &[u8]) -> [u8; 16] {
    let mut hasher = Hasher::default();
    hasher.update(length);
    hasher.update(payload);
    let mut short = [0; 16];
    short.copy_from_slice(&hasher.finish().as_bytes()[..16]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(path: &Path) -> (Vec<Vec<u8>>, u64) {
        let mut frames = Frames::open(path).unwrap();
        let whole = frames.by_ref().map(Result::unwrap).collect();
        (whole, frames.dropped)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Whatever the end of the file is cut to or overwritten with, whole frames before it stay.
        #[test]
        fn a_torn_end_costs_only_itself(
            sizes in proptest::collection::vec(0_usize..50, 1..6),
            cut in 0.0..=1.0_f64,
            junk in proptest::collection::vec(any::<u8>(), 0..60),
            zeros: bool,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("j");
            let payloads: Vec<Vec<u8>> =
                sizes.iter().enumerate().map(|(at, &size)| vec![u8::try_from(at).unwrap() + 1; size]).collect();
            let mut journal = Journal::create(&path).unwrap();
            for payload in &payloads {
                journal.append(payload).unwrap();
            }
            prop_assert_eq!(read(&path), (payloads.clone(), 0));

            let whole = std::fs::read(&path).unwrap();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let keep = 8 + ((whole.len() - 8) as f64 * cut) as usize;
            let tail = if zeros { vec![0; junk.len()] } else { junk };
            std::fs::write(&path, [&whole[..keep], &tail].concat()).unwrap();
            let (found, dropped) = read(&path);
            prop_assert_eq!(&found[..], &payloads[..found.len()]);
            let kept: u64 = 8 + found.iter().map(|frame| (HEAD + frame.len()) as u64).sum::<u64>();
            prop_assert_eq!(kept + dropped, (keep + tail.len()) as u64);
            prop_assert!(kept + 24 + 50 > keep as u64, "a whole frame was lost");
        }
    }

    #[test]
    fn what_is_no_journal_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        for (bytes, kind) in [
            (&b"MLOPSJ02"[..], crate::ErrorKind::Unsupported),
            (b"something else", crate::ErrorKind::Corrupt),
        ] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(Frames::open(&path).unwrap_err().kind(), kind);
        }
        std::fs::write(&path, b"MLO").unwrap();
        assert_eq!(read(&path), (vec![], 3));
    }
}

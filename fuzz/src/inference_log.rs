//! Segments of the inference log.

use mlops_core::{Digest, PredictionId, inference_log::LogReader};
use std::{fs, path::Path};

/// The first byte says what the rest is: a journal, what a frame of a journal holds, or a closed
/// segment. With the feature `forged` the last two are given the digests that they would have if we
/// had written them; without it they stand under the name of another segment.
pub fn inference_log(bytes: &[u8]) {
    let Some((form, bytes)) = bytes.split_first() else { return };
    let forged = cfg!(feature = "forged");
    let (name, bytes) = match form % 3 {
        0 => (JOURNAL.to_owned(), bytes.to_vec()),
        _ if !forged => (closed(b"another"), bytes.to_vec()),
        1 => (JOURNAL.to_owned(), journal(bytes)),
        _ => (closed(bytes), bytes.to_vec()),
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    for kind in ["records", "outcomes"] {
        let own = folder.path().join(kind);
        fs::create_dir(&own).and_then(|()| fs::write(own.join(&name), &bytes)).expect("a file");
    }
    read(folder.path());
}

const JOURNAL: &str = "0000000000000001.journal";

/// What stands before the first frame's payload: eight bytes that say what it is, length, digest.
pub(crate) const JOURNAL_HEAD: usize = 32;

/// A journal with one whole frame.
fn journal(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_le_bytes();
    let digest = Digest::of([length.as_slice(), payload].concat());
    [b"MLOPSJ01".as_slice(), &length, &digest.as_bytes()[..16], payload].concat()
}

/// The name of a closed segment that may hold any prediction.
fn closed(bytes: &[u8]) -> String {
    let (low, high) = (u128::MIN, u128::MAX);
    format!("{:016}-{low:032x}-{high:032x}-{}.arrow", 1, Digest::of(bytes).to_hex())
}

fn read(folder: &Path) {
    let reader = LogReader::open(folder).expect("the folders are there");
    if let Ok(segments) = reader.segments() {
        for segment in segments.flatten() {
            let _ = segment.batches.iter().map(|batch| batch.num_rows()).sum::<usize>();
        }
    }
    if let Ok(Some(record)) = reader.find(PredictionId::from_u128(7), 0) {
        let _ = (record.inputs(), record.outputs());
    }
    let _ = reader.outcomes();
}

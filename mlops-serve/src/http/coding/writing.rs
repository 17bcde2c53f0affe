//! An answer's bytes, compressed.

use super::ContentCoding;
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use std::io::{self, Write};

/// The bytes in this coding, or `None` if that would not be fewer.
///
/// Quickly rather than well: who waits for an answer waits for this as well.
pub(in super::super) fn compressed(coding: ContentCoding, bytes: &[u8]) -> Option<Vec<u8>> {
    let written = write(coding, bytes).ok()?;
    (written.len() < bytes.len()).then_some(written)
}

fn write(coding: ContentCoding, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let into = Vec::with_capacity(bytes.len() / 2);
    match coding {
        ContentCoding::Gzip => {
            let mut writer = GzEncoder::new(into, Compression::fast());
            writer.write_all(bytes)?;
            writer.finish()
        }
        ContentCoding::Deflate => {
            let mut writer = ZlibEncoder::new(into, Compression::fast());
            writer.write_all(bytes)?;
            writer.finish()
        }
        #[cfg(feature = "zstd")]
        ContentCoding::Zstd => zstd::bulk::compress(bytes, 1),
    }
}

//! A compressed body, as it comes, into its bytes: never more of them than one body may have.

use super::{super::body::Growing, ContentCoding};
use axum::body::Bytes;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use mlops_core::{Error, Result};
use std::io::{self, Write};

/// Takes a body's chunks and gives what they stand for.
///
/// Compressed bytes are not kept; what they become counts as a body's bytes do. So a body that would
/// become too much is refused after as much of it as made the limit, whatever is still to come.
pub(in super::super) struct Inflater {
    decoder: Decoder,
    coding: ContentCoding,
}

enum Decoder {
    Gzip(Box<MultiGzDecoder<Sink>>),
    Deflate(ZlibDecoder<Sink>),
    #[cfg(feature = "zstd")]
    Zstd(Box<frames::Frames>),
}

impl Inflater {
    /// Fills `held` with at most so many bytes.
    pub(in super::super) fn new(coding: ContentCoding, held: Growing, max: usize) -> Result<Self> {
        let sink = Sink { held, max, refused: None };
        let decoder = match coding {
            ContentCoding::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(sink))),
            ContentCoding::Deflate => Decoder::Deflate(ZlibDecoder::new(sink)),
            #[cfg(feature = "zstd")]
            ContentCoding::Zstd => Decoder::Zstd(Box::new(frames::Frames::new(sink)?)),
        };
        Ok(Self { decoder, coding })
    }

    /// Takes the chunk, or as much of it as makes about `most` bytes of all that were made so far: what
    /// is left of it then is for a thread that may take its time.
    pub(in super::super) fn push(&mut self, chunk: &mut Bytes, most: usize) -> Result<()> {
        while !chunk.is_empty() && self.sink().held.bytes.len() <= most {
            let taken = match &mut self.decoder {
                Decoder::Gzip(decoder) => decoder.write(chunk),
                Decoder::Deflate(decoder) => decoder.write(chunk),
                #[cfg(feature = "zstd")]
                Decoder::Zstd(frames) => frames.write(chunk),
            };
            match taken {
                Ok(0) => return Err(self.broken("goes on after its end")),
                Ok(taken) => drop(chunk.split_to(taken.min(chunk.len()))),
                Err(_) => return Err(self.failed()),
            }
        }
        Ok(())
    }

    /// The whole body, once all chunks were taken.
    pub(in super::super) fn finish(mut self) -> Result<Growing> {
        let ended = match &mut self.decoder {
            Decoder::Gzip(decoder) => decoder.try_finish(),
            Decoder::Deflate(decoder) => decoder.try_finish(),
            #[cfg(feature = "zstd")]
            Decoder::Zstd(frames) => frames.finish(),
        };
        if ended.is_err() {
            return Err(self.failed());
        }
        let empty = self.sink().held.empty();
        Ok(std::mem::replace(&mut self.sink().held, empty))
    }

    fn sink(&mut self) -> &mut Sink {
        match &mut self.decoder {
            Decoder::Gzip(decoder) => decoder.get_mut(),
            Decoder::Deflate(decoder) => decoder.get_mut(),
            #[cfg(feature = "zstd")]
            Decoder::Zstd(frames) => &mut frames.sink,
        }
    }

    /// Why a write failed: the sink's refusal, or bytes that are not what the header says.
    fn failed(&mut self) -> Error {
        match self.sink().refused.take() {
            Some(refused) => refused,
            None => self.broken("is not valid, or is cut off"),
        }
    }

    fn broken(&self, how: &str) -> Error {
        Error::invalid(format!("the body's {} {how}", self.coding.name()))
    }
}

/// Where decoders write to; refuses one byte more than the most.
struct Sink {
    held: Growing,
    max: usize,
    refused: Option<Error>,
}

impl Sink {
    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        if self.held.bytes.len() + bytes.len() > self.max {
            let max = self.max;
            return Err(Error::too_large(format!("the body is longer than {max} bytes")));
        }
        self.held.push(bytes)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.refused.is_none()
            && let Err(error) = self.take(bytes)
        {
            self.refused = Some(error);
        }
        // Also when a decoder that is dropped tries once more to get rid of what it has.
        if self.refused.is_some() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "zstd")]
mod frames {
    use super::Sink;
    use mlops_core::{Error, Result};
    use std::io::{self, Write};
    use zstd::stream::raw::{DParameter, Decoder, Operation};

    /// A frame's window is memory that it names itself; RFC 9659 lets HTTP's have 8 MiB, which is 2²³.
    const WINDOW_LOG: u32 = 23;

    /// Frames of Zstandard, one after the other.
    pub(super) struct Frames {
        pub(super) sink: Sink,
        decoder: Decoder<'static>,
        made: Vec<u8>,
        is_whole: bool,
    }

    impl Frames {
        pub(super) fn new(sink: Sink) -> Result<Self> {
            let made = || {
                let mut decoder = Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG))?;
                Ok(decoder)
            };
            let failed = |cause: io::Error| {
                Error::internal("starting to read zstd failed").with_source(cause)
            };
            let decoder = made().map_err(failed)?;
            Ok(Self { sink, decoder, made: vec![0; 32 << 10], is_whole: false })
        }

        pub(super) fn finish(&self) -> io::Result<()> {
            if self.is_whole { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
        }
    }

    impl Write for Frames {
        /// As much of the input as makes one buffer of output.
        fn write(&mut self, input: &[u8]) -> io::Result<usize> {
            let mut taken = 0;
            loop {
                let status = self.decoder.run_on_buffers(&input[taken..], &mut self.made)?;
                taken += status.bytes_read;
                self.sink.write_all(&self.made[..status.bytes_written])?;
                self.is_whole = status.remaining == 0;
                // Behind a full buffer there may be more, which no further input would bring out; and
                // while there is, no input may be taken.
                let is_full = status.bytes_written == self.made.len() && !self.is_whole;
                let is_stuck = taken == 0 && status.bytes_written == 0;
                if is_stuck || (taken > 0 && (taken < input.len() || !is_full)) {
                    return Ok(taken);
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}

//! Out of the store: every byte is hashed on its way, and what breaks off goes on where it stopped.

use super::{ArtifactStore, blocking, layout};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream, stream::BoxStream};
use mlops_core::{
    Error, Result,
    artifact::{ArtifactRef, ByteStream},
    digest::Hasher,
};
use object_store::{
    GetOptions, GetRange, GetResultPayload, ObjectStore, ObjectStoreExt, path::Path as ObjectPath,
};
use std::{fs::File, io::Read, time::Duration};

/// How much of a file is read at once, and how far a download has to get to count as getting on.
const PIECE: u64 = 1 << 20;
/// How long the first pause is before a download is taken up again; each next one is twice as long.
const PAUSE: Duration = Duration::from_millis(100);

impl ArtifactStore {
    /// The bytes of an artifact; `NotFound` names one that is not there.
    ///
    /// # Behavior
    /// - if the bytes are not the ones that were put, the last item is `Corrupt` and says what was found
    /// - a download from a bucket that breaks off goes on where it stopped, as often as the
    ///   configuration says; the digest is that of the whole
    pub async fn get(&self, artifact: &ArtifactRef) -> Result<ByteStream> {
        Ok(self.told.listen(self.object(artifact).await?))
    }

    async fn object(&self, artifact: &ArtifactRef) -> Result<ByteStream> {
        self.get_at(layout::object(&artifact.digest), *artifact).await
    }

    /// The bytes of an artifact that lies under this name.
    pub(super) async fn get_at(&self, path: ObjectPath, wanted: ArtifactRef) -> Result<ByteStream> {
        let found = self.objects.get(&path).await;
        let found = found.map_err(|cause| self.named.failed(wanted.digest, cause))?;
        let end = found.meta.size;
        Ok(match found.payload {
            GetResultPayload::File(file, _) => Box::pin(verified_file(file, wanted)),
            GetResultPayload::Stream(pieces) => {
                let named = self.named.clone();
                let pieces = Download::new(self.clone(), path, pieces, end).pieces();
                let pieces = pieces.map_err(move |cause| named.failed(wanted.digest, cause));
                Box::pin(verified(Box::pin(pieces), wanted))
            }
        })
    }

    /// Reads an artifact to its end for the sake of its digest.
    pub(crate) async fn verify(&self, artifact: &ArtifactRef) -> Result<()> {
        self.object(artifact).await?.try_for_each(|_| async { Ok(()) }).await
    }
}

/// An object on its way over a network.
struct Download {
    store: ArtifactStore,
    path: ObjectPath,
    pieces: BoxStream<'static, object_store::Result<Bytes>>,
    at: u64,
    /// How many bytes the object has.
    end: u64,
    /// How often in a row it broke off, and where it was when it first did.
    broken: (u32, u64),
}

impl Download {
    fn new(
        store: ArtifactStore,
        path: ObjectPath,
        pieces: BoxStream<'static, object_store::Result<Bytes>>,
        end: u64,
    ) -> Self {
        Self { store, path, pieces, at: 0, end, broken: (0, 0) }
    }

    fn pieces(self) -> impl Stream<Item = object_store::Result<Bytes>> + Send {
        stream::try_unfold(self, async |mut download| {
            Ok(download.next().await?.map(|piece| (piece, download)))
        })
    }

    async fn next(&mut self) -> object_store::Result<Option<Bytes>> {
        loop {
            match self.pieces.next().await {
                Some(Ok(piece)) => {
                    self.at += piece.len() as u64;
                    return Ok(Some(piece));
                }
                None if self.at >= self.end => return Ok(None),
                // Where that is of no use, what follows finds that it is not all.
                None if !self.take_up(None).await? => return Ok(None),
                None => {}
                Some(Err(cause)) => {
                    self.take_up(Some(cause)).await?;
                }
            }
        }
    }

    /// Asks for what is missing, unless that has been of no use for too often; whether it did.
    async fn take_up(&mut self, cause: Option<object_store::Error>) -> object_store::Result<bool> {
        let (mut times, since) = self.broken;
        if self.at >= since + PIECE {
            times = 0;
        }
        let runtime = tokio::runtime::Handle::try_current().is_ok();
        if times + 1 >= self.store.reached.attempts || self.at >= self.end || !runtime {
            return cause.map_or(Ok(false), Err);
        }
        self.broken = (times + 1, if times == 0 { self.at } else { since });
        tokio::time::sleep(PAUSE * 2_u32.pow(times.min(5))).await;
        let options =
            GetOptions { range: Some(GetRange::Offset(self.at)), ..GetOptions::default() };
        let rest = self.store.objects.get_opts(&self.path, options).await?;
        // Another object by now: its digest will tell.
        self.end = rest.meta.size;
        self.pieces = rest.into_stream();
        Ok(true)
    }
}

/// What has been read of an artifact.
struct Reading {
    wanted: ArtifactRef,
    hasher: Hasher,
    size: u64,
}

impl Reading {
    fn new(wanted: ArtifactRef) -> Self {
        Self { wanted, hasher: Hasher::default(), size: 0 }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
    }

    fn finish(self) -> Result<()> {
        let found = ArtifactRef { digest: self.hasher.finish(), size: self.size };
        if found == self.wanted {
            return Ok(());
        }
        let ArtifactRef { digest, size } = self.wanted;
        let of = |size: u64| format!("({size} bytes)");
        Err(Error::corrupt(format!(
            "expected {digest} {}, found {} {}",
            of(size),
            found.digest,
            of(found.size)
        )))
    }
}

/// Reads and hashes a file piece by piece, off the reactor.
fn verified_file(file: File, wanted: ArtifactRef) -> impl Stream<Item = Result<Bytes>> + Send {
    stream::try_unfold((file, Reading::new(wanted)), |(mut file, mut reading)| {
        blocking::run(move || {
            let mut piece = Vec::new();
            file.by_ref().take(PIECE).read_to_end(&mut piece).map_err(|source| {
                Error::io(format!("reading {}", reading.wanted.digest), source)
            })?;
            if piece.is_empty() {
                return reading.finish().map(|()| None);
            }
            reading.add(&piece);
            Ok(Some((Bytes::from(piece), (file, reading))))
        })
    })
}

fn verified(pieces: ByteStream, wanted: ArtifactRef) -> impl Stream<Item = Result<Bytes>> + Send {
    let start = (pieces, Reading::new(wanted));
    stream::try_unfold(start, |(mut pieces, mut reading)| async move {
        match pieces.try_next().await? {
            Some(piece) => {
                reading.add(&piece);
                Ok(Some((piece, (pieces, reading))))
            }
            None => reading.finish().map(|()| None),
        }
    })
}

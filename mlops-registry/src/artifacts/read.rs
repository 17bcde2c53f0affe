//! Out of the store: every byte is hashed on its way.

use super::{ArtifactStore, blocking, failed, layout};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt, stream};
use mlops_core::{
    Error, Result,
    artifact::{ArtifactRef, ByteStream},
    digest::Hasher,
};
use object_store::{GetResultPayload, ObjectStoreExt};
use std::{fs::File, io::Read};

/// How much of a file is read at once.
const PIECE: u64 = 1 << 20;

impl ArtifactStore {
    /// The bytes of an artifact; `NotFound` names one that is not there.
    ///
    /// # Behavior
    /// - if the bytes are not the ones that were put, the last item is `Corrupt` and says what was found
    pub async fn get(&self, artifact: &ArtifactRef) -> Result<ByteStream> {
        let wanted = *artifact;
        let path = layout::object(&wanted.digest);
        let found = self.objects.get(&path).await.map_err(|cause| failed(wanted.digest, cause))?;
        Ok(match found.payload {
            GetResultPayload::File(file, _) => Box::pin(verified_file(file, wanted)),
            GetResultPayload::Stream(pieces) => {
                let pieces = pieces.map_err(move |cause| failed(wanted.digest, cause));
                Box::pin(verified(Box::pin(pieces), wanted))
            }
        })
    }

    /// Reads an artifact to its end for the sake of its digest.
    pub(crate) async fn verify(&self, artifact: &ArtifactRef) -> Result<()> {
        self.get(artifact).await?.try_for_each(|_| async { Ok(()) }).await
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

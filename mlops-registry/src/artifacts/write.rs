//! Into the store: hashed on the way, visible as a whole or not at all.

use super::{ArtifactStore, PART, blocking, failure::Named, layout, told::Told};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use mlops_core::{
    Error, ErrorKind, Result,
    artifact::{ArtifactRef, ByteStream},
    digest::Hasher,
};
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload, path::Path as ObjectPath};
use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

/// The most parts of one object: Amazon's limit, and that of others who speak its protocol.
const PARTS: u64 = 10_000;
/// Pieces of fewer bytes are copied together.
const SMALL: usize = 64 << 10;

impl ArtifactStore {
    /// Stores bytes under their digest. On the disk when it returns.
    ///
    /// # Behavior
    /// - the same bytes again are stored once
    /// - a stream that fails, or a caller who gives up, leaves nothing visible behind
    /// - more than 78 GiB into a bucket are `TooLarge`, since their parts are 8 MiB each; a
    ///   [file](Self::put_dir), whose size is known, may be as large as the bucket allows
    pub async fn put(&self, mut body: ByteStream) -> Result<ArtifactRef> {
        let mut part = Part::default();
        while let Some(bytes) = body.next().await {
            part.push(bytes?);
            if part.size >= PART {
                return self.put_long(part, body).await;
            }
        }
        let hasher = Hasher::default();
        let (digest, part) = blocking::run(move || {
            let (hasher, part) = part.hashed(hasher);
            Ok((hasher.finish(), part))
        })
        .await?;
        let artifact = ArtifactRef { digest, size: part.size as u64 };
        self.put_part(&artifact, part).await?;
        self.told.tell(artifact.size);
        Ok(artifact)
    }

    /// Stores what fits into memory: over what is there, since these are the bytes of that name.
    async fn put_part(&self, artifact: &ArtifactRef, part: Part) -> Result<()> {
        if self.holds(artifact).await? {
            return Ok(());
        }
        let path = layout::object(&artifact.digest);
        let put = self.objects.put(&path, part.into()).await;
        put.map(drop).map_err(|cause| self.named.not_stored(cause))
    }

    /// Stores what does not: its name is known only at its end, so it waits under another.
    async fn put_long(&self, first: Part, body: ByteStream) -> Result<ArtifactRef> {
        let waiting = layout::incoming();
        let mut upload = self.upload(&waiting, self.told.clone()).await?;
        let artifact = match upload.send_all(first, body, PART).await {
            Ok(artifact) => artifact,
            Err(error) => return Err(upload.given_up(error).await),
        };
        if let Err(error) = upload.complete().await {
            // An upload that was to be completed cannot be given up any more, and takes room.
            if let Some(root) = self.root() {
                let staged = layout::staged(root, &waiting);
                let _ = blocking::run(move || Ok(fs::remove_file(staged))).await;
            }
            return Err(error);
        }
        let outcome = match self.holds(&artifact).await {
            Ok(false) => self.name(&waiting, &artifact).await,
            Ok(true) => self.delete_waiting(&waiting).await,
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            // What waits is garbage now; failing to remove it costs space and nothing else.
            let _ = self.objects.delete(&waiting).await;
        }
        outcome.map(|()| artifact)
    }

    /// Gives what waits its name.
    async fn name(&self, waiting: &ObjectPath, artifact: &ArtifactRef) -> Result<()> {
        if artifact.size > self.reached.largest_copy {
            self.send_again(waiting, artifact).await?;
            return self.delete_waiting(waiting).await;
        }
        let path = layout::object(&artifact.digest);
        let renamed = self.objects.rename(waiting, &path).await;
        renamed.map_err(|cause| self.named.not_stored(cause))
    }

    async fn delete_waiting(&self, waiting: &ObjectPath) -> Result<()> {
        self.objects.delete(waiting).await.map_err(|cause| self.named.not_stored(cause))
    }

    /// Copies what is too large for the store to copy by itself, and makes sure of it on the way.
    async fn send_again(&self, waiting: &ObjectPath, artifact: &ArtifactRef) -> Result<()> {
        let body = self.get_at(waiting.clone(), *artifact).await?;
        let mut upload = self.upload(&layout::object(&artifact.digest), Told::default()).await?;
        match upload.send_all(Part::default(), body, part_of(artifact.size)).await {
            Ok(_) => upload.complete().await,
            Err(error) => Err(upload.given_up(error).await),
        }
    }

    async fn upload(&self, path: &ObjectPath, told: Told) -> Result<Upload> {
        let upload = self.objects.put_multipart(path).await;
        let upload = upload.map_err(|cause| self.named.not_stored(cause))?;
        let parts = if self.named.as_bucket().is_some() { PARTS } else { u64::MAX };
        Ok(Upload { inner: Some(upload), size: 0, parts, named: self.named.clone(), told })
    }

    /// Stores a file whose digest is known; `Conflict` if its bytes are others by now.
    pub(super) async fn put_file(&self, path: PathBuf, artifact: &ArtifactRef) -> Result<()> {
        if self.holds(artifact).await? {
            self.told.tell(artifact.size);
            return Ok(());
        }
        let open = path.clone();
        let source = blocking::run(move || Source::open(&open)).await?;
        if self.root().is_none() && artifact.size <= PART as u64 {
            self.put_small_file(source, artifact).await?;
            self.told.tell(artifact.size);
            return Ok(());
        }
        let mut upload = self.upload(&layout::object(&artifact.digest), self.told.clone()).await?;
        match upload.send_file(source, part_of(artifact.size)).await {
            Ok(source) if source.found() == *artifact => upload.complete().await,
            Ok(source) => Err(upload.given_up(source.changed()).await),
            Err(error) => Err(upload.given_up(error).await),
        }
    }

    /// One request instead of three, where each is a way over a network.
    async fn put_small_file(&self, source: Source, artifact: &ArtifactRef) -> Result<()> {
        // One byte more would show that it has grown.
        let (source, part) = blocking::run(move || source.next_part(PART + 1)).await?;
        if source.found() != *artifact {
            return Err(source.changed());
        }
        let put = self.objects.put(&layout::object(&artifact.digest), part.into()).await;
        put.map(drop).map_err(|cause| self.named.not_stored(cause))
    }

    /// Whether these very bytes are there to stay. Bytes on this machine are read to be sure, and a
    /// damaged object does not count, so that putting its bytes again heals it. One that is there is of
    /// use from now on: the collector of garbage leaves it alone.
    async fn holds(&self, artifact: &ArtifactRef) -> Result<bool> {
        let path = layout::object(&artifact.digest);
        match self.objects.head(&path).await {
            Ok(found) if found.size == artifact.size => {}
            Ok(_) | Err(object_store::Error::NotFound { .. }) => return Ok(false),
            Err(cause) => return Err(self.named.failed(artifact.digest, cause)),
        }
        if self.root().is_some() {
            if !self.renew(&artifact.digest).await? {
                return Ok(false);
            }
            match self.verify(artifact).await {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => {
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
            let (own, digest) = (self.clone(), artifact.digest);
            blocking::run(move || own.sync_entry(&digest)).await?;
        }
        Ok(true)
    }
}

/// How large the parts are of an object of this size: 8 MiB, unless it has too many of them.
fn part_of(size: u64) -> usize {
    const MEBI: u64 = 1 << 20;
    let least = size.div_ceil(PARTS).div_ceil(MEBI) * MEBI;
    usize::try_from(least).unwrap_or(usize::MAX).max(PART)
}

/// Some bytes in memory, in the pieces in which they came; small ones put together, since each would hold on
/// to whatever it was cut from.
#[derive(Default)]
struct Part {
    pieces: Vec<Bytes>,
    small: BytesMut,
    size: usize,
}

impl Part {
    fn push(&mut self, piece: Bytes) {
        self.size += piece.len();
        if piece.len() < SMALL {
            self.small.extend_from_slice(&piece);
            if self.small.len() >= SMALL {
                self.gather();
            }
        } else {
            self.gather();
            self.pieces.push(piece);
        }
    }

    fn gather(&mut self) {
        if !self.small.is_empty() {
            self.pieces.push(self.small.split().freeze());
        }
    }

    fn hashed(mut self, mut hasher: Hasher) -> (Hasher, Self) {
        self.gather();
        self.pieces.iter().for_each(|piece| hasher.update(piece));
        (hasher, self)
    }
}

impl From<Part> for PutPayload {
    fn from(mut part: Part) -> Self {
        part.gather();
        part.pieces.into_iter().collect()
    }
}

/// An object in the making.
struct Upload {
    /// Taken when it is complete or given up.
    inner: Option<Box<dyn MultipartUpload>>,
    size: u64,
    /// How many parts it may still have.
    parts: u64,
    named: Named,
    told: Told,
}

impl Upload {
    /// Sends and hashes everything.
    async fn send_all(
        &mut self,
        first: Part,
        mut body: ByteStream,
        size: usize,
    ) -> Result<ArtifactRef> {
        let (mut hasher, mut part) = (Hasher::default(), first);
        loop {
            while part.size < size {
                match body.next().await {
                    Some(bytes) => part.push(bytes?),
                    None => break,
                }
            }
            if part.size == 0 {
                return Ok(ArtifactRef { digest: hasher.finish(), size: self.size });
            }
            (hasher, part) = blocking::run(move || Ok(part.hashed(hasher))).await?;
            self.send(std::mem::take(&mut part)).await?;
        }
    }

    /// Sends a file to its end.
    async fn send_file(&mut self, mut source: Source, size: usize) -> Result<Source> {
        loop {
            let (next, part) = blocking::run(move || source.next_part(size)).await?;
            if part.size == 0 {
                return Ok(next);
            }
            source = next;
            self.send(part).await?;
        }
    }

    async fn send(&mut self, part: Part) -> Result<()> {
        let Some(left) = self.parts.checked_sub(1) else {
            let text = format!("more than {} bytes of unknown size; store it as a file", self.size);
            return Err(Error::too_large(text));
        };
        self.parts = left;
        self.size += part.size as u64;
        let upload = self.inner.as_mut().ok_or_else(ended)?;
        let size = part.size as u64;
        upload.put_part(part.into()).await.map_err(|cause| self.named.not_stored(cause))?;
        self.told.tell(size);
        Ok(())
    }

    async fn complete(mut self) -> Result<()> {
        let upload = self.inner.as_mut().ok_or_else(ended)?;
        match upload.complete().await {
            Ok(_) => {
                self.inner = None;
                Ok(())
            }
            Err(cause) => {
                let error = self.named.not_stored(cause);
                Err(self.given_up(error).await)
            }
        }
    }

    /// Removes what was sent; the error that led here is what the caller learns.
    async fn given_up(mut self, error: Error) -> Error {
        if let Some(upload) = &mut self.inner {
            let _ = upload.abort().await;
        }
        self.inner = None;
        error
    }
}

impl Drop for Upload {
    /// A caller who goes away leaves no parts in a bucket, where nobody would see them.
    fn drop(&mut self) {
        let Some(mut upload) = self.inner.take() else { return };
        let runtime = tokio::runtime::Handle::try_current();
        if let (Some(_), Ok(runtime)) = (self.named.as_bucket(), runtime) {
            runtime.spawn(async move { upload.abort().await });
        }
    }
}

fn ended() -> Error {
    Error::internal("an upload that has ended takes no more parts")
}

/// A file that is read and hashed.
struct Source {
    file: File,
    path: PathBuf,
    hasher: Hasher,
    size: u64,
}

impl Source {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::io(path.display(), source))?;
        Ok(Self { file, path: path.to_owned(), hasher: Hasher::default(), size: 0 })
    }

    fn next_part(mut self, size: usize) -> Result<(Self, Part)> {
        let mut bytes = Vec::new();
        let read = self.file.by_ref().take(size as u64).read_to_end(&mut bytes);
        read.map_err(|source| Error::io(self.path.display(), source))?;
        let mut part = Part::default();
        if !bytes.is_empty() {
            part.push(Bytes::from(bytes));
        }
        self.size += part.size as u64;
        let (hasher, part) = part.hashed(self.hasher);
        self.hasher = hasher;
        Ok((self, part))
    }

    /// What was read so far.
    fn found(&self) -> ArtifactRef {
        ArtifactRef { digest: self.hasher.clone().finish(), size: self.size }
    }

    fn changed(&self) -> Error {
        Error::conflict(format!("{}: changed while it was stored", self.path.display()))
    }
}

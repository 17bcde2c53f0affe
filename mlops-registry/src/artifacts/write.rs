//! Into the store: hashed on the way, visible as a whole or not at all.

use super::{ArtifactStore, PART, blocking, failed, layout};
use bytes::Bytes;
use futures_util::StreamExt;
use mlops_core::{
    Error, ErrorKind, Result,
    artifact::{ArtifactRef, ByteStream},
    digest::Hasher,
};
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

impl ArtifactStore {
    /// Stores bytes under their digest. On the disk when it returns.
    ///
    /// # Behavior
    /// - the same bytes again are stored once
    /// - a stream that fails, or a caller who gives up, leaves nothing visible behind
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
        Ok(artifact)
    }

    /// Stores what fits into memory.
    async fn put_part(&self, artifact: &ArtifactRef, part: Part) -> Result<()> {
        if self.holds(artifact).await? {
            return Ok(());
        }
        let path = layout::object(&artifact.digest);
        let put = self.objects.put(&path, part.into()).await;
        put.map(drop).map_err(|cause| failed(artifact.digest, cause))
    }

    /// Stores what does not: its name is known only at its end, so it waits under another.
    async fn put_long(&self, first: Part, body: ByteStream) -> Result<ArtifactRef> {
        let waiting = layout::incoming();
        let upload = self.objects.put_multipart(&waiting).await.map_err(upload_failed)?;
        let mut upload = Upload::new(upload);
        let artifact = match upload.send_all(first, body).await {
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
        let path = layout::object(&artifact.digest);
        let outcome = match self.holds(&artifact).await {
            Ok(false) => self.objects.rename(&waiting, &path).await.map_err(upload_failed),
            Ok(true) => self.objects.delete(&waiting).await.map_err(upload_failed),
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            // What waits is garbage now; failing to remove it costs space and nothing else.
            let _ = self.objects.delete(&waiting).await;
        }
        outcome.map(|()| artifact)
    }

    /// Stores a file whose digest is known; `Conflict` if its bytes are others by now.
    pub(super) async fn put_file(&self, path: PathBuf, artifact: &ArtifactRef) -> Result<()> {
        if self.holds(artifact).await? {
            return Ok(());
        }
        let open = path.clone();
        let mut source = blocking::run(move || Source::open(&open)).await?;
        let object = layout::object(&artifact.digest);
        let upload = self.objects.put_multipart(&object).await.map_err(upload_failed)?;
        let mut upload = Upload::new(upload);
        loop {
            let (next, part) = match blocking::run(move || source.next_part()).await {
                Ok(read) => read,
                Err(error) => return Err(upload.given_up(error).await),
            };
            source = next;
            if part.size == 0 {
                break;
            }
            if let Err(error) = upload.send(part).await {
                return Err(upload.given_up(error).await);
            }
        }
        let found = source.finish();
        if found != *artifact {
            let changed = format!("{}: changed while it was stored", path.display());
            return Err(upload.given_up(Error::conflict(changed)).await);
        }
        upload.complete().await
    }

    /// Whether these very bytes are there to stay. Bytes on this machine are read to be sure, and a
    /// damaged object does not count, so that putting its bytes again heals it. One that is there is of
    /// use from now on: the collector of garbage leaves it alone.
    async fn holds(&self, artifact: &ArtifactRef) -> Result<bool> {
        let path = layout::object(&artifact.digest);
        match self.objects.head(&path).await {
            Ok(found) if found.size == artifact.size => {}
            Ok(_) | Err(object_store::Error::NotFound { .. }) => return Ok(false),
            Err(cause) => return Err(failed(artifact.digest, cause)),
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

fn upload_failed(cause: object_store::Error) -> Error {
    failed("storing an artifact", cause)
}

/// Some bytes in memory, in the pieces in which they came.
#[derive(Default)]
struct Part {
    pieces: Vec<Bytes>,
    size: usize,
}

impl Part {
    fn push(&mut self, piece: Bytes) {
        self.size += piece.len();
        self.pieces.push(piece);
    }

    fn hashed(self, mut hasher: Hasher) -> (Hasher, Self) {
        self.pieces.iter().for_each(|piece| hasher.update(piece));
        (hasher, self)
    }
}

impl From<Part> for PutPayload {
    fn from(part: Part) -> Self {
        part.pieces.into_iter().collect()
    }
}

/// An object in the making.
struct Upload {
    upload: Box<dyn MultipartUpload>,
    size: u64,
}

impl Upload {
    fn new(upload: Box<dyn MultipartUpload>) -> Self {
        Self { upload, size: 0 }
    }

    /// Sends and hashes everything.
    async fn send_all(&mut self, first: Part, mut body: ByteStream) -> Result<ArtifactRef> {
        let (mut hasher, mut part) = (Hasher::default(), first);
        loop {
            while part.size < PART {
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

    async fn send(&mut self, part: Part) -> Result<()> {
        self.size += part.size as u64;
        self.upload.put_part(part.into()).await.map_err(upload_failed)
    }

    async fn complete(mut self) -> Result<()> {
        self.upload.complete().await.map(drop).map_err(upload_failed)
    }

    /// Removes what was sent; the error that led here is what the caller learns.
    async fn given_up(mut self, error: Error) -> Error {
        let _ = self.upload.abort().await;
        error
    }
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

    fn next_part(mut self) -> Result<(Self, Part)> {
        let mut bytes = Vec::new();
        let read = self.file.by_ref().take(PART as u64).read_to_end(&mut bytes);
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

    fn finish(self) -> ArtifactRef {
        ArtifactRef { digest: self.hasher.finish(), size: self.size }
    }
}

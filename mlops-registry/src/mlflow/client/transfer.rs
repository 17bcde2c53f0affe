//! Bytes to and from the server, hashed on their way.

use super::{RestStore, failure::Failure, http::Session, thread::stopped};
use crate::{
    artifacts::blocking,
    mlflow::wire::extension::{REPR_DIGEST, VERIFIES},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use mlops_core::{
    Error, ErrorKind, Result,
    artifact::{ArtifactRef, ByteStream},
    digest::Hasher,
};
use reqwest::{Body, Method, Response, Url, header};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{sync::mpsc, time::Instant};

/// How many pieces wait for a reader.
const WAITING: usize = 8;
/// How much of a file is read at once.
const PIECE: u64 = 1 << 20;

/// What has gone by.
#[derive(Default)]
struct Passed {
    hasher: Hasher,
    size: u64,
    /// What the source ended with, if that was an error.
    error: Option<Error>,
}

impl Passed {
    fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
    }

    fn artifact(self) -> ArtifactRef {
        ArtifactRef { digest: self.hasher.finish(), size: self.size }
    }
}

/// Stores bytes at an address; gives what they were.
pub(super) async fn put(
    session: &Session,
    url: Url,
    body: ByteStream,
    size: Option<u64>,
) -> Result<ArtifactRef, Failure> {
    let passed = Arc::new(Mutex::new(Passed::default()));
    let seen = Arc::clone(&passed);
    let body = body.map(move |piece| {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        match piece {
            Ok(piece) => {
                seen.add(&piece);
                Ok(piece)
            }
            Err(error) => {
                seen.error = Some(error);
                Err(std::io::Error::other("the source of the bytes failed"))
            }
        }
    });
    let mut request = session.request(Method::PUT, url).body(Body::wrap_stream(body));
    if let Some(size) = size {
        request = request.header(header::CONTENT_LENGTH, size);
    }
    let sent = moving(session, session.sent(request), || {
        passed.lock().unwrap_or_else(PoisonError::into_inner).size
    });
    let sent = sent.await;
    let mut passed = passed.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = passed.error.take() {
        return Err(Failure::never(error));
    }
    sent.map(|_| std::mem::take(&mut *passed).artifact())
}

/// Waits for as long as something moves.
async fn moving<T>(
    session: &Session,
    work: impl Future<Output = Result<T, Failure>>,
    moved: impl Fn() -> u64,
) -> Result<T, Failure> {
    let (mut work, mut last) = (pin!(work), None);
    loop {
        if let Ok(done) = tokio::time::timeout(session.config.timeout, &mut work).await {
            return done;
        }
        let now = Some(moved());
        if last.replace(now) == Some(now) {
            return Err(Failure::never(stood_still(session)));
        }
    }
}

fn stood_still(session: &Session) -> Error {
    let (server, timeout) = (session.server(), session.config.timeout);
    Error::new(ErrorKind::TimedOut, format!("{server}: a transfer stood still for {timeout:?}"))
}

/// Stores a file whose digest is known, again if the way there breaks; `Conflict` if its bytes are others.
pub(super) async fn put_file(
    session: &Session,
    url: Url,
    path: PathBuf,
    artifact: &ArtifactRef,
) -> Result<()> {
    let (start, mut tries) = (Instant::now(), 0);
    loop {
        let body = pieces_of(path.clone());
        let failure = match put(session, url.clone(), body, Some(artifact.size)).await {
            Ok(found) if found == *artifact => return Ok(()),
            Ok(_) => {
                let changed = format!("{}: changed while it was stored", path.display());
                return Err(Error::conflict(changed));
            }
            Err(failure) => failure,
        };
        tries += 1;
        match session.pause(&failure, true, tries, start) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(failure.error),
        }
    }
}

/// A file, piece by piece, read off the reactor.
fn pieces_of(path: PathBuf) -> ByteStream {
    let open = |path: &Path| File::open(path).map_err(|source| Error::io(path.display(), source));
    Box::pin(stream::try_unfold((path, None), move |(path, file)| {
        blocking::run(move || {
            let mut file = file.map_or_else(|| open(&path), Ok)?;
            let mut piece = Vec::new();
            let read = file.by_ref().take(PIECE).read_to_end(&mut piece);
            read.map_err(|source| Error::io(path.display(), source))?;
            Ok((!piece.is_empty()).then(|| (Bytes::from(piece), (path, Some(file)))))
        })
    }))
}

/// Bytes that arrive.
pub(super) struct Incoming {
    response: Response,
    passed: Passed,
    /// What the server says that they are.
    said: Option<String>,
}

impl Incoming {
    /// Asks for the bytes at an address.
    pub(super) async fn open(session: &Session, url: Url) -> Result<Self> {
        let (start, mut tries) = (Instant::now(), 0);
        loop {
            let mut request = session.request(Method::GET, url.clone());
            if session.is_ours() {
                request = request.header(VERIFIES, "repr-digest");
            }
            let sent = moving(session, session.sent(request), || 0).await;
            let failure = match sent {
                Ok(response) => return Ok(Self::new(response)),
                Err(failure) => failure,
            };
            tries += 1;
            match session.pause(&failure, true, tries, start) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(failure.error),
            }
        }
    }

    fn new(response: Response) -> Self {
        let said = response.headers().get(REPR_DIGEST).and_then(|value| value.to_str().ok());
        let said = said.and_then(|text| text.strip_prefix("sha-256=:")?.strip_suffix(':'));
        let said = said.map(str::to_owned);
        Self { response, passed: Passed::default(), said }
    }

    /// The next piece; `None` at the end, `Corrupt` if the bytes are not what the server says.
    pub(super) async fn next(&mut self, session: &Session) -> Result<Option<Bytes>> {
        let piece = tokio::time::timeout(session.config.timeout, self.response.chunk()).await;
        let piece = piece.map_err(|_| stood_still(session))?;
        let piece = piece.map_err(|cause| Failure::transport(session, cause).error)?;
        match &piece {
            Some(piece) => self.passed.add(piece),
            None => self.verified()?,
        }
        Ok(piece)
    }

    fn verified(&mut self) -> Result<()> {
        let Some(said) = &self.said else { return Ok(()) };
        let found = std::mem::take(&mut self.passed).artifact();
        if *said == STANDARD.encode(found.digest.as_bytes()) {
            return Ok(());
        }
        Err(Error::corrupt(format!("the bytes that came have the digest {}", found.digest)))
    }

    /// Lets somebody outside of the client's thread read them.
    pub(super) fn forwarded(mut self, session: Arc<Session>) -> Pieces {
        let (sender, pieces) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            loop {
                let next = self.next(&session).await;
                let over = !matches!(next, Ok(Some(_)));
                // Who has stopped reading is not told.
                if sender.send(next).await.is_err() || over {
                    return;
                }
            }
        });
        Pieces(pieces)
    }
}

/// Bytes on their way to a reader: pieces, then `None`.
pub(super) struct Pieces(mpsc::Receiver<Result<Option<Bytes>>>);

impl Pieces {
    /// As a stream that keeps its client alive.
    pub(super) fn keeping(self, store: RestStore) -> ByteStream {
        Box::pin(stream::try_unfold(Some((self.0, store)), |reading| async move {
            let Some((mut pieces, store)) = reading else { return Ok(None) };
            // Bytes that stop without an end are not all.
            match pieces.recv().await.unwrap_or_else(|| Err(stopped()))? {
                Some(piece) => Ok(Some((piece, Some((pieces, store))))),
                None => Ok(None),
            }
        }))
    }
}

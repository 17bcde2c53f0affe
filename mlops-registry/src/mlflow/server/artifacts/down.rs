//! Files on their way to a client.

use super::kinds::kind;
use crate::{
    SqlStore,
    mlflow::server::{args::Args, ours},
    store::{Owner, Place},
};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Response as Builder, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use mlops_core::{
    Digest, Error, ErrorKind, ModelName, Result, VersionId,
    artifact::{ArtifactPath, ArtifactRef, ByteStream},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::ops::Range;

/// What a name may hold unencoded in a header (RFC 5987, `attr-char`).
const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The file at a place.
pub(super) async fn file(store: &SqlStore, place: Place, headers: &HeaderMap) -> Result<Response> {
    let path = place.path.clone();
    match store.read_place(place.clone()).await {
        Ok((artifact, bytes)) => sent(&path, &artifact, bytes, headers),
        Err(error) if error.kind() == ErrorKind::NotFound && is_folder(store, place).await => {
            let text = format!("Artifact path refers to a directory, not a file: '{path}'");
            Err(Error::invalid(text))
        }
        Err(error) => Err(error),
    }
}

async fn is_folder(store: &SqlStore, place: Place) -> bool {
    store.list_place(place).await.is_ok_and(|found| !found.items.is_empty())
}

/// A file of a registered version.
pub(super) async fn file_of_version(
    store: &SqlStore,
    args: &Args,
    path: ArtifactPath,
    headers: &HeaderMap,
) -> Result<Response> {
    let model = ModelName::new(args.required_text("name")?)?;
    let number = args.int("version")?.and_then(|number| u64::try_from(number).ok());
    let number = number.ok_or_else(|| Error::invalid("Invalid value for parameter 'version'"))?;
    let id = VersionId::new(model, number);
    let (artifact, bytes) = store.read_version_file(&id, &path).await?;
    sent(&path, &artifact, bytes, headers)
}

fn sent(
    path: &ArtifactPath,
    artifact: &ArtifactRef,
    bytes: ByteStream,
    headers: &HeaderMap,
) -> Result<Response> {
    let name = path.as_str().rsplit('/').next().unwrap_or_default();
    let asked = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let (status, range) = match asked.and_then(|asked| part(asked, artifact.size)) {
        None => (StatusCode::OK, 0..artifact.size),
        Some(range) if !range.is_empty() => (StatusCode::PARTIAL_CONTENT, range),
        Some(_) => {
            let none = (header::CONTENT_RANGE, format!("bytes */{}", artifact.size));
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [none]).into_response());
        }
    };
    let digest = content_digest(&artifact.digest);
    let mut answer = Builder::builder()
        .status(status)
        .header(header::CONTENT_TYPE, kind(name))
        .header(header::CONTENT_LENGTH, range.end - range.start)
        .header(header::CONTENT_DISPOSITION, disposition(name)?)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::ETAG, format!("\"{}\"", artifact.digest.to_hex()))
        .header("repr-digest", &digest);
    if status == StatusCode::PARTIAL_CONTENT {
        let shown = format!("bytes {}-{}/{}", range.start, range.end - 1, artifact.size);
        answer = answer.header(header::CONTENT_RANGE, shown);
    } else {
        answer = answer.header("content-digest", &digest);
    }
    // Who verifies by itself learns more from the bytes than from a body that breaks off.
    let trusts = !headers.contains_key(ours::VERIFIES);
    let body = Body::from_stream(verified_part(bytes, range, trusts));
    answer.body(body).map_err(|cause| Error::internal("an answer with a file").with_source(cause))
}

/// `sha-256=:…:` (RFC 9530).
pub(super) fn content_digest(digest: &Digest) -> String {
    format!("sha-256=:{}:", STANDARD.encode(digest.as_bytes()))
}

/// The part of so many bytes that a client asks for; it is empty if there is no such part. Several parts,
/// or none that can be read, are no such question: the whole is the answer.
fn part(asked: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = asked.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first.trim(), last.trim()) {
        ("", last) => size.saturating_sub(last.parse().ok()?)..size,
        (first, "") => first.parse().ok()?..size,
        (first, last) => first.parse().ok()?..last.parse::<u64>().ok()?.saturating_add(1).min(size),
    };
    Some(range)
}

/// The part of a verified stream; its last piece leaves only when the whole has been found right, so
/// that nobody who trusts takes damaged bytes for complete.
fn verified_part(
    bytes: ByteStream,
    range: Range<u64>,
    trusts: bool,
) -> impl Stream<Item = Result<Bytes>> + Send {
    let start = (Some(bytes), 0_u64, None::<Bytes>);
    stream::unfold(start, move |(mut bytes, mut at, mut held)| {
        let range = range.clone();
        async move {
            loop {
                let pieces = bytes.as_mut()?;
                match pieces.next().await {
                    Some(Ok(piece)) => {
                        let wanted = wanted(&piece, at, &range);
                        at += piece.len() as u64;
                        if wanted.is_empty() {
                            continue;
                        }
                        if let Some(ready) = held.replace(wanted) {
                            return Some((Ok(ready), (bytes, at, held)));
                        }
                    }
                    Some(Err(error)) if !trusts && error.kind() == ErrorKind::Corrupt => {
                        return held.take().map(|last| (Ok(last), (None, at, None)));
                    }
                    Some(Err(error)) => {
                        tracing::warn!(%error, "an artifact was not sent to its end");
                        return Some((Err(error), (None, at, None)));
                    }
                    None => return held.take().map(|last| (Ok(last), (None, at, None))),
                }
            }
        }
    })
}

/// What of a piece that begins at a position belongs to the range.
fn wanted(piece: &Bytes, at: u64, range: &Range<u64>) -> Bytes {
    let within = |position: u64| {
        let own = position.saturating_sub(at).min(piece.len() as u64);
        usize::try_from(own).unwrap_or(piece.len())
    };
    piece.slice(within(range.start)..within(range.end))
}

/// Every file is saved and none is shown, so that no page of ours runs what somebody stored.
fn disposition(name: &str) -> Result<HeaderValue> {
    let text = if name.is_ascii() {
        format!("attachment; filename={}", quoted(name))
    } else {
        let plain: String = name.chars().filter_map(plain).collect();
        let plain = if plain.is_empty() { "download" } else { &plain };
        let exact = utf8_percent_encode(name, NAME);
        format!("attachment; filename={}; filename*=UTF-8''{exact}", quoted(plain))
    };
    HeaderValue::from_str(&text).map_err(|_| Error::invalid("Invalid path"))
}

fn quoted(name: &str) -> String {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if !name.is_empty() && name.chars().all(is_token) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The ASCII letter under a letter's accent, if it is one of Western Europe's.
fn plain(c: char) -> Option<char> {
    const ACCENTS: [(&str, char); 14] = [
        ("àáâãäå", 'a'),
        ("ç", 'c'),
        ("èéêë", 'e'),
        ("ìíîï", 'i'),
        ("ñ", 'n'),
        ("òóôõö", 'o'),
        ("ùúûü", 'u'),
        ("ýÿ", 'y'),
        ("ÀÁÂÃÄÅ", 'A'),
        ("Ç", 'C'),
        ("ÈÉÊË", 'E'),
        ("ÌÍÎÏ", 'I'),
        ("ÒÓÔÕÖ", 'O'),
        ("ÙÚÛÜ", 'U'),
    ];
    let under = ACCENTS.iter().find(|(letters, _)| letters.contains(c)).map(|(_, plain)| *plain);
    under.or_else(|| c.is_ascii().then_some(c))
}

/// The place of a file of an owner whom nobody has to look for.
pub(super) fn at(owner: Owner, path: ArtifactPath) -> Place {
    Place { owner, path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read() {
        for (asked, size, range) in [
            ("bytes=2-5", 12, Some(2..6)),
            ("bytes=2-", 12, Some(2..12)),
            ("bytes=-5", 12, Some(7..12)),
            ("bytes=0-99", 12, Some(0..12)),
            ("bytes=12-", 12, Some(12..12)),
            ("bytes=-0", 12, Some(12..12)),
            ("bytes=0-1,3-4", 12, None),
            ("items=0-1", 12, None),
        ] {
            assert_eq!(part(asked, size), range, "{asked}");
        }
    }

    #[test]
    fn names_are_quoted_as_mlflow_does() {
        let shown = |name| disposition(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(shown("MLmodel"), "attachment; filename=MLmodel");
        let wanted = "attachment; filename=\"a b e.csv\"; filename*=UTF-8''a%20b%20%C3%A9.csv";
        assert_eq!(shown("a b é.csv"), wanted);
    }

    #[tokio::test]
    async fn the_last_piece_waits_for_the_end() {
        let pieces = || vec![Ok(Bytes::from_static(b"abc")), Ok(Bytes::from_static(b"def"))];
        let body = || Box::pin(stream::iter(pieces())) as ByteStream;
        let whole: Vec<_> = verified_part(body(), 0..6, true).collect().await;
        assert_eq!(whole.into_iter().map(Result::unwrap).collect::<Vec<_>>().concat(), b"abcdef");
        let part: Vec<_> = verified_part(body(), 2..4, true).collect().await;
        assert_eq!(part.into_iter().map(Result::unwrap).collect::<Vec<_>>().concat(), b"cd");
        let broken = body().chain(stream::iter([Err(Error::corrupt("other bytes"))]));
        let sent: Vec<_> = verified_part(Box::pin(broken), 0..6, true).collect().await;
        assert_eq!(sent.first().unwrap().as_ref().unwrap().as_ref(), b"abc");
        assert!(sent.len() == 2 && sent[1].is_err());
    }
}

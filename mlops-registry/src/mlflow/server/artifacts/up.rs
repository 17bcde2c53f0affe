//! Files on their way from a client.

use super::{MOST_OF_A_PAGE, Params, answered, checked, lists, part};
use crate::{
    SqlStore,
    mlflow::server::{
        Shared,
        args::Args,
        call::{Right, authorized},
    },
    store::Place,
};
use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use mlops_core::{Digest, Error, ErrorKind, Result, artifact::ByteStream};
use std::sync::Arc;

/// `PUT …/mlflow-artifacts/artifacts/PATH`
pub(super) async fn of_proxy(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    params: Params,
    body: Body,
) -> Response {
    let answer = async {
        let store = authorized(&shared, Right::Write, &headers)?;
        let path = checked(&part(params, "path")?)?;
        let body = limited(body, &headers, shared.config.max_artifact_bytes)?;
        let place = store.place(path).await?;
        kept(&store, place, &headers, body).await?;
        Ok([(header::X_CONTENT_TYPE_OPTIONS, "nosniff")].into_response())
    };
    answered(answer.await)
}

/// `POST /ajax-api/2.0/mlflow/upload-artifact?run_uuid=…&path=…`: what MLflow's pages send.
pub(super) async fn of_page(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Body,
) -> Response {
    let answer = async {
        let store = authorized(&shared, Right::Write, &headers)?;
        let args = Args::from_query(&query.unwrap_or_default());
        let asked = |name| {
            let text = args.text(name)?.filter(|text| !text.is_empty());
            text.ok_or_else(|| Error::invalid(format!("Request must specify {name}.")))
        };
        asked("run_uuid")?;
        let path = checked(asked("path")?)?;
        let most = shared.config.max_artifact_bytes.unwrap_or(u64::MAX).min(MOST_OF_A_PAGE);
        let mut body = limited(body, &headers, Some(most))?;
        let first = body.try_next().await?;
        let first = first.ok_or_else(|| Error::invalid("Request must specify data."))?;
        let body = Box::pin(stream::iter([Ok(first)]).chain(body));
        let place = lists::run_place(&store, &args, path).await?;
        kept(&store, place, &headers, body).await?;
        Ok([(header::CONTENT_TYPE, "application/json")].into_response())
    };
    answered(answer.await)
}

async fn kept(store: &SqlStore, place: Place, headers: &HeaderMap, body: ByteStream) -> Result<()> {
    let Place { owner, path } = place;
    crate::store::write_expected(store, owner, path, body, promised(headers)?).await.map(drop)
}

/// The digest that the client says the body has (RFC 9530), if it says SHA-256.
fn promised(headers: &HeaderMap) -> Result<Option<Digest>> {
    for value in headers.get_all("content-digest") {
        let text = value.to_str().unwrap_or_default();
        for (name, digest) in text.split(',').filter_map(|entry| entry.split_once('=')) {
            if name.trim().eq_ignore_ascii_case("sha-256") {
                let encoded =
                    digest.trim().strip_prefix(':').and_then(|text| text.strip_suffix(':'));
                let bytes = encoded.and_then(|text| STANDARD.decode(text).ok());
                let digest = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
                let wrong = || Error::invalid("content-digest: sha-256 is not 32 bytes in base64");
                return digest.map(|bytes| Some(Digest::from_bytes(bytes))).ok_or_else(wrong);
            }
        }
    }
    Ok(None)
}

/// A body as the store takes it; one that is too long is refused by its head, or where it grows too long.
fn limited(body: Body, headers: &HeaderMap, most: Option<u64>) -> Result<ByteStream> {
    let most = most.unwrap_or(u64::MAX);
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > most) {
        return Err(too_large(most));
    }
    let mut seen = 0_u64;
    let pieces = body.into_data_stream().map(move |piece: Result<Bytes, axum::Error>| {
        let piece = piece.map_err(cut_off)?;
        seen = seen.saturating_add(piece.len() as u64);
        if seen > most { Err(too_large(most)) } else { Ok(piece) }
    });
    Ok(Box::pin(pieces))
}

fn too_large(most: u64) -> Error {
    Error::too_large(format!("an artifact of more than {most} bytes"))
}

fn cut_off(cause: axum::Error) -> Error {
    Error::new(ErrorKind::Cancelled, "the body was cut off").with_source(cause)
}

//! How a store is called in messages, and what became of a request to it.

use mlops_core::{Error, ErrorKind};
use std::{fmt, sync::Arc};

/// What messages call a store.
#[derive(Clone, Default)]
pub(super) struct Named {
    /// The bucket and its prefix; none for a store that a host brought or that is a folder.
    bucket: Option<Arc<str>>,
}

impl Named {
    #[cfg(feature = "s3")]
    pub(super) fn bucket(shown: impl fmt::Display) -> Self {
        Self { bucket: Some(shown.to_string().into()) }
    }

    /// What a bucket is called, if it is one.
    pub(super) fn as_bucket(&self) -> Option<&str> {
        self.bucket.as_deref()
    }

    /// The one conversion from an object store's errors.
    pub(super) fn failed(&self, thing: impl fmt::Display, cause: object_store::Error) -> Error {
        let kind = kind(&cause);
        if let Some(bucket) = &self.bucket {
            // What a service answers may repeat what it was sent: a request's signature, a session's token.
            let what = words(kind, bucket);
            let reason = reason(&cause).map(|text| format!(" ({text})")).unwrap_or_default();
            return Error::new(kind, format!("{thing}: {what}{reason}"));
        }
        let what = words(kind, "the artifact store");
        // The store's own text may hold addresses and paths: it stays in the source.
        Error::new(kind, format!("{thing}: {what}")).with_source(cause)
    }

    /// As [`failed`](Self::failed), of what was to be stored: what is not there then is the bucket.
    pub(super) fn not_stored(&self, cause: object_store::Error) -> Error {
        match (&self.bucket, &cause) {
            (Some(bucket), object_store::Error::NotFound { .. }) => {
                Error::unavailable(format!("{bucket}: there is no such bucket"))
            }
            _ => self.failed("storing an artifact", cause),
        }
    }
}

fn kind(cause: &object_store::Error) -> ErrorKind {
    use object_store::Error as E;
    match cause {
        E::NotFound { .. } => ErrorKind::NotFound,
        E::AlreadyExists { .. } => ErrorKind::AlreadyExists,
        E::Precondition { .. } | E::NotModified { .. } => ErrorKind::Conflict,
        E::NotSupported { .. } | E::NotImplemented { .. } => ErrorKind::Unsupported,
        E::PermissionDenied { .. } => ErrorKind::PermissionDenied,
        E::Unauthenticated { .. } => ErrorKind::Unauthenticated,
        E::InvalidPath { .. } => ErrorKind::InvalidInput,
        E::JoinError { .. } => ErrorKind::Cancelled,
        _ => ErrorKind::Unavailable,
    }
}

fn words(kind: ErrorKind, store: &str) -> String {
    match kind {
        ErrorKind::NotFound => format!("not in {store}"),
        ErrorKind::PermissionDenied | ErrorKind::Unauthenticated => {
            format!("{store} refuses access")
        }
        ErrorKind::Cancelled => "the work was given up".to_owned(),
        _ => format!("{store} failed"),
    }
}

/// Why a service over the network failed, in words that can hold no secret: the code of its own error, its
/// status, or what the connection broke of.
fn reason(cause: &object_store::Error) -> Option<String> {
    let text = cause.to_string();
    let between =
        |from: &str, to: char| Some(text.split_once(from)?.1.split_once(to)?.0.to_owned());
    let word = |text: &String| text.len() <= 64 && text.chars().all(char::is_alphanumeric);
    if let Some(code) = between("<Code>", '<').filter(word) {
        return Some(code);
    }
    if let Some(status) = text.split_once("status code: ").and_then(|(_, rest)| rest.get(..3)) {
        return Some(format!("status {status}"));
    }
    if text.contains("redirect") {
        return Some("it sends elsewhere: is it in another region?".to_owned());
    }
    let mut deepest: &dyn std::error::Error = cause;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    let said = deepest.to_string();
    if said.contains("timed out") {
        return Some("it took too long".to_owned());
    }
    // A broken connection is told by the operating system.
    deepest.is::<std::io::Error>().then_some(said)
}

//! One error for the whole family: a kind that says what a caller can do, a message that names the
//! thing, the context it passed through, and its source.

use std::{borrow::Cow, error::Error as StdError, fmt};

/// The result of everything fallible in the family.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in words for a person and a [kind](ErrorKind) for a program.
///
/// Inputs, secrets and stack traces never enter a message: messages cross the wire.
///
/// ```
/// use mlops_core::{Error, ErrorKind};
///
/// let error = Error::not_found("model \"risk\" does not exist").context("loading endpoint \"loans\"");
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert_eq!(error.to_string(), "loading endpoint \"loans\": model \"risk\" does not exist");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    /// Innermost first.
    context: Vec<Cow<'static, str>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The thing named does not exist: create it or name another.
    NotFound,
    /// The name is taken: use what is there or choose another.
    AlreadyExists,
    /// Somebody else changed it first: read again, then decide.
    Conflict,
    /// The request can never succeed as it is: correct it.
    InvalidInput,
    /// Over a stated limit: send less.
    TooLarge,
    /// This build, backend or model cannot do it.
    Unsupported,
    /// Who asks is not known: present credentials.
    Unauthenticated,
    /// Who asks is known and may not.
    PermissionDenied,
    /// Something this depends on is away: try later.
    Unavailable,
    /// Too much is asked at once: slow down, then try again.
    Overloaded,
    /// The deadline passed before the answer was there.
    TimedOut,
    /// The caller, or a shutdown, gave the work up.
    Cancelled,
    /// Stored or received bytes are not what they claim to be.
    Corrupt,
    /// A bug of ours: report it.
    Internal,
}

/// How one kind appears at each edge: a row of the family's only table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorRow {
    /// The kind that this row describes.
    pub kind: ErrorKind,
    /// HTTP status code.
    pub http: u16,
    /// gRPC status code (`google.rpc.Code`).
    pub grpc: i32,
    /// `error_code` of the MLflow REST API.
    pub mlflow: &'static str,
    /// HTTP status that MLflow sends with that code.
    pub mlflow_http: u16,
    /// Exit code of the program (`sysexits.h` where one fits).
    pub exit: u8,
    /// Whether the same request, sent again later, may succeed.
    pub may_retry: bool,
}

impl ErrorKind {
    /// Every kind, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.kind)
    }

    /// This kind's row of the table.
    pub fn row(self) -> &'static ErrorRow {
        &TABLE[self as usize]
    }
}

/// Kind · HTTP · gRPC · MLflow code and status · exit code · may retry.
#[rustfmt::skip]
const TABLE: &[ErrorRow] = {
    use ErrorKind as K;
    const fn row(kind: K, http: u16, grpc: i32, mlflow: (&'static str, u16), exit: u8, may_retry: bool) -> ErrorRow {
        ErrorRow { kind, http, grpc, mlflow: mlflow.0, mlflow_http: mlflow.1, exit, may_retry }
    }
    &[
        row(K::NotFound,         404,  5, ("RESOURCE_DOES_NOT_EXIST", 404),   66, false),
        row(K::AlreadyExists,    409,  6, ("RESOURCE_ALREADY_EXISTS", 400),   73, false),
        row(K::Conflict,         409, 10, ("RESOURCE_CONFLICT", 409),         75, false),
        row(K::InvalidInput,     400,  3, ("INVALID_PARAMETER_VALUE", 400),   65, false),
        row(K::TooLarge,         413,  8, ("BAD_REQUEST", 400),               65, false),
        row(K::Unsupported,      501, 12, ("NOT_IMPLEMENTED", 501),           69, false),
        row(K::Unauthenticated,  401, 16, ("UNAUTHENTICATED", 401),           77, false),
        row(K::PermissionDenied, 403,  7, ("PERMISSION_DENIED", 403),         77, false),
        row(K::Unavailable,      503, 14, ("TEMPORARILY_UNAVAILABLE", 503),   69, true),
        row(K::Overloaded,       429,  8, ("REQUEST_LIMIT_EXCEEDED", 429),    75, true),
        row(K::TimedOut,         504,  4, ("DEADLINE_EXCEEDED", 504),         75, true),
        row(K::Cancelled,        499,  1, ("CANCELLED", 499),                130, true),
        row(K::Corrupt,          500, 15, ("DATA_LOSS", 500),                 74, false),
        row(K::Internal,         500, 13, ("INTERNAL_ERROR", 500),            70, false),
    ]
};

impl Error {
    /// An error of this kind; the message names the thing that it is about.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Self(Box::new(Inner { kind, message, context: Vec::new(), source: None }))
    }

    /// Adds where it happened; the outermost context is shown first.
    #[must_use]
    pub fn context(mut self, context: impl Into<Cow<'static, str>>) -> Self {
        self.0.context.push(context.into());
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same for another caller: kind, message and context; the source, which cannot be copied,
    /// stays with the first.
    #[must_use]
    pub fn copy(&self) -> Self {
        let Inner { kind, message, context, .. } = &*self.0;
        let (kind, message, context) = (*kind, message.clone(), context.clone());
        Self(Box::new(Inner { kind, message, context, source: None }))
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message alone, without context: what the wire carries.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// An operating-system error about the thing named, with the kind that it maps to.
    pub fn io(thing: impl fmt::Display, source: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match source.kind() {
            Io::NotFound => ErrorKind::NotFound,
            Io::AlreadyExists => ErrorKind::AlreadyExists,
            Io::PermissionDenied => ErrorKind::PermissionDenied,
            Io::InvalidData | Io::UnexpectedEof => ErrorKind::Corrupt,
            Io::TimedOut => ErrorKind::TimedOut,
            Io::StorageFull | Io::QuotaExceeded => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        };
        Self::new(kind, format!("{thing}: {source}")).with_source(source)
    }
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident),* $(,)?) => {
        impl Error {
            $($(#[$doc])*
            pub fn $name(message: impl Into<Cow<'static, str>>) -> Self {
                Self::new(ErrorKind::$kind, message)
            })*
        }
    };
}

constructors! {
    /// The thing named does not exist.
    not_found => NotFound,
    /// The name is taken.
    already_exists => AlreadyExists,
    /// Somebody else changed it first.
    conflict => Conflict,
    /// The request can never succeed as it is.
    invalid => InvalidInput,
    /// Over a stated limit.
    too_large => TooLarge,
    /// This build, backend or model cannot do it.
    unsupported => Unsupported,
    /// Something this depends on is away.
    unavailable => Unavailable,
    /// Stored or received bytes are not what they claim to be.
    corrupt => Corrupt,
    /// A bug of ours.
    internal => Internal,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for context in self.0.context.iter().rev() {
            write!(f, "{context}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)?;
        let mut source = self.source();
        while let Some(cause) = source {
            write!(f, "\n  caused by: {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// Context on the way out of a fallible call.
pub trait ResultExt<T> {
    /// Adds context if it failed; the closure runs only then.
    fn context<C: Into<Cow<'static, str>>>(self, context: impl FnOnce() -> C) -> Result<T>;
}

impl<T> ResultExt<T> for Result<T> {
    fn context<C: Into<Cow<'static, str>>>(self, context: impl FnOnce() -> C) -> Self {
        self.map_err(|error| error.context(context()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_row() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.kind as usize, index);
            assert_eq!(row.kind.row().kind, row.kind);
        }
    }

    #[test]
    fn debug_shows_kind_context_and_causes() {
        let io = std::io::Error::new(std::io::ErrorKind::NotFound, "no such file");
        let error = Error::io("reading model.onnx", io).context("loading risk");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(
            format!("{error:?}"),
            "NotFound: loading risk: reading model.onnx: no such file\n  caused by: no such file"
        );
        assert_eq!(error.message(), "reading model.onnx: no such file");
    }

    #[test]
    fn an_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}

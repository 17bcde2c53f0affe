//! What Postgres says when something fails, in our words.

use mlops_core::{Error, ErrorKind};

/// Whether the connection is of no use after this.
pub(super) fn breaks(cause: &sqlx::Error) -> bool {
    match cause.as_database_error() {
        // The server ends, was restarted, or became one that may only be read.
        Some(error) => error.code().is_some_and(|code| {
            code.starts_with("08") || code.starts_with("57P") || code == "25006" || code == "25P03"
        }),
        None => matches!(
            cause,
            sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::WorkerCrashed
        ),
    }
}

/// The one conversion from the database's errors. Its own text may quote a statement: it stays in the source.
pub(super) fn failed(cause: sqlx::Error) -> Error {
    let code = cause.as_database_error().and_then(|error| error.code().map(String::from));
    let (kind, words) = match code.as_deref() {
        Some(code) => of_code(code),
        None => match cause {
            sqlx::Error::Io(_) => (ErrorKind::Unavailable, "its server cannot be reached"),
            sqlx::Error::Tls(_) => (ErrorKind::Unavailable, "its server cannot be trusted"),
            sqlx::Error::Configuration(_) => (ErrorKind::InvalidInput, "its URL"),
            _ if breaks(&cause) => (ErrorKind::Unavailable, "its connection broke"),
            _ => (ErrorKind::Internal, "a statement failed"),
        },
    };
    Error::new(kind, format!("the record: {words}")).with_source(cause)
}

/// The classes are those of the appendix on error codes of its manual.
fn of_code(code: &str) -> (ErrorKind, &'static str) {
    match code {
        "55P03" | "40001" | "40P01" => (ErrorKind::Unavailable, "another process keeps it busy"),
        "57014" => (ErrorKind::Unavailable, "its server cancelled a statement"),
        "53100" => (ErrorKind::Unavailable, "the disk is full"),
        "53300" => (ErrorKind::Unavailable, "its server takes no more connections"),
        "25006" => (ErrorKind::Unavailable, "its server may only be read now"),
        "28000" | "28P01" => (ErrorKind::PermissionDenied, "its server does not let the user in"),
        "42501" => (ErrorKind::PermissionDenied, "the user may not do this in its database"),
        "3D000" => (ErrorKind::NotFound, "its server has no such database"),
        "22021" | "22P05" => {
            (ErrorKind::InvalidInput, "Postgres keeps no text with a NUL character in it")
        }
        "54000" => (ErrorKind::TooLarge, "a name or a key is too long for its index"),
        "XX001" | "XX002" => (ErrorKind::Corrupt, "its database is damaged"),
        _ if code.starts_with("08") || code.starts_with("57P") || code == "25P03" => {
            (ErrorKind::Unavailable, "its connection broke")
        }
        _ if code.starts_with("53") || code.starts_with("58") => {
            (ErrorKind::Unavailable, "its server has no room or its files fail")
        }
        _ => (ErrorKind::Internal, "a statement failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::answered;
    use super::*;
    use std::{future, time::Duration};

    #[test]
    fn a_server_that_says_nothing_is_gone() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let silent = answered(Duration::from_millis(5), future::pending::<sqlx::Result<()>>());
        let cause = runtime.block_on(silent).unwrap_err();
        assert!(breaks(&cause));
        assert_eq!(failed(cause).kind(), ErrorKind::Unavailable);
    }
}

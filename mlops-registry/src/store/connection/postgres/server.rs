//! A server, as a URL names it, and a connection that keeps what it acknowledges.

use super::{Began, Db, failed};
use mlops_core::{Error, ErrorKind, Result};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, Row as _, postgres::PgConnectOptions};
use std::{fmt, str::FromStr, time::Duration};

/// What a URL may say after its `?`. Others are refused, since the driver would log them with their value.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "statement-cache-capacity",
];
/// A transaction that its process has forgotten lets the next one in after so long, at least.
const FORGOTTEN: Duration = Duration::from_mins(1);

/// Where a database is, and as whom to go there. Shown without its password.
#[derive(Clone)]
pub(in crate::store) struct Server {
    options: PgConnectOptions,
}

impl Server {
    /// Takes a URL apart. No error repeats it: a password could be anywhere in a mistyped one.
    pub(in crate::store::connection) fn parse(url: &str) -> Result<Self> {
        let rest = url.strip_prefix("postgresql://").or_else(|| url.strip_prefix("postgres://"));
        let Some(rest) = rest else {
            return Err(invalid("begins with postgresql://"));
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if rest.contains('#') || rest[authority.len()..].contains('@') {
            return Err(invalid(
                "has / ? # and @ in a name or a password written as %2F %3F %23 and %40",
            ));
        }
        let query = rest.split_once('?').map_or("", |(_, query)| query);
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let name = parameter.split('=').next().unwrap_or_default();
            let option = name.starts_with("options[") || name.starts_with("options%5B");
            if !option && !PARAMETERS.contains(&name) {
                return Err(invalid(&format!("has after its ? only {}", PARAMETERS.join(", "))));
            }
        }
        // Its own errors are of the parser, and may quote what it parsed.
        let options = PgConnectOptions::from_str(url);
        let options = options.map_err(|_| invalid("is postgresql://USER@HOST:PORT/DATABASE"))?;
        let options = match options.get_application_name() {
            Some(_) => options,
            None => options.application_name("mlops"),
        };
        Ok(Self { options: options.disable_statement_logging() })
    }

    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// Opens a connection whose commits wait for the disk.
    pub(in crate::store::connection) async fn open(&self, busy_timeout: Duration) -> Result<Db> {
        let opened = tokio::time::timeout(busy_timeout, self.opened(busy_timeout)).await;
        let connection = opened.map_err(|_| {
            let late = format!("{self} did not answer within {busy_timeout:?}");
            Error::new(ErrorKind::Unavailable, late)
        })??;
        Ok(Db {
            server: self.clone(),
            busy_timeout,
            connection,
            ahead: Vec::new(),
            began: Began::No,
            failed: false,
            lost: false,
            broken: false,
        })
    }

    async fn opened(&self, busy_timeout: Duration) -> Result<PgConnection> {
        let named = |cause| failed(cause).context(self.to_string());
        let mut connection = self.options.connect().await.map_err(named)?;
        prepare(&mut connection, busy_timeout).await.map_err(named)?;
        self.check(&mut connection).await?;
        Ok(connection)
    }

    /// What is acknowledged must be on a disk.
    async fn check(&self, connection: &mut PgConnection) -> Result<()> {
        let sql = "select current_setting('fsync'), current_setting('synchronous_commit'),
            coalesce(current_schema()::text, '')";
        let row = sqlx::query(sql).fetch_one(connection).await.map_err(failed)?;
        let setting = |column: usize| row.try_get::<String, _>(column).map_err(failed);
        let unfit = |why: &str| Err(Error::unsupported(format!("{self} {why}")));
        if setting(0)? != "on" {
            return unfit("runs with fsync off: it acknowledges what a power cut takes back");
        }
        if !matches!(setting(1)?.as_str(), "on" | "remote_apply") {
            return unfit("does not wait for the disk when it commits (synchronous_commit)");
        }
        if setting(2)?.is_empty() {
            return unfit("has none of the schemas of the user's search_path");
        }
        Ok(())
    }
}

/// Sets up a session: commits wait for the disk, writers wait for their turn so long, and a process that
/// is gone is noticed.
async fn prepare(connection: &mut PgConnection, busy_timeout: Duration) -> Result<(), sqlx::Error> {
    let (busy, forgotten) = (busy_timeout, busy_timeout.max(FORGOTTEN));
    let sql = format!(
        "select set_config('synchronous_commit', case current_setting('synchronous_commit')
            when 'remote_apply' then 'remote_apply' else 'on' end, false);
         set lock_timeout = {}; set idle_in_transaction_session_timeout = {};
         set tcp_keepalives_idle = 30; set tcp_keepalives_interval = 10; set tcp_keepalives_count = 3;
         set client_min_messages = error",
        busy.as_millis().clamp(1, i32::MAX as u128),
        forgotten.as_millis().min(i32::MAX as u128),
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
}

fn invalid(is: &str) -> Error {
    Error::invalid(format!("a URL of a Postgres database {is}"))
}

/// The URL without the password.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (user, port) = (self.options.get_username(), self.options.get_port());
        let database = self.options.get_database().unwrap_or(user);
        match self.options.get_socket() {
            Some(socket) => {
                let socket = socket.display();
                write!(f, "postgresql://{user}@localhost:{port}/{database}?host={socket}")
            }
            None => write!(f, "postgresql://{user}@{}:{port}/{database}", self.options.get_host()),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

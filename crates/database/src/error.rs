use std::path::PathBuf;

use chrono::{DateTime, Utc};

/// What can go wrong between us and PostgreSQL. No message holds a password.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The address cannot be read as one of PostgreSQL.
    #[error("the database address {address} is not a postgres:// URL")]
    Address {
        /// The address, without its password.
        address: String,
        /// What the parser said.
        #[source]
        source: sqlx::Error,
    },
    /// Nobody answers there, or we are not let in.
    #[error("cannot connect to the database at {address}")]
    Connect {
        /// The address, without its password.
        address: String,
        /// What the driver said.
        #[source]
        source: sqlx::Error,
    },
    /// The server is older than what the queries are written for.
    #[error("PostgreSQL {found} is too old: version {needed} or later is needed")]
    VersionTooOld {
        /// The server's version.
        found: ServerVersion,
        /// The oldest major version that works.
        needed: u32,
    },
    /// A query of this crate's own failed.
    #[error("a query failed")]
    Query(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("cannot bring the database's schema up to date")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The functions of the schema could not be replaced by this program's.
    #[error("cannot bring the database's functions up to date")]
    Functions(#[source] sqlx::Error),
    /// No PostgreSQL programs on this machine.
    #[error(
        "no PostgreSQL programs found (looked in {}): install them with `apt-get install postgresql-15` or \
         `sh infra/bootstrap.sh check`, or set DATABASE_URL to a server, or TALE_POSTGRES_BIN to their directory",
        searched.join(", ")
    )]
    PostgresNotFound {
        /// Where we looked, in order.
        searched: Vec<String>,
    },
    /// There are PostgreSQL programs, but not of a version that can be used.
    #[error(
        "no usable PostgreSQL programs: {} is needed, found {}",
        match wanted { Some(major) => format!("version {major} (the cluster was made by it)"), None => "version 15 or later".to_owned() },
        found.join(", ")
    )]
    PostgresUnusable {
        /// The major version that an existing cluster needs; `None` when any from 15 on would do.
        wanted: Option<u32>,
        /// What was found: directory and version.
        found: Vec<String>,
    },
    /// Another process works in this data directory.
    #[error("the data directory {} is in use by {purpose} (process {pid}, since {since})", path.display())]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// The process that holds it.
        pid: u32,
        /// What that process is doing, for example `tale demo`.
        purpose: String,
        /// When it began.
        since: DateTime<Utc>,
    },
    /// A file or directory could not be made, read or removed.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What we tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// PostgreSQL refuses to run as root and there is nobody else to run it as.
    #[error("PostgreSQL refuses to run as root, and neither the user `postgres` nor `nobody` exists")]
    NoServerUser,
    /// Someone else made a directory where our socket should be.
    #[error("the socket directory {} belongs to user {owner}, not to {expected}: remove it", path.display())]
    SocketDirectoryTaken {
        /// The directory.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Who should.
        expected: u32,
    },
    /// `initdb` failed.
    #[error("cannot make a database cluster in {}; initdb said:\n{log}", path.display())]
    Initialise {
        /// Where the cluster should have been.
        path: PathBuf,
        /// The last lines of its output.
        log: String,
    },
    /// The server ended, or never became ready.
    #[error("the database cluster in {} did not start; its log ends with:\n{log}", path.display())]
    Start {
        /// The cluster's directory.
        path: PathBuf,
        /// The last lines of the server's log.
        log: String,
    },
    /// The server does not end.
    #[error("the database server (process {pid}) of {} does not stop", path.display())]
    Stop {
        /// The cluster's directory.
        path: PathBuf,
        /// The server's process.
        pid: u32,
    },
}

/// A server's version as PostgreSQL counts them: major, then minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerVersion {
    /// 15 in 15.18.
    pub major: u32,
    /// 18 in 15.18.
    pub minor: u32,
}

impl std::fmt::Display for ServerVersion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

/// Turns an I/O error into ours, saying what was tried on which path.
pub(crate) fn file_error(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(std::io::Error) -> DatabaseError {
    let path = path.into();
    move |source| DatabaseError::File { action, path, source }
}

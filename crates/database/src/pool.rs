use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};

use crate::error::ServerVersion;
use crate::{DatabaseError, functions};

/// The oldest major version of PostgreSQL that the queries are written for.
pub const OLDEST_SERVER: u32 = 15;

const CONNECT_AT_MOST: Duration = Duration::from_secs(10);

/// SQLSTATE of a server that is there and takes no connections yet.
const CANNOT_CONNECT_NOW: &str = "57P03";

/// Opens a pool and checks at once that the server answers and is new enough.
///
/// Waiting for a connection, a new or a free one, ends with an error after ten seconds.
pub async fn connect(url: &str, max_connections: u32) -> Result<PgPool, DatabaseError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|source| DatabaseError::Address { address: without_password(url), source })?
        .application_name("tale");
    let refused = |source| DatabaseError::Connect { address: without_password(url), source };
    // One connection outside the pool first: a pool would keep trying a server that refuses at once.
    let first = tokio::time::timeout(CONNECT_AT_MOST, connect_once_started(&options)).await;
    let mut connection = first.map_err(|_| refused(sqlx::Error::PoolTimedOut))?.map_err(refused)?;
    let found = server_version(&mut connection).await?;
    connection.close().await?;
    if found.major < OLDEST_SERVER {
        return Err(DatabaseError::VersionTooOld { found, needed: OLDEST_SERVER });
    }
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(CONNECT_AT_MOST)
        .idle_timeout(Duration::from_secs(300))
        .connect_with(options)
        .await
        .map_err(refused)
}

/// Connects to a server that answers; one that starts or recovers is waited for.
async fn connect_once_started(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    loop {
        match options.connect().await {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(CANNOT_CONNECT_NOW) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            answer => return answer,
        }
    }
}

/// Brings the schema up to date; several processes may call it at once, one of them does the work.
pub async fn migrate(pool: &PgPool) -> Result<(), DatabaseError> {
    let mut migrator = sqlx::migrate!("../../sql/migrations");
    // an older program beside a newer one: migrations expand before they contract, so it still works
    migrator.set_ignore_missing(true);
    migrator.run(pool).await.map_err(DatabaseError::Migrate)?;
    let newest = migrator.iter().map(|migration| migration.version).max().unwrap_or_default();
    let mut connection = pool.acquire().await?;
    functions::apply(&mut connection, newest).await.map_err(DatabaseError::Functions)
}

/// A fingerprint of all migrations and functions, in hexadecimal: two builds with the same one make the same schema.
pub fn migrations_digest() -> String {
    let mut bytes = Vec::new();
    for migration in sqlx::migrate!("../../sql/migrations").iter() {
        bytes.extend_from_slice(&migration.version.to_be_bytes());
        bytes.extend_from_slice(&migration.checksum);
    }
    bytes.extend_from_slice(functions::digest().as_bytes());
    tale_primitives::Digest::of(&bytes).to_string()
}

/// The version of the server behind a connection.
pub async fn server_version(connection: &mut PgConnection) -> Result<ServerVersion, DatabaseError> {
    // Not a checked query file: it must work where there is no schema yet.
    let number: i32 =
        sqlx::query_scalar("select current_setting('server_version_num')::int").fetch_one(connection).await?;
    let number = number.unsigned_abs();
    Ok(ServerVersion { major: number / 10_000, minor: number % 10_000 })
}

/// The address with `***` where a password was, for messages and logs.
pub fn without_password(url: &str) -> String {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let mut shown = match (address.find("://"), address.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => {
            let user = address[scheme + 3..at].split(':').next().unwrap_or_default();
            let hidden = if user.len() < at - scheme - 3 { ":***" } else { "" };
            format!("{}{user}{hidden}{}", &address[..scheme + 3], &address[at..])
        }
        _ => address.to_owned(),
    };
    for (index, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        shown.push(if index == 0 { '?' } else { '&' });
        shown.push_str(if pair.starts_with("password=") { "password=***" } else { pair });
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (address, shown) in [
            ("postgres://ann:p@ss:w0rd@db.example:5433/tale", "postgres://ann:***@db.example:5433/tale"),
            ("postgres://ann@db/tale", "postgres://ann@db/tale"),
            (
                "postgres:///tale?host=%2Ftmp&password=secret&user=x",
                "postgres:///tale?host=%2Ftmp&password=***&user=x",
            ),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(without_password(address), shown);
        }
    }

    #[tokio::test]
    async fn a_refused_connection_does_not_print_the_password() {
        let error = connect("postgres://ann:hunter2@127.0.0.1:1/tale", 1).await.unwrap_err();
        let whole =
            format!("{error} {:?} {:?}", error, std::error::Error::source(&error).map(|s| s.to_string()));
        assert!(!whole.contains("hunter2"), "{whole}");
        assert!(whole.contains("127.0.0.1:1"), "{whole}");
    }
}

//! PostgreSQL: the programs for a cluster of our own, or a server that somebody else runs.

use sqlx::{Connection, PgConnection};
use tale_database::{DatabaseError, OLDEST_SERVER, connect, find_postgres, server_version, without_password};

use super::{Check, PATIENCE, whole};
use crate::arguments::Global;

const NAME: &str = "PostgreSQL";

/// The server of `DATABASE_URL`, else the programs on this machine.
pub(super) async fn check(global: &Global) -> Check {
    match &global.database_url {
        Some(url) => {
            let address = without_password(url);
            match tokio::time::timeout(PATIENCE, server(url)).await {
                Ok(Ok(check)) => check,
                Ok(Err(error)) => Check::fail(NAME, whole(&error), what_to_do(&error)),
                Err(_) => Check::fail(
                    NAME,
                    format!("{address} does not answer within {} s", PATIENCE.as_secs()),
                    "check host and port of DATABASE_URL, and the firewall between",
                ),
            }
        }
        None => programs().await,
    }
}

async fn server(url: &str) -> Result<Check, DatabaseError> {
    let pool = connect(url, 1).await?;
    let mut connection: PgConnection = pool.acquire().await?.detach();
    let version = server_version(&mut connection).await?;
    // not a checked query file: it must work where there is no schema yet
    let may_create: bool = sqlx::query_scalar("select has_database_privilege(current_database(), 'create')")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    pool.close().await;
    let found = format!("server {version} at {}", without_password(url));
    Ok(if may_create {
        Check::ok(NAME, found)
    } else {
        Check::fail(
            NAME,
            format!("{found}, where this user may not create schemas"),
            "as the database's owner: GRANT CREATE ON DATABASE … TO …",
        )
    })
}

fn what_to_do(error: &DatabaseError) -> String {
    match error {
        DatabaseError::Address { .. } => {
            "expected DATABASE_URL=postgres://user:password@host:port/database".to_owned()
        }
        DatabaseError::VersionTooOld { .. } => {
            format!(
                "use a server of version {OLDEST_SERVER} or later, or none: unset DATABASE_URL for an embedded one"
            )
        }
        _ => "start that server, correct DATABASE_URL, or unset it for an embedded one".to_owned(),
    }
}

async fn programs() -> Check {
    // it runs programs to ask for their versions
    let search = tokio::task::spawn_blocking(find_postgres);
    match tokio::time::timeout(PATIENCE, search).await {
        Ok(Ok(Ok(binaries))) => {
            Check::ok(NAME, format!("programs {} in {}", binaries.version(), binaries.directory().display()))
        }
        Ok(Ok(Err(DatabaseError::PostgresNotFound { searched }))) => Check::fail(
            NAME,
            format!("no programs in {}", searched.join(", ")),
            "apt-get install postgresql, or `sh infra/bootstrap.sh`, or set TALE_POSTGRES_BIN or DATABASE_URL",
        ),
        Ok(Ok(Err(error))) => Check::fail(
            NAME,
            whole(&error),
            format!("install PostgreSQL {OLDEST_SERVER} or later, or set DATABASE_URL"),
        ),
        Ok(Err(error)) => Check::fail(NAME, whole(&error), "run it again with -vv"),
        Err(_) => Check::fail(NAME, "its programs do not answer", "try `postgres --version` by hand"),
    }
}

use std::path::Path;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};
use tale_database::{ClusterOptions, DataDirectory, DatabaseError, EmbeddedCluster};

/// The advisory lock that guards the templates; any number that nobody else uses.
const TEMPLATES: i64 = 0x7461_6c65_7465_7374;

/// A PostgreSQL server for tests: a temporary cluster of this process, or one that is there already.
#[derive(Debug)]
pub struct TestServer {
    url: String,
    _cluster: Option<EmbeddedCluster>,
}

impl TestServer {
    /// Starts a temporary, non-durable cluster that ends with this process.
    pub async fn start() -> Result<Self, DatabaseError> {
        // Not $TMPDIR, which may lie where the server's user cannot go.
        let root = Path::new("/tmp");
        let directory = tempfile::Builder::new().prefix("tale-test-").tempdir_in(root).map_err(|source| {
            DatabaseError::File { action: "make a directory in", path: root.into(), source }
        })?;
        // From here on it is the cluster that removes it.
        let directory = DataDirectory::open(directory.keep())?;
        let cluster = ClusterOptions::default()
            .durable(false)
            .temporary(true)
            .max_connections(300)
            .start(&directory)
            .await?;
        Ok(Self { url: cluster.url().to_owned(), _cluster: Some(cluster) })
    }

    /// Uses the server at an address; its user must be allowed to create databases.
    pub fn at(url: String) -> Self {
        Self { url, _cluster: None }
    }

    /// The server's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address of a database on this server.
    pub fn url_of(&self, database: &str) -> String {
        let (address, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let authority = address.find("://").map_or(0, |scheme| scheme + 3);
        let path = address[authority..].find('/').map_or(address.len(), |slash| authority + slash);
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}/{database}{mark}{query}", &address[..path])
    }

    /// Makes a database with the whole schema.
    pub async fn create_database(&self, database: &str) -> Result<(), DatabaseError> {
        let mut connection = self.maintenance().await?;
        let template = format!("tale_template_{}", &tale_database::migrations_digest()[..16]);
        loop {
            // Shared while cloning, exclusive while making or removing: a template never goes under a reader.
            lock(&mut connection, "pg_advisory_lock_shared").await?;
            if template_is_ready(&mut connection, &template).await? {
                execute(&mut connection, format!("create database {database} template {template}")).await?;
                connection.close().await?;
                return Ok(());
            }
            lock(&mut connection, "pg_advisory_unlock_shared").await?;
            self.make_template(&mut connection, &template).await?;
        }
    }

    /// Drops a database, ending its sessions.
    pub async fn drop_database(&self, database: &str) -> Result<(), DatabaseError> {
        let mut connection = self.maintenance().await?;
        execute(&mut connection, format!("drop database if exists {database} with (force)")).await?;
        Ok(connection.close().await?)
    }

    async fn make_template(
        &self,
        connection: &mut PgConnection,
        template: &str,
    ) -> Result<(), DatabaseError> {
        lock(connection, "pg_advisory_lock").await?;
        if !template_is_ready(connection, template).await? {
            remove_leftovers(connection).await?;
            execute(connection, format!("create database {template}")).await?;
            let pool = tale_database::connect(&self.url_of(template), 1).await?;
            tale_database::migrate(&pool).await?;
            pool.close().await;
            // The mark that it is whole; and with nobody let in, it can always be cloned.
            let mark = format!("alter database {template} with is_template true allow_connections false");
            execute(connection, mark).await?;
        }
        lock(connection, "pg_advisory_unlock").await
    }

    async fn maintenance(&self) -> Result<PgConnection, DatabaseError> {
        let address = || tale_database::without_password(&self.url);
        let options = PgConnectOptions::from_str(&self.url)
            .map_err(|source| DatabaseError::Address { address: address(), source })?;
        options
            .database("postgres")
            .disable_statement_logging()
            .connect()
            .await
            .map_err(|source| DatabaseError::Connect { address: address(), source })
    }
}

/// Runs one statement. It is made of fixed text and of names that this file makes or reads from the catalogue.
async fn execute(connection: &mut PgConnection, statement: String) -> Result<(), DatabaseError> {
    connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statement))).await?;
    Ok(())
}

async fn lock(connection: &mut PgConnection, function: &str) -> Result<(), DatabaseError> {
    execute(connection, format!("select {function}({TEMPLATES})")).await
}

async fn template_is_ready(connection: &mut PgConnection, template: &str) -> Result<bool, DatabaseError> {
    let ready =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1 and datistemplate)")
            .bind(template)
            .fetch_one(connection)
            .await?;
    Ok(ready)
}

/// Removes older templates, half-made ones, and databases of test processes that are no more.
async fn remove_leftovers(connection: &mut PgConnection) -> Result<(), DatabaseError> {
    let names: Vec<String> =
        sqlx::query_scalar("select datname::text from pg_database where datname like 'tale\\_te%'")
            .fetch_all(&mut *connection)
            .await?;
    for name in names {
        if name.starts_with("tale_template_") {
            execute(connection, format!("alter database {name} with is_template false")).await?;
        } else if process_of(&name).is_none_or(|pid| Path::new(&format!("/proc/{pid}")).exists()) {
            continue;
        }
        // Without force: one that is in use after all stays.
        let _ = execute(connection, format!("drop database if exists {name}")).await;
    }
    Ok(())
}

/// The process in a test database's name, `tale_test_<process>_<count>_<time>`.
fn process_of(database: &str) -> Option<u32> {
    database.strip_prefix("tale_test_")?.split('_').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_turned_to_another_database() {
        for (server, turned) in [
            ("postgres:///a?host=%2Ftmp&user=x", "postgres:///b?host=%2Ftmp&user=x"),
            ("postgres://u:p@h:5432/a", "postgres://u:p@h:5432/b"),
            ("postgres://h", "postgres://h/b"),
        ] {
            assert_eq!(TestServer::at(server.to_owned()).url_of("b"), turned);
        }
    }

    #[test]
    fn the_process_is_read_from_a_databases_name() {
        assert_eq!(process_of("tale_test_42_0_9"), Some(42));
        assert_eq!(process_of("tale_template_ab"), None);
    }
}

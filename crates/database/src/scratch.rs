use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, PgPool};

use crate::{DatabaseError, migrate, without_password};

/// A database that lasts as long as one command: made on a server that is there, and dropped with everything in it.
#[derive(Debug)]
pub struct ScratchDatabase {
    options: PgConnectOptions,
    address: String,
    name: String,
}

impl ScratchDatabase {
    /// Makes a database with the whole schema; the user needs the right to create databases.
    pub async fn create(server_url: &str, purpose: &str) -> Result<Self, DatabaseError> {
        let address = without_password(server_url);
        let options = PgConnectOptions::from_str(server_url)
            .map_err(|source| DatabaseError::Address { address: address.clone(), source })?
            .application_name("tale")
            .disable_statement_logging();
        let name = format!("tale_{purpose}_{}", std::process::id());
        let scratch = Self { options, address, name };
        scratch.on_server("create database").await?;
        let pool = scratch.connect(2, true).await?;
        migrate(&pool).await?;
        pool.close().await;
        Ok(scratch)
    }

    /// A pool of connections; with `durable` off, commits do not wait for the disk.
    pub async fn connect(&self, max_connections: u32, durable: bool) -> Result<PgPool, DatabaseError> {
        let mut options = self.options.clone().database(&self.name);
        if !durable {
            options = options.options([("synchronous_commit", "off")]);
        }
        PgPoolOptions::new()
            .max_connections(max_connections)
            .connect_with(options)
            .await
            .map_err(|source| DatabaseError::Connect { address: self.address.clone(), source })
    }

    /// Drops the database, ending whatever still uses it.
    pub async fn remove(self) -> Result<(), DatabaseError> {
        self.on_server("drop database if exists").await
    }

    async fn on_server(&self, action: &str) -> Result<(), DatabaseError> {
        let mut connection: PgConnection = self
            .options
            .connect()
            .await
            .map_err(|source| DatabaseError::Connect { address: self.address.clone(), source })?;
        let force = if action.starts_with("drop") { " with (force)" } else { "" };
        // fixed text and a name made above
        let statement = format!("{action} {}{force}", self.name);
        connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statement))).await?;
        Ok(connection.close().await?)
    }
}

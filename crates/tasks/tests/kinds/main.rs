//! Task kinds as a worker runs them: real processes, servers, objects and databases.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod events;
mod http;
mod ledger;
mod plant;
mod secrets;
mod server;
mod shell;
mod sql_parquet;
mod sql_postgres;

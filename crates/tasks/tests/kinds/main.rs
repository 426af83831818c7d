//! Task kinds as a worker runs them: real processes, servers, objects and databases.

mod http;
mod plant;
mod secrets;
mod server;
mod shell;
mod sql_parquet;
mod sql_postgres;

//! Kinds that run SQL.

mod bound;
mod parquet;
mod postgres;
mod statement;

pub use parquet::SqlParquet;
pub use postgres::SqlPostgres;

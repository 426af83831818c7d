//! What can go wrong with a query.

use std::io;

use datafusion::error::DataFusionError;

use crate::place::place_of;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The query is wrong, or it fails on these rows.
    #[error("query{}: {message}", place.map(|(line, column)| format!(", line {line}, column {column}")).unwrap_or_default())]
    Query {
        /// What is wrong.
        message: String,
        /// Line and column, from 1, where the engine knows them.
        place: Option<(u64, u64)>,
    },
    /// It wants to change something.
    #[error("query: it may only read: {message}")]
    ReadOnly {
        /// What it wants to do.
        message: String,
    },
    /// A table cannot be opened.
    #[error("table {table}: {message}")]
    Table {
        /// Its name.
        table: String,
        /// Why not.
        message: String,
    },
    /// It needs more memory, or more room for spilled rows, than it may have.
    #[error("query: it needs more than it may have: {message}")]
    Resources {
        /// What it asked for.
        message: String,
    },
    /// A parameter is no scalar.
    #[error("parameter ${number} is {found}; a parameter is a text, a number, a boolean or null")]
    Parameter {
        /// Its number, from 1.
        number: usize,
        /// What it is.
        found: &'static str,
    },
    /// The rows that are to be returned are too large for the database.
    #[error("the first {rows} rows have more than {bytes_max} bytes as JSON: ask for fewer")]
    ReturnedRows {
        /// How many rows.
        rows: usize,
        /// How many bytes they may have.
        bytes_max: usize,
    },
    /// The object store failed.
    #[error("the object store failed: {0}")]
    Store(String),
    /// A file of this machine failed.
    #[error("a temporary file failed")]
    File(#[source] io::Error),
    /// It was told to stop.
    #[error("the query was stopped")]
    Stopped,
}

impl QueryError {
    /// Whether another attempt may go better.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(_) | Self::File(_))
    }

    /// The engine's error in our words.
    pub(crate) fn of(error: DataFusionError) -> Self {
        let message = || {
            let text = error.strip_backtrace();
            let text = text.strip_prefix("Error during planning: ").unwrap_or(&text);
            text.strip_prefix("Execution error: ").unwrap_or(text).to_owned()
        };
        match error.find_root() {
            DataFusionError::ObjectStore(source) => Self::Store(source.to_string()),
            DataFusionError::IoError(source) => Self::File(io::Error::new(source.kind(), source.to_string())),
            DataFusionError::ResourcesExhausted(message) => Self::Resources { message: message.clone() },
            DataFusionError::SQL(source, _) => {
                let text = source.to_string();
                let text = text.strip_prefix("sql parser error: ").unwrap_or(&text);
                let message = text.split(" at Line: ").next().unwrap_or(text).to_owned();
                Self::Query { message, place: place_of(&error) }
            }
            DataFusionError::Plan(plan) if is_refusal(plan) => Self::ReadOnly { message: plan.clone() },
            _ => Self::Query { message: message(), place: place_of(&error) },
        }
    }
}

/// What the engine says of plans that its options do not allow.
fn is_refusal(message: &str) -> bool {
    ["DDL not supported", "DML not supported", "Statement not supported"]
        .iter()
        .any(|refusal| message.starts_with(refusal))
}

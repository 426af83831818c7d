#![doc = include_str!("../README.md")]

mod access;
mod api;
mod board;
mod body;
mod endpoint;
mod error;
mod measure;
mod problem;
mod routes;
mod tokens;

pub use api::{Api, ApiSettings};
pub use endpoint::{DEFAULT_PORT, Endpoint};
pub use error::ApiError;
pub use tokens::Tokens;

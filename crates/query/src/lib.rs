#![doc = include_str!("../README.md")]

mod engine;
mod error;
mod place;
mod result;

pub use engine::{Query, Table, run};
pub use error::QueryError;
pub use result::{Answer, ResultColumn};

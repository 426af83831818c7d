#![doc = include_str!("../README.md")]

mod metrics;
mod sheet;

pub use metrics::{Counter, Latency, Metrics};
pub use sheet::Sheet;

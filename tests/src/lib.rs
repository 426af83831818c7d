//! System tests: what holds for the whole product, tried on the real binary with real processes.

mod audit;
mod home;

pub use audit::{Audited, audit};
pub use home::{Home, Process, repository};

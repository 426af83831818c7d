//! System tests: what holds for the whole product, tried on the real binary with real processes.

mod audit;
mod fleet;
mod home;
mod server;

pub use audit::{Audited, audit};
pub use fleet::Fleet;
pub use home::{Home, Process, repository};
pub use server::Server;

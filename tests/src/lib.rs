//! System tests: what holds for the whole product, tried on the real binary with real processes.

mod audit;
mod fleet;
mod home;
mod proxy;
mod server;

pub use audit::{Audited, audit};
pub use fleet::Fleet;
pub use home::{Home, Process, repository};
pub use proxy::Proxy;
pub use server::Server;

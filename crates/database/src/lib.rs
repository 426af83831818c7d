#![doc = include_str!("../README.md")]

mod binaries;
mod cluster;
mod directory;
mod error;
mod functions;
mod place;
mod pool;
mod scratch;
mod server;
mod supervisor;
mod transient;

pub use binaries::{PostgresBinaries, find_postgres};
pub use cluster::{ClusterOptions, EmbeddedCluster};
pub use directory::{DataDirectory, DataDirectoryLock, Holder};
pub use error::{DatabaseError, ServerVersion};
pub use pool::{OLDEST_SERVER, connect, migrate, migrations_digest, server_version, without_password};
pub use scratch::ScratchDatabase;
pub use transient::is_transient;

#![doc = include_str!("../README.md")]

mod acknowledge;
mod archive;
mod backlog;
mod context;
mod heartbeat;
mod held;
mod intake;
mod kind;
mod lineage;
mod logs;
mod outcome;
mod pace;
mod redaction;
mod secrets;
mod source;
mod worker;

pub use archive::StoreArchive;
pub use context::{Cancellation, TaskContext};
pub use kind::{Kind, KindRegistry, KindSchema};
pub use outcome::{Completion, Effect, TaskError};
pub use secrets::SecretSources;
pub use worker::{LOG_BYTES_MAX, Worker, WorkerError, WorkerSettings};

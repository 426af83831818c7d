#![doc = include_str!("../README.md")]

mod acknowledge;
mod archive;
mod backlog;
mod cache;
mod content;
mod context;
mod heartbeat;
mod held;
mod intake;
mod kind;
mod lineage;
mod logs;
mod meters;
mod outcome;
mod pace;
mod redaction;
mod secrets;
mod source;
mod traces;
mod weighing;
mod worker;

pub use archive::StoreArchive;
pub use context::{Cancellation, TaskContext};
pub use kind::{Caching, Kind, KindRegistry, KindSchema};
pub use meters::WorkerMeters;
pub use outcome::{Completion, Effect, ErrorClass, TaskError};
pub use secrets::{SecretError, SecretSources};
pub use worker::{LOG_BYTES_MAX, Worker, WorkerError, WorkerSettings};

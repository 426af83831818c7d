#![doc = include_str!("../README.md")]

mod acknowledge;
mod backlog;
mod cache;
mod content;
mod context;
mod heartbeat;
mod held;
mod intake;
mod kind;
mod logs;
mod outcome;
mod pace;
mod redaction;
mod secrets;
mod source;
mod weighing;
mod worker;

pub use context::{Cancellation, TaskContext};
pub use kind::{Caching, Kind, KindRegistry, KindSchema};
pub use outcome::{Completion, Effect, TaskError};
pub use secrets::SecretSources;
pub use worker::{Worker, WorkerError, WorkerSettings};

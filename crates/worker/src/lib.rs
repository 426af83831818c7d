#![doc = include_str!("../README.md")]

mod acknowledge;
mod backlog;
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
mod worker;

pub use context::{Cancellation, TaskContext};
pub use kind::{Kind, KindRegistry, KindSchema};
pub use outcome::{Completion, Effect, ErrorClass, TaskError};
pub use secrets::SecretSources;
pub use worker::{Worker, WorkerError, WorkerSettings};

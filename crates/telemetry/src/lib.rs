#![doc = include_str!("../README.md")]

mod export;
mod logs;
mod metrics;
mod sheet;
mod span;
mod trace_parent;

pub use export::{TraceError, Traces, start_traces};
pub use logs::start_logs;
pub use metrics::{Counter, Latency, Metrics};
pub use sheet::Sheet;
pub use span::{Role, Span, is_tracing};
pub use trace_parent::{TraceParent, TraceParentError};

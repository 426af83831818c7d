#![doc = include_str!("../README.md")]

mod claims;
mod error;
mod expansions;
mod logs;
mod outcomes;
mod pipelines;
mod reports;
mod runs;
mod wake;
mod workers;

pub use claims::{ClaimedTask, Claimer, Lease};
pub use error::QueueError;
pub use expansions::{
    RunContext, SequenceState, await_child, expand_step, fail_expansion, publish_outputs, run_context,
    sequence_state, step_outputs,
};
pub use logs::{LogLine, NewLogLine, append_logs, read_logs};
pub use outcomes::{Failure, Success, complete, fail, release};
pub use pipelines::{Applied, PipelineVersion, apply_pipeline, find_pipeline, find_version, list_pipelines};
pub use reports::{
    AttemptReport, ChildRun, RunFilter, RunProgress, RunReport, RunStanding, RunSummary, StepReport,
    TaskReport, child_runs, list_runs, run_progress, run_report, run_state, run_states,
};
pub use runs::{NewRun, NewStep, NewTask, Parent, Priority, Retry, RunState, Started, start_run};
pub use wake::{Wake, Wakeups, notify_ready};
pub use workers::{
    Heartbeat, NewWorker, Reaped, WorkerReport, beat, deregister_worker, list_workers, promote_due, reap,
    register_worker,
};

/// The pool whose tasks the scheduler runs itself: expansions, sub-runs, outputs.
pub const SCHEDULER_POOL: &str = "@scheduler";

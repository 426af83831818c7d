#![doc = include_str!("../README.md")]

mod claims;
mod control;
mod error;
mod expansions;
mod gauges;
mod logs;
mod outcomes;
mod overview;
mod pipelines;
mod reports;
mod runs;
mod traces;
mod wake;
mod workers;

pub use claims::{ClaimedTask, Claimer, Lease};
pub use control::{
    Again, AuditEntry, Decision, OpenQuestion, Question, answer_knocks, await_approval, decide,
    expire_approvals, open_questions, park_paused, pause_run, read_audit, reconcile_gates, record,
    request_cancellation, resume_run, retry_run, set_pipeline_limit, set_pipeline_paused, set_pool_limit,
    set_pool_paused, sweep_cancelled,
};
pub use error::QueueError;
pub use expansions::{
    RunContext, SequenceState, await_child, expand_step, fail_expansion, publish_outputs, run_context,
    sequence_state, step_outputs,
};
pub use gauges::{Gauges, LimitGauges, PoolGauges, fold_run_tallies, read_gauges};
pub use logs::{LogLine, NewLogLine, append_logs, read_logs};
pub use outcomes::{Completed, Failure, Success, complete, fail, release};
pub use overview::{RunFailure, RunOverview, run_overview};
pub use pipelines::{
    Applied, PipelineVersion, apply_pipeline, find_pipeline, find_version, list_pipelines, list_versions,
};
pub use reports::{
    AttemptReport, Backlog, ChildRun, RunFilter, RunProgress, RunReport, RunStanding, RunSummary, StepReport,
    TaskReport, child_runs, list_runs, read_backlog, run_progress, run_report, run_state, run_states,
};
pub use runs::{
    JoinRule, Limit, NewRun, NewStep, NewTask, Parent, Priority, Rate, Retry, RunState, Started, start_run,
};
pub use traces::{set_trace_parent, trace_parent};
pub use wake::{Wake, Wakeups, notify_ready};
pub use workers::{
    Heartbeat, NewWorker, Reaped, WorkerReport, beat, deregister_worker, fold_tallies, list_workers,
    promote_due, reap, register_worker,
};

/// The pool whose tasks the scheduler runs itself: expansions, sub-runs, outputs.
pub const SCHEDULER_POOL: &str = "@scheduler";

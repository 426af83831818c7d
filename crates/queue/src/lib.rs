#![doc = include_str!("../README.md")]

mod claims;
mod control;
mod deadlines;
mod error;
mod expansions;
mod logs;
mod outcomes;
mod parts;
mod pipelines;
mod reports;
mod runs;
mod wake;
mod workers;

pub use claims::{ClaimedTask, Claimer, Lease};
pub use control::{
    Again, AuditEntry, Decision, OpenQuestion, Question, answer_knocks, await_approval, decide,
    expire_approvals, open_questions, park_paused, pause_run, read_audit, reconcile_gates, record,
    request_cancellation, resume_run, retry_run, set_pipeline_limit, set_pipeline_paused, set_pool_limit,
    set_pool_paused, sweep_cancelled,
};
pub use deadlines::{
    AlertReport, MissedDeadline, NewDeadline, drop_deadline, find_deadline, is_deadline_due, late_runs,
    list_alerts, move_deadline, pass_deadlines, record_hook, set_deadline, stop_overdue,
};
pub use error::QueueError;
pub use expansions::{
    RunContext, SequenceState, await_child, expand_step, fail_expansion, publish_outputs, run_context,
    sequence_state, step_outputs,
};
pub use logs::{LogLine, NewLogLine, append_logs, read_logs};
pub use outcomes::{Completed, Failure, Success, complete, fail, release};
pub use parts::{Part, PartArguments, StoredList, expand_part, parts_inserted, stored_length, stream_items};
pub use pipelines::{
    Applied, PipelineVersion, apply_pipeline, find_pipeline, find_version, list_pipelines, list_versions,
};
pub use reports::{
    AttemptReport, Backlog, ChildRun, RunFilter, RunProgress, RunReport, RunStanding, RunSummary, StepReport,
    TaskReport, child_runs, list_runs, read_backlog, run_progress, run_report, run_state, run_states,
};
pub use runs::{
    JoinRule, Limit, NewRun, NewStep, NewTask, Parent, Patience, Priority, Rate, Retry, RunState, Started,
    start_run,
};
pub use wake::{Wake, Wakeups, notify_ready};
pub use workers::{
    Heartbeat, NewWorker, Reaped, WorkerReport, beat, deregister_worker, fold_tallies, list_workers,
    promote_due, reap, register_worker,
};

/// The pool whose tasks the scheduler runs itself: expansions, sub-runs, outputs.
pub const SCHEDULER_POOL: &str = "@scheduler";

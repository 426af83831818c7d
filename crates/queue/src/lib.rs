#![doc = include_str!("../README.md")]

mod archive;
mod cache;
mod claims;
mod control;
mod deadlines;
mod error;
mod expansions;
mod gauges;
mod log_archive;
mod log_reader;
mod logs;
mod news;
mod outcomes;
mod overview;
mod parts;
mod pipelines;
mod reports;
mod resources;
mod retention;
mod runs;
mod tenants;
mod traces;
mod wake;
mod workers;

pub use archive::{Archive, ArchiveRefusal, Kept, SharedArchive};
pub use cache::{
    CacheDecision, CacheLookup, CachePolicy, CachedResult, KeptResult, NewCachedResult, NewestResult,
    cache_decisions, clear_cached_results, keep_result, list_cached_results, look_up_result,
    note_cache_decision,
};
pub use claims::{ClaimedTask, Claimer, Lease};
pub use control::{
    Again, AuditEntry, Decision, OpenQuestion, Question, answer_knocks, await_approval, break_deadlock,
    decide, expire_approvals, open_questions, park_paused, pause_run, read_audit, reconcile_gates, record,
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
pub use gauges::{Gauges, LimitGauges, PoolGauges, fold_run_tallies, read_gauges};
pub use log_archive::{LoggedAttempt, archive_log, clear_archived_logs, unarchived_logs};
pub use log_reader::{LogFilter, LogReader};
pub use logs::{LOG_LINE_LENGTH_MAX, LogLine, NewLogLine, append_logs};
pub use news::{News, RunNews, forget_run_news, keep_run_news, list_run_news, lock_run_news};
pub use outcomes::{Completed, Failure, Success, complete, fail, release};
pub use overview::{RunFailure, RunOverview, run_overview};
pub use parts::{Part, PartArguments, StoredList, expand_part, parts_inserted, stored_length, stream_items};
pub use pipelines::{
    Applied, PipelineVersion, apply_pipeline, find_pipeline, find_version, list_pipelines, list_versions,
};
pub use reports::{
    AttemptReport, Backlog, ChildRun, RunFilter, RunProgress, RunReport, RunStanding, RunSummary, StepReport,
    TaskReport, child_runs, list_runs, read_backlog, run_progress, run_report, run_state, run_states,
};
pub use resources::{Bytes, Cpu, Nearest, Resources, Unfit, unfit_steps};
pub use retention::{
    ArchivedRun, EVERY_PIPELINE, ExpiredRun, RetentionPolicy, archive_runs, archived_report, drop_archived,
    expired_runs, find_archived_run, list_archived_runs, list_retention, lock_retention, set_retention,
    unlock_retention, unset_retention,
};
pub use runs::{
    JoinRule, Limit, NewRun, NewStep, NewTask, Parent, Patience, Priority, Rate, Retry, RunState, Started,
    start_run,
};
pub use tenants::{Tenant, WEIGHT_MAX, list_tenants, set_tenant_weight};
pub use traces::{set_trace_parent, trace_parent};
pub use wake::{Wake, Wakeups, notify_ready};
pub use workers::{
    Heartbeat, NewWorker, Reaped, WorkerReport, beat, deregister_worker, fold_tallies, list_workers,
    promote_due, reap, register_worker,
};

/// The pool whose tasks the scheduler runs itself: expansions, sub-runs, outputs.
pub const SCHEDULER_POOL: &str = "@scheduler";

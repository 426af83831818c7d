#![doc = include_str!("../README.md")]

mod advance;
mod backfills;
mod deadlines;
mod due;
mod error;
mod fan_out;
mod fires;
mod firing;
mod history;
mod maintenance;
mod meters;
mod pulse;
mod scheduler;
mod schedules;
mod sensing;
mod traces;
mod trigger;
mod triggers;

pub use backfills::{
    BACKFILL_CONCURRENCY_MAX, BACKFILL_FIRES_MAX, BackfillPlan, BackfillReport, PlannedFire, backfill_report,
    backfill_runs, plan_backfill, start_backfill,
};
pub use error::SchedulerError;
pub use fires::{RecordedFire, recorded_fires};
pub use history::{Retained, needed_runs, retain};
pub use meters::SchedulerMeters;
pub use scheduler::{Scheduler, SchedulerSettings};
pub use schedules::{
    ScheduleReport, apply_schedule, find_schedule, list_schedules, notify_schedules, pause_schedule,
    resume_schedule,
};
pub use sensing::{Folders, FoundObject, Watched};
pub use trigger::{Trigger, start, start_traced};
pub use triggers::{TriggerReport, apply_triggers, list_triggers, refuse_trigger_circles};

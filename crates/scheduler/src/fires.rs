//! Fires: each starts one run, in the transaction that records it.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tale_pipeline::ScheduleSpec;
use tale_primitives::RunId;
use tale_queue::{Priority, drop_deadline};
use tale_timetable::Fire;

use crate::{SchedulerError, Trigger, triggers::start_or_say_why};

/// What became of a fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fired {
    /// Its run has started.
    Started(RunId),
    /// It was dealt with before.
    Known,
    /// Its run cannot start, and will not without another version of the pipeline.
    Failed(String),
}

/// A fire that was dealt with.
#[derive(Debug, Clone)]
pub struct RecordedFire {
    /// The instant.
    pub at: DateTime<Utc>,
    /// Its run; nothing where that could not start.
    pub run: Option<RunId>,
    /// Why the run could not start.
    pub error: Option<String>,
}

/// Records a fire and starts its run; call it inside a transaction.
///
/// A run that cannot start is recorded with the fire: only errors that pass come back.
pub(crate) async fn start_fire(
    connection: &mut PgConnection,
    pipeline: &str,
    schedule: &ScheduleSpec,
    fire: Fire,
    backfill: Option<i64>,
) -> Result<Fired, SchedulerError> {
    let run = RunId::generate();
    let logical_date = schedule.logical_date(fire);
    let taken = sqlx::query_file_scalar!(
        "../../sql/schedule/insert_fire.sql",
        pipeline,
        fire.at,
        logical_date.date(),
        run.raw(),
        backfill,
    )
    .fetch_optional(&mut *connection)
    .await?;
    if taken.is_none() {
        return Ok(Fired::Known);
    }
    let trigger = Trigger {
        pipeline: pipeline.to_owned(),
        params: schedule.params.clone(),
        dedup_key: None,
        logical_date,
        fire_time: Some(fire.at),
        priority: Priority::Normal,
        started_by: backfill.map_or_else(|| "schedule".to_owned(), |id| format!("backfill {id}")),
        reason: None,
        uses_cache: true,
    };
    let Err(error) = start_or_say_why(connection, run, trigger).await? else {
        if backfill.is_some() {
            // a day of the past is late by intention
            drop_deadline(connection, run).await?;
        }
        return Ok(Fired::Started(run));
    };
    sqlx::query_file!("../../sql/schedule/fail_fire.sql", pipeline, fire.at, error)
        .execute(connection)
        .await?;
    tracing::warn!(pipeline, fire = %fire.at, error, "the fire's run cannot start");
    Ok(Fired::Failed(error))
}

/// The fires of a time that were dealt with, in order.
pub async fn recorded_fires(
    connection: &mut PgConnection,
    pipeline: &str,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
) -> Result<Vec<RecordedFire>, SchedulerError> {
    let rows = sqlx::query_file!("../../sql/schedule/list_fires.sql", pipeline, first, last)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| RecordedFire { at: row.fire_at, run: row.run_id.map(RunId::from_raw), error: row.error })
        .collect())
}

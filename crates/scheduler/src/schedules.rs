//! The schedules of applied pipelines: one row each, which `apply` keeps in step with the pipeline's version.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use tale_pipeline::{PipelineSpec, ScheduleSpec};

use crate::{
    SchedulerError,
    due::decide,
    fires::{Fired, start_fire},
};

/// A pipeline's schedule and where it stands.
#[derive(Debug, Clone, Serialize)]
pub struct ScheduleReport {
    /// The pipeline.
    pub pipeline: String,
    /// When it fires, and what its runs are about.
    #[serde(flatten)]
    pub definition: ScheduleSpec,
    /// The fire that it waits for; nothing while it is paused.
    pub next_fire: Option<DateTime<Utc>>,
    /// Since when it is paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// The latest fire that was dealt with.
    pub last_fire: Option<DateTime<Utc>>,
    /// Why the last fire could not start its run.
    pub error: Option<String>,
    /// When that was.
    pub error_at: Option<DateTime<Utc>>,
    /// When this schedule was applied.
    pub applied_at: DateTime<Utc>,
}

/// Makes the pipeline's schedule that of `spec`, or takes it away; call it in the transaction that applies the version.
///
/// A new schedule, and one whose expression or zone is another, starts with its next fire from now. Applying what is
/// there changes nothing, nor does it resume what is paused.
pub async fn apply_schedule(
    connection: &mut PgConnection,
    spec: &PipelineSpec,
    version_id: i64,
) -> Result<(), SchedulerError> {
    let pipeline = spec.name.as_str();
    let Some(schedule) = &spec.schedule else {
        sqlx::query_file!("../../sql/schedule/delete_schedule.sql", pipeline).execute(connection).await?;
        return Ok(());
    };
    let timetable = schedule.timetable()?;
    let known = sqlx::query_file!("../../sql/schedule/lock_schedule.sql", pipeline)
        .fetch_optional(&mut *connection)
        .await?;
    let kept = known.filter(|row| {
        let before = read_definition(pipeline, row.definition.clone()).ok();
        before.is_some_and(|before| before.cron == schedule.cron && before.timezone == schedule.timezone)
    });
    let next_fire = match kept {
        Some(row) => row.next_fire,
        None => timetable.after(read_clock(connection).await?).map(|fire| fire.at),
    };
    let definition = serde_json::to_value(schedule).map_err(SchedulerError::Definition)?;
    sqlx::query_file!("../../sql/schedule/upsert_schedule.sql", pipeline, version_id, definition, next_fire)
        .execute(connection)
        .await?;
    Ok(())
}

/// Every schedule, by pipeline.
pub async fn list_schedules(connection: &mut PgConnection) -> Result<Vec<ScheduleReport>, SchedulerError> {
    reports(connection, None).await
}

/// The schedule of a pipeline.
pub async fn find_schedule(
    connection: &mut PgConnection,
    pipeline: &str,
) -> Result<ScheduleReport, SchedulerError> {
    let found = reports(connection, Some(pipeline)).await?.pop();
    found.ok_or_else(|| SchedulerError::NotScheduled { pipeline: pipeline.to_owned() })
}

async fn reports(
    connection: &mut PgConnection,
    pipeline: Option<&str>,
) -> Result<Vec<ScheduleReport>, SchedulerError> {
    let rows =
        sqlx::query_file!("../../sql/schedule/list_schedules.sql", pipeline).fetch_all(connection).await?;
    rows.into_iter()
        .map(|row| {
            Ok(ScheduleReport {
                definition: read_definition(&row.pipeline, row.definition)?,
                pipeline: row.pipeline,
                next_fire: row.next_fire.filter(|_| row.paused_at.is_none()),
                paused_at: row.paused_at,
                last_fire: row.last_fire,
                error: row.error,
                error_at: row.error_at,
                applied_at: row.applied_at,
            })
        })
        .collect()
}

/// Lets a schedule fire no more until it is resumed.
pub async fn pause_schedule(connection: &mut PgConnection, pipeline: &str) -> Result<(), SchedulerError> {
    let paused =
        sqlx::query_file!("../../sql/schedule/pause_schedule.sql", pipeline).execute(connection).await?;
    if paused.rows_affected() == 0 {
        return Err(SchedulerError::NotScheduled { pipeline: pipeline.to_owned() });
    }
    Ok(())
}

/// Lets a paused schedule fire again, from its next fire on: what it passed over while it was paused was not missed.
pub async fn resume_schedule(connection: &mut PgConnection, pipeline: &str) -> Result<(), SchedulerError> {
    let mut transaction = connection.begin().await?;
    let row = sqlx::query_file!("../../sql/schedule/lock_schedule.sql", pipeline)
        .fetch_optional(&mut *transaction)
        .await?
        .ok_or_else(|| SchedulerError::NotScheduled { pipeline: pipeline.to_owned() })?;
    if row.paused_at.is_some() {
        let now = read_clock(&mut transaction).await?;
        let timetable = read_definition(pipeline, row.definition)?.timetable()?;
        let next_fire = timetable.after(now).map(|fire| fire.at);
        sqlx::query_file!("../../sql/schedule/resume_schedule.sql", pipeline, next_fire)
            .execute(&mut *transaction)
            .await?;
    }
    Ok(transaction.commit().await?)
}

/// What dealing with the schedule that was due longest came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// Nothing is due that nobody else deals with.
    Nothing,
    /// A schedule moved on; `true` where a run has started.
    Fired(bool),
    /// This build cannot read the schedule of this pipeline; a newer one may.
    Unreadable(String),
}

/// Deals with one fire of the schedule that is due longest, in one transaction; not with the pipelines `except`.
pub(crate) async fn fire_next(
    connection: &mut PgConnection,
    except: &[String],
) -> Result<Passed, SchedulerError> {
    let mut transaction = connection.begin().await?;
    let row = sqlx::query_file!("../../sql/schedule/lock_due_schedule.sql", except)
        .fetch_optional(&mut *transaction)
        .await?;
    let Some(row) = row else { return Ok(Passed::Nothing) };
    let pipeline = row.pipeline;
    let read = read_definition(&pipeline, row.definition)
        .and_then(|definition| Ok((definition.timetable()?, definition)));
    let (timetable, definition) = match read {
        Ok(read) => read,
        Err(error) => {
            let error = error.describe();
            let changed = sqlx::query_file!("../../sql/schedule/record_schedule_error.sql", pipeline, error)
                .execute(&mut *transaction)
                .await?;
            if changed.rows_affected() > 0 {
                tracing::warn!(pipeline, error, "the schedule cannot be read");
            }
            transaction.commit().await?;
            return Ok(Passed::Unreadable(pipeline));
        }
    };
    let due = decide(&timetable, definition.missed, row.next_fire, row.now);
    let fired = match due.start {
        Some(fire) => start_fire(&mut transaction, &pipeline, &definition, fire, None).await?,
        None => Fired::Known,
    };
    let error = match &fired {
        Fired::Failed(error) => Some(error.as_str()),
        Fired::Started(_) | Fired::Known => None,
    };
    let moved = sqlx::query_file!(
        "../../sql/schedule/advance_schedule.sql",
        pipeline,
        row.next_fire,
        due.next,
        due.start.map(|fire| fire.at),
        error,
    )
    .execute(&mut *transaction)
    .await?;
    if moved.rows_affected() == 0 {
        // the row is locked, so nobody can have been faster: without the row, no run either
        transaction.rollback().await?;
        return Ok(Passed::Nothing);
    }
    transaction.commit().await?;
    if let Some(late) = due.start.map(|fire| row.now - fire.at).filter(|late| *late > crate::due::ON_TIME) {
        tracing::info!(pipeline, late_seconds = late.num_seconds(), "a fire that was missed has started");
    }
    Ok(Passed::Fired(matches!(fired, Fired::Started(_))))
}

/// Tells the schedulers that schedules or back-fills have changed.
pub async fn notify_schedules(connection: &mut PgConnection) -> Result<(), SchedulerError> {
    sqlx::query_file!("../../sql/schedule/notify_schedules.sql").execute(connection).await?;
    Ok(())
}

/// The database's clock, the only one that counts.
pub(crate) async fn read_clock(connection: &mut PgConnection) -> Result<DateTime<Utc>, SchedulerError> {
    Ok(sqlx::query_file_scalar!("../../sql/schedule/read_clock.sql").fetch_one(connection).await?)
}

pub(crate) fn read_definition(pipeline: &str, definition: Value) -> Result<ScheduleSpec, SchedulerError> {
    serde_json::from_value(definition)
        .map_err(|source| SchedulerError::Unreadable { pipeline: pipeline.to_owned(), source })
}

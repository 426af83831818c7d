//! Triggers that wait for runs of other pipelines, and what all triggers share.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tale_pipeline::{PipelineSpec, TriggerEvent, TriggerSpec};
use tale_primitives::{RunId, UtcDay};
use tale_queue::{Priority, QueueError, run_context, run_state};

use crate::{SchedulerError, Trigger, trigger::start_as};

/// Makes the pipeline's triggers those of `spec`; call it in the transaction that applies the version.
///
/// What a trigger has seen of a folder stays as long as the pipeline has a trigger for that folder.
pub async fn apply_triggers(
    connection: &mut PgConnection,
    spec: &PipelineSpec,
    version_id: i64,
) -> Result<(), SchedulerError> {
    let pipeline = spec.name.as_str();
    sqlx::query_file!("../../sql/schedule/delete_triggers.sql", pipeline).execute(&mut *connection).await?;
    let mut folders = vec![];
    for (index, trigger) in spec.triggers.iter().enumerate() {
        let definition = serde_json::to_value(trigger).map_err(SchedulerError::Definition)?;
        let (watches, prefix, every_ms) = match &trigger.on {
            TriggerEvent::Run { pipeline, .. } => (Some(pipeline.as_str()), None, None),
            TriggerEvent::Object { prefix, every_ms } => {
                folders.push(prefix.clone());
                (None, Some(prefix.as_str()), Some(*every_ms as i64))
            }
        };
        sqlx::query_file!(
            "../../sql/schedule/insert_trigger.sql",
            pipeline,
            index as i16,
            version_id,
            definition,
            watches,
            prefix,
            every_ms
        )
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query_file!("../../sql/schedule/forget_objects.sql", pipeline, &folders)
        .execute(connection)
        .await?;
    Ok(())
}

/// A trigger of a pipeline's current version.
#[derive(Debug, Clone, Serialize)]
pub struct TriggerReport {
    /// The pipeline whose runs it starts.
    pub pipeline: String,
    /// The event and the params.
    #[serde(flatten)]
    pub definition: TriggerSpec,
    /// When its folder is looked at next.
    pub next_look: Option<DateTime<Utc>>,
    /// Why the last event could not start its run, or the folder could not be listed.
    pub error: Option<String>,
    /// When that was first so.
    pub error_at: Option<DateTime<Utc>>,
}

/// Every trigger, by pipeline.
pub async fn list_triggers(connection: &mut PgConnection) -> Result<Vec<TriggerReport>, SchedulerError> {
    let rows = sqlx::query_file!("../../sql/schedule/list_triggers.sql").fetch_all(connection).await?;
    rows.into_iter()
        .map(|row| {
            let definition = serde_json::from_value(row.definition)
                .map_err(|source| SchedulerError::Unreadable { pipeline: row.pipeline.clone(), source })?;
            let (next_look, error, error_at) = (row.next_look, row.error, row.error_at);
            Ok(TriggerReport { pipeline: row.pipeline, definition, next_look, error, error_at })
        })
        .collect()
}

/// Refuses triggers that would start runs without end; call it when all pipelines of a transaction are applied.
///
/// # Errors
/// [`SchedulerError::TriggerCircle`].
pub async fn refuse_trigger_circles(connection: &mut PgConnection) -> Result<(), SchedulerError> {
    let found = sqlx::query_file_scalar!("../../sql/schedule/find_trigger_circle.sql")
        .fetch_optional(connection)
        .await?;
    found.map_or(Ok(()), |pipeline| Err(SchedulerError::TriggerCircle { pipeline }))
}

/// Starts what waits for the first run that has ended and that nobody has dealt with, in one transaction.
///
/// Nothing where there is none; `true` where runs have started.
pub(crate) async fn follow_ended_run(connection: &mut PgConnection) -> Result<Option<bool>, SchedulerError> {
    let mut transaction = connection.begin().await?;
    let ended =
        sqlx::query_file!("../../sql/schedule/take_ended_run.sql").fetch_optional(&mut *transaction).await?;
    let Some(ended) = ended else { return Ok(None) };
    let run = RunId::from_raw(ended.run_id);
    let watching = sqlx::query_file!("../../sql/schedule/list_watching_triggers.sql", ended.pipeline)
        .fetch_all(&mut *transaction)
        .await?;
    let context = match run_context(&mut transaction, run).await {
        Err(QueueError::UnknownRun(_)) => {
            // it has been dropped since, and nobody can ask what it gave
            transaction.commit().await?;
            return Ok(Some(false));
        }
        context => context?,
    };
    let (_, outputs) = run_state(&mut transaction, run).await?;
    let event = json!({
        "run": run.to_string(),
        "pipeline": ended.pipeline,
        "state": ended.state,
        "date": context.logical_date.to_string(),
        "outputs": outputs,
    });
    let mut has_started = false;
    for row in watching {
        let outcome = match serde_json::from_value::<TriggerSpec>(row.definition) {
            Ok(TriggerSpec { on: TriggerEvent::Run { state, .. }, .. }) if !state.admits(&ended.state) => {
                continue;
            }
            Ok(trigger) => {
                let fired =
                    Fired { id: RunId::generate(), by: format!("run {run}"), date: context.logical_date };
                start_for(&mut transaction, &row.pipeline, &trigger, &event, fired).await?
            }
            Err(error) => Err(error.to_string()),
        };
        has_started |= outcome.is_ok();
        let error = outcome.err();
        record_error(&mut transaction, &row.pipeline, row.index, error.as_deref()).await?;
    }
    transaction.commit().await?;
    Ok(Some(has_started))
}

/// The run that an event starts.
pub(crate) struct Fired {
    pub id: RunId,
    /// What started it, for people.
    pub by: String,
    pub date: UtcDay,
}

/// Starts the run that an event asks for, or says why it cannot start: only errors that pass come back.
pub(crate) async fn start_for(
    connection: &mut PgConnection,
    pipeline: &str,
    trigger: &TriggerSpec,
    event: &Value,
    fired: Fired,
) -> Result<Result<(), String>, SchedulerError> {
    let params = match trigger.params_for(event) {
        Ok(params) => params,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let start = Trigger {
        pipeline: pipeline.to_owned(),
        params,
        dedup_key: None,
        logical_date: fired.date,
        fire_time: None,
        priority: Priority::Normal,
        started_by: fired.by,
        reason: None,
        uses_cache: true,
    };
    start_or_say_why(connection, fired.id, start).await
}

/// Starts a run; where it cannot start, what that has written is taken back and the reason is given.
pub(crate) async fn start_or_say_why(
    connection: &mut PgConnection,
    id: RunId,
    start: Trigger,
) -> Result<Result<(), String>, SchedulerError> {
    let mut attempt = connection.begin().await?;
    match start_as(&mut attempt, id, start).await {
        Ok(_) => {
            attempt.commit().await?;
            Ok(Ok(()))
        }
        Err(error) if error.is_transient() => Err(error),
        Err(error) => {
            attempt.rollback().await?;
            Ok(Err(error.describe()))
        }
    }
}

/// Keeps what went wrong beside the trigger, or that nothing does any more.
pub(crate) async fn record_error(
    connection: &mut PgConnection,
    pipeline: &str,
    index: i16,
    error: Option<&str>,
) -> Result<(), SchedulerError> {
    let changed = sqlx::query_file!("../../sql/schedule/record_trigger_error.sql", pipeline, index, error)
        .execute(connection)
        .await?;
    // a folder is looked at again and again: only what is new is said
    if let Some(error) = error.filter(|_| changed.rows_affected() > 0) {
        tracing::warn!(pipeline, trigger = index, error, "the trigger cannot start a run");
    }
    Ok(())
}

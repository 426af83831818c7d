//! Runs that go on past their deadlines: an alert, once, and the run that it starts.

use std::time::Duration;

use serde_json::json;
use sqlx::{Connection, PgConnection, PgPool};
use tale_pipeline::HookSpec;
use tale_primitives::RunId;
use tale_queue::{MissedDeadline, Priority, Wake, is_deadline_due, pass_deadlines, record_hook};
use tokio::time;

use crate::{SchedulerError, Trigger, trigger::start_as};

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(250);

/// How many alerts one transaction raises.
const ALERTS_MAX: u32 = 100;

/// Raises alerts when deadlines have come, for ever. Any number of these may share a database.
pub(crate) struct Deadlines {
    pub pool: PgPool,
    pub wake: Wake,
}

impl Deadlines {
    pub async fn run(self) {
        loop {
            time::sleep(TICK).await;
            match self.pass().await {
                Ok(true) => self.wake.tell(),
                Ok(false) => {}
                Err(error) if error.is_transient() => {
                    tracing::debug!(%error, "no deadline is looked at until the database answers again");
                }
                Err(error) => tracing::error!(error = error.describe(), "deadlines cannot be looked at"),
            }
        }
    }

    /// Raises what alerts are due; whether there were any.
    async fn pass(&self) -> Result<bool, SchedulerError> {
        let mut connection = self.pool.acquire().await?;
        if !is_deadline_due(&mut connection).await? {
            return Ok(false);
        }
        let mut transaction = connection.begin().await?;
        let missed = pass_deadlines(&mut transaction, ALERTS_MAX).await?;
        for missed in &missed {
            let MissedDeadline { run, pipeline, due_at, .. } = missed;
            tracing::error!(%run, pipeline, %due_at, "the run goes on past its deadline");
            start_hook(&mut transaction, missed).await?;
        }
        transaction.commit().await?;
        Ok(!missed.is_empty())
    }
}

/// Starts what a deadline is to start; that it cannot is recorded with the alert.
async fn start_hook(connection: &mut PgConnection, missed: &MissedDeadline) -> Result<(), SchedulerError> {
    let Some(hook) = &missed.hook else { return Ok(()) };
    let id = RunId::generate();
    // what fails in it must not take the alert with it
    let mut attempt = connection.begin().await?;
    let started = match trigger(missed, hook) {
        Ok(trigger) => start_as(&mut attempt, id, trigger).await,
        Err(error) => Err(error),
    };
    let started = match started {
        Ok(started) => {
            attempt.commit().await?;
            Ok(started.run)
        }
        Err(error) if error.is_transient() => return Err(error),
        Err(error) => {
            attempt.rollback().await?;
            Err(error.describe())
        }
    };
    record_hook(connection, missed.alert, started).await?;
    Ok(())
}

fn trigger(missed: &MissedDeadline, hook: &serde_json::Value) -> Result<Trigger, SchedulerError> {
    let hook: HookSpec = serde_json::from_value(hook.clone())
        .map_err(|source| SchedulerError::UnreadableHook { run: missed.run, source })?;
    let event = json!({
        "run": missed.run.to_string(),
        "pipeline": missed.pipeline,
        "state": missed.state,
        "date": missed.logical_date.to_string(),
        "due": missed.due_at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
    });
    Ok(Trigger {
        pipeline: hook.run.to_string(),
        params: hook.params_for(&event)?,
        dedup_key: None,
        logical_date: missed.logical_date,
        fire_time: None,
        // whoever is called for help does not wait behind what is late
        priority: Priority::Urgent,
        started_by: format!("deadline of run {}", missed.run),
        reason: None,
        uses_cache: true,
    })
}

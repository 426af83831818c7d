//! Back-fills: fires of the past that are started now, some at a time.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tale_pipeline::{PipelineSpec, ScheduleSpec};
use tale_primitives::{RunId, UtcDay};
use tale_queue::{RunStanding, find_pipeline, run_states};
use tale_timetable::{Fire, Timetable};
use uuid::Uuid;

use crate::{
    SchedulerError,
    fires::{Fired, recorded_fires, start_fire},
    schedules::{read_clock, read_definition},
};

/// More fires than this are not started by one back-fill.
pub const BACKFILL_FIRES_MAX: usize = 100_000;

/// How many of a back-fill's runs can be allowed to be open at a time.
pub const BACKFILL_CONCURRENCY_MAX: u32 = 1000;

/// How many fires one transaction deals with.
const FIRES_PER_TRANSACTION: usize = 100;

/// What a back-fill would do.
#[derive(Debug, Clone, Serialize)]
pub struct BackfillPlan {
    /// The pipeline.
    pub pipeline: String,
    /// The first day that the runs are about.
    pub first_day: UtcDay,
    /// The last day that the runs are about.
    pub last_day: UtcDay,
    /// Its fires, in order.
    pub fires: Vec<PlannedFire>,
    #[serde(skip)]
    definition: ScheduleSpec,
}

/// A fire of a back-fill.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedFire {
    /// The instant.
    pub at: DateTime<Utc>,
    /// The day that its run is about.
    pub date: UtcDay,
    /// The run that it has already.
    pub run: Option<RunId>,
}

/// How far a back-fill has come.
#[derive(Debug, Clone, Serialize)]
pub struct BackfillReport {
    /// Its number.
    pub id: i64,
    /// The pipeline.
    pub pipeline: String,
    /// The first day that its runs are about.
    pub first_day: NaiveDate,
    /// The last day that its runs are about.
    pub last_day: NaiveDate,
    /// How many of its runs may be open at a time.
    pub concurrency: i32,
    /// How many fires its days have.
    pub total: i32,
    /// How many runs it has started.
    pub started: i32,
    /// How many fires had their run already.
    pub known: i32,
    /// How many fires could not start their run.
    pub failed: i32,
    /// How many of its runs go on.
    pub open: i32,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When its last run had ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// The fires about these days, up to now, and the runs that they have.
///
/// # Errors
/// [`SchedulerError::NotScheduled`], [`SchedulerError::TooManyFires`].
pub async fn plan_backfill(
    connection: &mut PgConnection,
    pipeline: &str,
    first_day: UtcDay,
    last_day: UtcDay,
) -> Result<BackfillPlan, SchedulerError> {
    let spec = PipelineSpec::from_json(find_pipeline(connection, pipeline).await?.spec)?;
    let definition =
        spec.schedule.ok_or_else(|| SchedulerError::NotScheduled { pipeline: pipeline.to_owned() })?;
    let now = read_clock(connection).await?;
    let timetable = definition.timetable()?;
    let found: Vec<Fire> = definition
        .fires_about(&timetable, first_day, last_day)
        .take_while(|fire| fire.at <= now)
        .take(BACKFILL_FIRES_MAX + 1)
        .collect();
    if found.len() > BACKFILL_FIRES_MAX {
        return Err(SchedulerError::TooManyFires { max: BACKFILL_FIRES_MAX });
    }
    let recorded = match (found.first(), found.last()) {
        (Some(first), Some(last)) => recorded_fires(connection, pipeline, first.at, last.at).await?,
        _ => vec![],
    };
    let run_of = |at: DateTime<Utc>| {
        let place = recorded.binary_search_by_key(&at, |fire| fire.at).ok()?;
        recorded.get(place)?.run
    };
    let fires = found
        .into_iter()
        .map(|fire| PlannedFire { at: fire.at, date: definition.logical_date(fire), run: run_of(fire.at) })
        .collect();
    Ok(BackfillPlan { pipeline: pipeline.to_owned(), first_day, last_day, fires, definition })
}

/// Asks for what `plan` says, with at most `concurrency` runs open at a time; any scheduler goes on with it.
///
/// Gives the back-fill's number and whether it is new: of the same days there is one at a time. Nothing where the days
/// have no fires.
pub async fn start_backfill(
    connection: &mut PgConnection,
    plan: &BackfillPlan,
    concurrency: u32,
) -> Result<Option<(i64, bool)>, SchedulerError> {
    let (Some(first), Some(last)) = (plan.fires.first(), plan.fires.last()) else { return Ok(None) };
    let concurrency = concurrency.clamp(1, BACKFILL_CONCURRENCY_MAX);
    let definition = serde_json::to_value(&plan.definition).map_err(SchedulerError::Definition)?;
    loop {
        let inserted = sqlx::query_file_scalar!(
            "../../sql/schedule/insert_backfill.sql",
            plan.pipeline,
            plan.first_day.date(),
            plan.last_day.date(),
            definition,
            concurrency as i32,
            first.at,
            last.at,
            plan.fires.len() as i32,
        )
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(id) = inserted {
            return Ok(Some((id, true)));
        }
        let open = sqlx::query_file_scalar!(
            "../../sql/schedule/find_open_backfill.sql",
            plan.pipeline,
            plan.first_day.date(),
            plan.last_day.date(),
        )
        .fetch_optional(&mut *connection)
        .await?;
        // it may have finished between the two questions
        if let Some(id) = open {
            return Ok(Some((id, false)));
        }
    }
}

/// How far a back-fill has come.
pub async fn backfill_report(
    connection: &mut PgConnection,
    id: i64,
) -> Result<BackfillReport, SchedulerError> {
    sqlx::query_file_as!(BackfillReport, "../../sql/schedule/find_backfill.sql", id)
        .fetch_optional(connection)
        .await?
        .ok_or(SchedulerError::UnknownBackfill(id))
}

/// The runs that a back-fill has started, in the order of their fires.
pub async fn backfill_runs(
    connection: &mut PgConnection,
    id: i64,
) -> Result<Vec<RunStanding>, SchedulerError> {
    let rows = sqlx::query_file_scalar!("../../sql/schedule/list_backfill_runs.sql", id)
        .fetch_all(&mut *connection)
        .await?;
    let runs: Vec<RunId> = rows.into_iter().map(RunId::from_raw).collect();
    let mut standings = run_states(connection, &runs).await?;
    standings.sort_by_key(|standing| runs.iter().position(|run| *run == standing.run));
    Ok(standings)
}

/// Goes on with the first back-fill after number `after` that nobody else deals with; gives its number and whether
/// runs have started.
pub(crate) async fn advance_backfill(
    connection: &mut PgConnection,
    after: i64,
) -> Result<Option<(i64, bool)>, SchedulerError> {
    let mut transaction = connection.begin().await?;
    let row = sqlx::query_file!("../../sql/schedule/lock_open_backfill.sql", after)
        .fetch_optional(&mut *transaction)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let read = read_definition(&row.pipeline, row.definition)
        .and_then(|definition| Ok((definition.timetable()?, definition)));
    let (timetable, definition) = match read {
        Ok(read) => read,
        Err(error) => {
            tracing::warn!(backfill = row.id, error = error.describe(), "the back-fill cannot be read");
            return Ok(Some((row.id, false)));
        }
    };
    let mut standing = Standing {
        next_fire: row.next_fire,
        started: row.started,
        known: row.known,
        failed: row.failed,
        open: still_open(&mut transaction, &row.open_runs).await?,
    };
    let mut has_changed = standing.open.len() < row.open_runs.len();
    let concurrency = usize::try_from(row.concurrency).unwrap_or(1);
    for _ in 0..FIRES_PER_TRANSACTION {
        if standing.open.len() >= concurrency {
            break;
        }
        let Some(fire) = standing.take_fire(&timetable, row.last_fire) else { break };
        has_changed = true;
        match start_fire(&mut transaction, &row.pipeline, &definition, fire, Some(row.id)).await? {
            Fired::Started(run) => {
                standing.started += 1;
                standing.open.push(run.raw());
            }
            Fired::Known => standing.known += 1,
            Fired::Failed(_) => standing.failed += 1,
        }
    }
    let is_over = standing.next_fire.is_none() && standing.open.is_empty();
    if has_changed || is_over {
        sqlx::query_file!(
            "../../sql/schedule/advance_backfill.sql",
            row.id,
            standing.next_fire,
            standing.started,
            standing.known,
            standing.failed,
            &standing.open,
            is_over,
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
    }
    Ok(Some((row.id, standing.started > row.started)))
}

/// Where a back-fill stands while it is advanced.
struct Standing {
    next_fire: Option<DateTime<Utc>>,
    started: i32,
    known: i32,
    failed: i32,
    open: Vec<Uuid>,
}

impl Standing {
    /// The next fire, which is then past.
    fn take_fire(&mut self, timetable: &Timetable, last: DateTime<Utc>) -> Option<Fire> {
        let at = self.next_fire?;
        // the same instant, unless a new release knows other rules of the zone
        let fire = timetable.at(at).or_else(|| timetable.after(at)).filter(|fire| fire.at <= last);
        let next = fire.and_then(|fire| timetable.after(fire.at));
        self.next_fire = next.map(|fire| fire.at).filter(|at| *at <= last);
        fire
    }
}

async fn still_open(connection: &mut PgConnection, runs: &[Uuid]) -> Result<Vec<Uuid>, SchedulerError> {
    if runs.is_empty() {
        return Ok(vec![]);
    }
    let ids: Vec<RunId> = runs.iter().map(|run| RunId::from_raw(*run)).collect();
    let standings = run_states(connection, &ids).await?;
    Ok(standings.iter().filter(|standing| !standing.is_over).map(|standing| standing.run.raw()).collect())
}

//! What the queue holds now, for metrics: one query, whatever has run before.

use serde::Deserialize;
use sqlx::{PgConnection, types::Json};

use crate::{QueueError, RunState};

/// What the queue holds now.
#[derive(Debug, Clone)]
pub struct Gauges {
    /// Each pool, by name.
    pub pools: Vec<PoolGauges>,
    /// Limits that tasks hold places under or wait for: those with the most waiting tasks.
    pub limits: Vec<LimitGauges>,
    /// Pipelines that limit or pause their runs: those with the most waiting runs.
    pub pipelines: Vec<LimitGauges>,
    /// How many runs there are in each state that is not an end, and how many ended in each that is.
    pub runs: Vec<(RunState, i64)>,
    /// Tasks that wait for a limit, over all limits.
    pub waiting: i64,
    /// Retries that wait for their time.
    pub delayed: i64,
    /// Tasks of paused runs that would be ready.
    pub parked: i64,
    /// Questions that nobody has answered.
    pub approvals: i64,
}

/// What one pool holds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PoolGauges {
    /// Its name.
    pub name: String,
    /// Whether nothing is claimed from it.
    pub is_paused: bool,
    /// How many of its tasks may run at a time.
    pub leases_max: Option<i64>,
    /// Tasks that could be claimed.
    pub ready: i64,
    /// For how long the oldest of them has waited.
    pub oldest_seconds: Option<f64>,
    /// Tasks that workers hold.
    pub leases: i64,
    /// Live workers.
    pub workers: i64,
    /// How many tasks these can run at a time.
    pub slots: i64,
}

/// What one limit holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LimitGauges {
    /// The key, or the pipeline.
    pub key: String,
    /// Places that are taken.
    pub used: i64,
    /// Places that there are; nothing where the limit is a rate, or a pause.
    pub places: Option<i64>,
    /// How many wait.
    pub waiting: i64,
}

#[derive(Debug, Deserialize)]
struct RunCount {
    state: String,
    runs: i64,
}

/// Reads what the queue holds now; of limits and pipelines, at most `keys_max` each.
pub async fn read_gauges(connection: &mut PgConnection, keys_max: u32) -> Result<Gauges, QueueError> {
    let row = sqlx::query_file!("../../sql/queue/read_gauges.sql", i64::from(keys_max))
        .fetch_one(connection)
        .await?;
    let counts = row.runs.0.into_iter().map(|count| Ok((count.state.parse()?, count.runs)));
    Ok(Gauges {
        pools: row.pools.0,
        limits: row.limits.0,
        pipelines: row.pipelines.0,
        runs: counts.collect::<Result<_, QueueError>>()?,
        waiting: row.waiting,
        delayed: row.delayed,
        parked: row.parked,
        approvals: row.approvals,
    })
}

/// How many rows the counts of runs may have before they are folded: adding up fewer costs nothing.
const TALLIES_MAX: i64 = 100;

/// Folds the counts of runs where they have become many. A reconciler.
pub async fn fold_run_tallies(connection: &mut PgConnection) -> Result<(), QueueError> {
    sqlx::query_file!("../../sql/queue/fold_run_tallies.sql", TALLIES_MAX).execute(connection).await?;
    Ok(())
}

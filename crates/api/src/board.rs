//! The queue's numbers for `/metrics`: read at most once a second, whoever asks and however often.

use std::time::{Duration, Instant};

use sqlx::PgPool;
use tale_queue::{Gauges, LimitGauges, PoolGauges, QueueError, RunState, read_gauges};
use tale_telemetry::Sheet;
use tokio::sync::Mutex;

/// The text that was made last.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Option<Kept>>);

#[derive(Debug)]
struct Kept {
    text: String,
    until: Instant,
}

/// For how long a reading is good.
const FRESH: Duration = Duration::from_secs(1);
/// A reading that took long is kept so many times as long, so that readings never take more than a twentieth of a core.
const REST: u32 = 20;
/// How long a reading may take.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// Of how many limits, and of how many pipelines, metrics are given: keys are made up by pipelines.
const KEYS_MAX: u32 = 50;

impl Board {
    /// The numbers as text; a database that does not answer is one of them.
    pub async fn text(&self, database: &PgPool) -> String {
        // whoever asks meanwhile waits for the same reading
        let mut kept = self.0.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| Instant::now() < kept.until) {
            return kept.text.clone();
        }
        let started = Instant::now();
        let read = async { read_gauges(&mut *database.acquire().await?, KEYS_MAX).await };
        let text = match tokio::time::timeout(READ_WITHIN, read).await {
            Ok(Ok(gauges)) => sheet(&gauges).render(),
            Ok(Err(error)) => unread(&error),
            Err(_) => unread(&QueueError::Database(sqlx::Error::PoolTimedOut)),
        };
        let until = Instant::now() + FRESH.max(started.elapsed() * REST);
        kept.insert(Kept { text, until }).text.clone()
    }
}

const UP: (&str, &str) = ("tale_database_up", "Whether the database answered when these numbers were read.");

fn unread(error: &QueueError) -> String {
    tracing::warn!(%error, "the metrics of the queue could not be read");
    Sheet::default().gauge(UP.0, UP.1, 0.0).render()
}

fn sheet(gauges: &Gauges) -> Sheet {
    let sheet = Sheet::default()
        .gauge(UP.0, UP.1, 1.0)
        .gauge("tale_queue_delayed_tasks", "Retries that wait for their time.", gauges.delayed as f64)
        .gauge("tale_queue_parked_tasks", "Tasks of paused runs that would be ready.", gauges.parked as f64)
        .gauge("tale_queue_waiting_tasks", "Tasks that wait for a limit.", gauges.waiting as f64)
        .gauge("tale_queue_open_approvals", "Questions that nobody has answered.", gauges.approvals as f64);
    limits(pipelines(runs(pools(sheet, &gauges.pools), &gauges.runs), &gauges.pipelines), &gauges.limits)
}

fn pools(sheet: Sheet, pools: &[PoolGauges]) -> Sheet {
    let each = |read: fn(&PoolGauges) -> Option<f64>| {
        let values = pools.iter().filter_map(move |pool| Some(([pool.name.as_str()], read(pool)?)));
        values.collect::<Vec<_>>()
    };
    sheet
        .gauges(
            "tale_queue_ready_tasks",
            "Tasks that could be claimed, by pool: the depth of the queue.",
            ["pool"],
            each(|pool| Some(pool.ready as f64)),
        )
        .gauges(
            "tale_queue_oldest_ready_seconds",
            "For how long the oldest of them has waited, by pool.",
            ["pool"],
            each(|pool| Some(pool.oldest_seconds.unwrap_or_default())),
        )
        .gauges(
            "tale_queue_leased_tasks",
            "Tasks that workers hold, by pool: those that run, and short ones that were claimed in advance.",
            ["pool"],
            each(|pool| Some(pool.leases as f64)),
        )
        .gauges(
            "tale_queue_pool_places",
            "How many tasks of a pool may run at a time, where it is limited.",
            ["pool"],
            each(|pool| pool.leases_max.map(|max| max as f64)),
        )
        .gauges(
            "tale_queue_pool_paused",
            "Whether a pool is paused.",
            ["pool"],
            each(|pool| Some(f64::from(u8::from(pool.is_paused)))),
        )
        .gauges("tale_workers", "Live workers, by pool.", ["pool"], each(|pool| Some(pool.workers as f64)))
        .gauges(
            "tale_worker_slots",
            "How many tasks the live workers run at a time, by pool.",
            ["pool"],
            each(|pool| Some(pool.slots as f64)),
        )
}

fn runs(sheet: Sheet, runs: &[(RunState, i64)]) -> Sheet {
    let count = |state: RunState| runs.iter().find(|(of, _)| *of == state).map_or(0, |(_, runs)| *runs);
    let open = [RunState::Queued, RunState::Running].map(|state| ([state.as_str()], count(state) as f64));
    let ends = [RunState::Succeeded, RunState::Failed, RunState::Cancelled];
    let ends = ends.map(|state| ([state.as_str()], count(state).unsigned_abs()));
    sheet.gauges("tale_queue_runs", "Runs that have not ended, by state.", ["state"], open).totals(
        "tale_queue_runs_ended_total",
        "Runs that have ended, by state.",
        ["state"],
        ends,
    )
}

fn limits(sheet: Sheet, limits: &[LimitGauges]) -> Sheet {
    sheet
        .gauges(
            "tale_queue_limit_used_places",
            "Places that are taken under a limit, by key: those with the most waiting tasks.",
            ["key"],
            limits.iter().map(|limit| ([limit.key.as_str()], limit.used as f64)),
        )
        .gauges(
            "tale_queue_limit_places",
            "Places that there are under a limit, by key, where it has a concurrency.",
            ["key"],
            limits.iter().filter_map(|limit| Some(([limit.key.as_str()], limit.places? as f64))),
        )
        .gauges(
            "tale_queue_limit_waiting_tasks",
            "Tasks that wait for a limit, by key.",
            ["key"],
            limits.iter().map(|limit| ([limit.key.as_str()], limit.waiting as f64)),
        )
}

fn pipelines(sheet: Sheet, pipelines: &[LimitGauges]) -> Sheet {
    sheet
        .gauges(
            "tale_queue_pipeline_used_places",
            "Runs that go on of a pipeline that limits its runs, by pipeline.",
            ["pipeline"],
            pipelines.iter().map(|limit| ([limit.key.as_str()], limit.used as f64)),
        )
        .gauges(
            "tale_queue_pipeline_places",
            "How many runs of a pipeline may go on at a time, by pipeline.",
            ["pipeline"],
            pipelines.iter().filter_map(|limit| Some(([limit.key.as_str()], limit.places? as f64))),
        )
        .gauges(
            "tale_queue_pipeline_waiting_runs",
            "Runs that wait for their pipeline, by pipeline.",
            ["pipeline"],
            pipelines.iter().map(|limit| ([limit.key.as_str()], limit.waiting as f64)),
        )
}

//! Attempts as spans of the trace that their run belongs to.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use sqlx::PgPool;
use tale_primitives::RunId;
use tale_queue::{ClaimedTask, QueueError, trace_parent};
use tale_telemetry::{Role, Span, TraceParent, is_tracing};
use tokio::sync::OnceCell;

/// The spans that started runs, each read once; without traces nothing is.
#[derive(Debug, Clone, Default)]
pub(crate) struct TraceParents(Arc<Mutex<HashMap<RunId, Known>>>);

type Known = Arc<OnceCell<Option<TraceParent>>>;

/// How many runs are remembered.
const RUNS_MAX: usize = 1000;

impl TraceParents {
    /// The span of an attempt that begins now.
    pub async fn begin(&self, pool: &PgPool, claimed: &ClaimedTask) -> Span {
        if !is_tracing() {
            return Span::default();
        }
        let parent = self.of(pool, claimed.run).await.unwrap_or_else(|error| {
            tracing::debug!(%error, run = %claimed.run, "the run's trace could not be read");
            None
        });
        let mut span = Span::start(Role::Consumer, || format!("attempt {}", claimed.step_name), parent);
        span.set("tale.run", claimed.run);
        span.set("tale.pipeline", &claimed.pipeline);
        span.set("tale.step", &claimed.step_name);
        span.set("tale.index", claimed.index);
        span.set("tale.kind", &claimed.kind);
        span.set("tale.attempt", claimed.attempt_number);
        span
    }

    async fn of(&self, pool: &PgPool, run: RunId) -> Result<Option<TraceParent>, QueueError> {
        let known = {
            // no code panics while it holds the lock
            let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if runs.len() >= RUNS_MAX && !runs.contains_key(&run) {
                runs.clear();
            }
            runs.entry(run).or_default().clone()
        };
        let read = async || {
            let text = trace_parent(&mut *pool.acquire().await?, run).await?;
            Ok(text.and_then(|text| text.parse().ok()))
        };
        known.get_or_try_init(read).await.copied()
    }
}

//! Log lines on their way to the database.

use std::time::Duration;

use chrono::Utc;
use sqlx::PgPool;
use tale_primitives::RunId;
use tale_queue::{Lease, NewLogLine, append_logs};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

/// How long lines are gathered before they are stored.
const GATHER: Duration = Duration::from_millis(200);
/// How many lines one transaction stores.
const BATCH: usize = 500;
/// Lines that may wait; a task that prints faster than the database stores loses lines rather than memory.
const WAITING_MAX: usize = 10_000;

/// Where tasks send their lines.
#[derive(Debug, Clone)]
pub(crate) struct LogSender(mpsc::Sender<NewLogLine>);

impl LogSender {
    pub fn send(&self, run: RunId, lease: Lease, line: String) {
        if self.0.try_send(NewLogLine { run, lease, logged_at: Utc::now(), line }).is_err() {
            tracing::debug!(%run, task = %lease.task, "a log line was dropped");
        }
    }
}

/// Stores the lines of all attempts until the last sender is gone.
pub(crate) fn channel() -> (LogSender, mpsc::Receiver<NewLogLine>) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    (LogSender(sender), receiver)
}

pub(crate) async fn store_logs(pool: PgPool, mut lines: mpsc::Receiver<NewLogLine>) {
    let mut batch = Vec::new();
    while let Some(first) = lines.recv().await {
        batch.push(first);
        let until = Instant::now() + GATHER;
        while batch.len() < BATCH {
            match timeout_at(until, lines.recv()).await {
                Ok(Some(line)) => batch.push(line),
                Ok(None) | Err(_) => break,
            }
        }
        let stored = async {
            let mut connection = pool.acquire().await?;
            append_logs(&mut connection, &batch).await
        };
        if let Err(error) = stored.await {
            tracing::warn!(%error, lines = batch.len(), "log lines were lost");
        }
        batch.clear();
    }
}

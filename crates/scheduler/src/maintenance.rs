//! What nobody else would do: due retries, and the leases of the dead.

use std::time::{Duration, Instant};

use sqlx::PgPool;
use tale_queue::{QueueError, Wake, promote_due, reap};
use tokio::time;

/// How many retries one transaction makes ready.
const PROMOTED_MAX: u32 = 1000;

/// Looks for due retries and dead workers, for ever.
pub(crate) struct Maintenance {
    pub pool: PgPool,
    pub wake: Wake,
    pub lease: Duration,
    pub crashes_max: u32,
    pub tick: Duration,
}

impl Maintenance {
    pub async fn run(self) {
        // nobody could beat before the database was there, so nobody is late yet
        let mut answering_since = Instant::now();
        let mut reaped_at = Instant::now();
        loop {
            time::sleep(self.tick).await;
            let may_reap = answering_since.elapsed() >= self.lease && reaped_at.elapsed() >= self.lease / 5;
            match self.tick_once(may_reap).await {
                Ok(freed) => {
                    if may_reap {
                        reaped_at = Instant::now();
                    }
                    if freed {
                        self.wake.tell();
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "the database does not answer");
                    answering_since = Instant::now();
                    time::sleep(Duration::from_millis(250)).await;
                }
            }
        }
    }

    async fn tick_once(&self, may_reap: bool) -> Result<bool, QueueError> {
        let mut connection = self.pool.acquire().await?;
        let mut freed = promote_due(&mut connection, PROMOTED_MAX).await? > 0;
        if may_reap {
            for reaped in reap(&mut connection, self.lease, self.crashes_max).await? {
                freed = true;
                if reaped.is_dead {
                    tracing::error!(task = %reaped.task, "the task has killed too many workers and fails");
                } else {
                    tracing::warn!(task = %reaped.task, "its worker stopped beating: the task is queued again");
                }
            }
        }
        Ok(freed)
    }
}

//! What nobody else would do: tallies of large fan-outs, due retries, limits that open with time or never would, unanswered
//! questions, cancelled and paused runs, and the leases of the dead.

use std::time::{Duration, Instant};

use sqlx::PgPool;
use tale_queue::{
    QueueError, Wake, answer_knocks, break_deadlock, expire_approvals, fold_run_tallies, fold_tallies,
    park_paused, promote_due, reap, reconcile_gates, stop_overdue, sweep_cancelled,
};
use tokio::time;

use crate::SchedulerMeters;

/// How many retries one transaction makes ready.
const PROMOTED_MAX: u32 = 1000;
/// How many tallies one transaction folds.
const FOLDED_MAX: u32 = 1000;
/// How long to wait between two looks for tallies while there are some.
const FOLD_PAUSE: Duration = Duration::from_millis(10);

/// Looks for due retries and dead workers, for ever.
pub(crate) struct Maintenance {
    pub pool: PgPool,
    pub wake: Wake,
    pub lease: Duration,
    pub crashes_max: u32,
    pub tick: Duration,
    pub meters: SchedulerMeters,
}

impl Maintenance {
    pub async fn run(self) {
        // nobody could beat before the database was there, so nobody is late yet
        let mut answering_since = Instant::now();
        let mut promoted_at = Instant::now();
        let mut reaped_at = Instant::now();
        let mut wakeups = self.wake.listen();
        let mut is_folding = false;
        loop {
            if !is_folding {
                wakeups.wait(self.tick).await;
            }
            time::sleep(FOLD_PAUSE).await;
            let due = Due {
                promotion: promoted_at.elapsed() >= self.tick,
                reaping: answering_since.elapsed() >= self.lease && reaped_at.elapsed() >= self.lease / 5,
            };
            match self.tick_once(due).await {
                Ok(Done { folded, freed }) => {
                    is_folding = folded;
                    if due.promotion {
                        promoted_at = Instant::now();
                    }
                    if due.reaping {
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

    async fn tick_once(&self, due: Due) -> Result<Done, QueueError> {
        let mut connection = self.pool.acquire().await?;
        let folded = fold_tallies(&mut connection, FOLDED_MAX).await?;
        let answered = answer_knocks(&mut connection).await?;
        let mut freed = folded || answered;
        if due.promotion {
            let promoted = promote_due(&mut connection, PROMOTED_MAX).await?;
            self.meters.promoted(promoted);
            freed |= promoted > 0;
            freed |= reconcile_gates(&mut connection, due.reaping).await?;
            freed |= expire_approvals(&mut connection).await?;
            freed |= sweep_cancelled(&mut connection).await?;
            park_paused(&mut connection).await?;
        }
        if due.reaping {
            fold_run_tallies(&mut connection).await?;
            freed |= stop_overdue(&mut connection).await? > 0;
            while let Some(task) = break_deadlock(&mut connection).await? {
                freed = true;
                tracing::error!(%task, "the task would wait for ever for what a step above it holds, and fails");
            }
            for reaped in reap(&mut connection, self.lease, self.crashes_max).await? {
                freed = true;
                self.meters.reaped();
                if reaped.is_dead {
                    tracing::error!(task = %reaped.task, "the task has killed too many workers and fails");
                } else {
                    tracing::warn!(task = %reaped.task, "its worker stopped beating: the task is queued again");
                }
            }
        }
        Ok(Done { folded: folded || answered, freed })
    }
}

/// What a look found.
struct Done {
    /// Whether there were tallies or knocks, so that more may be on their way.
    folded: bool,
    /// Whether tasks may have become ready.
    freed: bool,
}

/// What a look does beside folding tallies.
#[derive(Clone, Copy)]
struct Due {
    promotion: bool,
    reaping: bool,
}

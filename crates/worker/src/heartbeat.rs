//! The heartbeat: its own task, its own connection.

use std::time::{Duration, Instant};

use sqlx::{ConnectOptions, PgConnection, PgPool};
use tale_queue::{NewWorker, QueueError, beat, register_worker};
use tokio::time::{self, MissedTickBehavior};

use crate::{WorkerMeters, held::Held, outcome::chain};

/// How many heartbeats a lease takes.
const BEATS_PER_LEASE: u32 = 4;
/// A heartbeat is also how an attempt learns that its run was cancelled, which it should within two seconds.
const PERIOD_MAX: Duration = Duration::from_millis(1500);
/// The share of the lease after which a worker that is not answered stops its attempts: with the next tick that is
/// noticed, at the latest, before the last quarter of the lease has passed.
const UNANSWERED_SHARE_MAX: f64 = 0.7;

/// The loop that says that the worker lives, and hears which of its attempts it has lost.
pub(crate) struct Heart {
    pub pool: PgPool,
    pub worker: NewWorker,
    pub held: Held,
    pub lease: Duration,
    pub meters: WorkerMeters,
}

impl Heart {
    /// Beats several times in a lease, for ever; the caller aborts it.
    pub async fn run(self) {
        let period = (self.lease / BEATS_PER_LEASE).min(PERIOD_MAX);
        let mut ticks = time::interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut connection = None;
        // when the last answered heartbeat was sent: the database took it for alive at that time or later
        let mut alive_at = Instant::now();
        loop {
            ticks.tick().await;
            let sent_at = Instant::now();
            match time::timeout(period, self.beat(&mut connection)).await {
                Ok(Ok(())) => alive_at = sent_at,
                Ok(Err(error)) => {
                    tracing::warn!(error = chain(&error), "a heartbeat was not answered");
                    connection = None;
                }
                Err(_) => {
                    tracing::warn!("a heartbeat was not answered in time");
                    connection = None;
                }
            }
            // before the reaper may act, by the time that has passed here
            if alive_at.elapsed() > self.lease.mul_f64(UNANSWERED_SHARE_MAX) && self.held.count() > 0 {
                tracing::error!(
                    "no heartbeat was answered for most of the lease: stopping this worker's attempts"
                );
                self.held.cancel_all();
            }
        }
    }

    async fn beat(&self, connection: &mut Option<PgConnection>) -> Result<(), QueueError> {
        let connected = match connection {
            Some(connected) => connected,
            None => connection.insert(self.pool.connect_options().connect().await?),
        };
        let answer = beat(connected, self.worker.id, &self.held.leases(), self.lease).await?;
        if !answer.lost.is_empty() {
            tracing::warn!(
                attempts = answer.lost.len(),
                "attempts were lost: another worker has their tasks"
            );
            self.held.lose(&answer.lost);
            self.meters.lost(answer.lost.len());
        }
        if !answer.is_registered {
            tracing::warn!("this worker was given up for dead; registering again");
            register_worker(connected, &self.worker).await?;
        }
        Ok(())
    }
}

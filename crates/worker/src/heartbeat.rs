//! The heartbeat: its own task, its own connection.

use std::time::{Duration, Instant};

use sqlx::{ConnectOptions, PgConnection, PgPool};
use tale_queue::{NewWorker, QueueError, beat, register_worker};
use tokio::time::{self, MissedTickBehavior};

use crate::{held::Held, outcome::chain};

/// The loop that says that the worker lives, and hears which of its attempts it has lost.
pub(crate) struct Heart {
    pub pool: PgPool,
    pub worker: NewWorker,
    pub held: Held,
    pub lease: Duration,
}

impl Heart {
    /// Beats three times in a lease, for ever; the caller aborts it.
    pub async fn run(self) {
        let mut ticks = time::interval(self.lease / 3);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut connection = None;
        let mut answered_at = Instant::now();
        loop {
            ticks.tick().await;
            match time::timeout(self.lease / 3, self.beat(&mut connection)).await {
                Ok(Ok(())) => answered_at = Instant::now(),
                Ok(Err(error)) => {
                    tracing::warn!(error = chain(&error), "a heartbeat was not answered");
                    connection = None;
                }
                Err(_) => {
                    tracing::warn!("a heartbeat was not answered in time");
                    connection = None;
                }
            }
            // one beat before the reaper may act, by the time that has passed here
            if answered_at.elapsed() > self.lease.mul_f64(0.8) && self.held.count() > 0 {
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
        }
        if !answer.is_registered {
            tracing::warn!("this worker was given up for dead; registering again");
            register_worker(connected, &self.worker).await?;
        }
        Ok(())
    }
}

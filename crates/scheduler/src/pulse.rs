//! The scheduler's heartbeat: its own task, its own connection, so that nothing that a scheduler does delays it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::{ConnectOptions, PgConnection, PgPool};
use tale_queue::{ClaimedTask, Lease, NewWorker, QueueError, beat, register_worker};
use tokio::time::{self, MissedTickBehavior};

/// How many heartbeats a lease takes.
const BEATS_PER_LEASE: u32 = 4;

/// The leases that this scheduler works on. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leases(Arc<Mutex<HashSet<Lease>>>);

impl Leases {
    pub fn hold(&self, tasks: &[ClaimedTask]) {
        self.lock().extend(tasks.iter().map(|task| task.lease));
    }

    pub fn let_go(&self, leases: &[Lease]) {
        let mut held = self.lock();
        for lease in leases {
            held.remove(lease);
        }
    }

    pub fn list(&self) -> Vec<Lease> {
        self.lock().iter().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Lease>> {
        // a set of leases is never half changed
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The loop that says that the scheduler lives and which leases it knows of.
///
/// It need not hear which of them were lost: whatever a scheduler does under a lease is fenced.
pub(crate) struct Pulse {
    pub pool: PgPool,
    pub identity: NewWorker,
    pub leases: Leases,
    pub lease: Duration,
}

impl Pulse {
    pub async fn run(self) {
        let period = self.lease / BEATS_PER_LEASE;
        let mut ticks = time::interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut connection = None;
        loop {
            ticks.tick().await;
            let answered = time::timeout(period, self.beat(&mut connection)).await;
            if !matches!(answered, Ok(Ok(()))) {
                tracing::debug!("a heartbeat of the scheduler was not answered");
                connection = None;
            }
        }
    }

    async fn beat(&self, connection: &mut Option<PgConnection>) -> Result<(), QueueError> {
        let connected = match connection {
            Some(connected) => connected,
            None => connection.insert(self.pool.connect_options().connect().await?),
        };
        if !beat(connected, self.identity.id, &self.leases.list(), self.lease).await?.is_registered {
            register_worker(connected, &self.identity).await?;
        }
        Ok(())
    }
}

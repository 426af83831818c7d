//! What this worker holds: every lease from its claim to its acknowledgement.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tale_primitives::AttemptId;
use tale_queue::Lease;
use tokio::sync::{Notify, futures::Notified};
use tokio_util::sync::CancellationToken;

/// The leases that the worker holds, shared by its loops.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    leases: Arc<Mutex<HashMap<Lease, CancellationToken>>>,
    freed: Arc<Notify>,
}

impl Held {
    /// Holds these leases; returns what stops the attempt at each.
    pub fn add(&self, leases: impl Iterator<Item = Lease>) -> Vec<CancellationToken> {
        let mut held = self.lock();
        leases
            .map(|lease| {
                let token = CancellationToken::new();
                held.insert(lease, token.clone());
                token
            })
            .collect()
    }

    /// Frees the slots of these leases: acknowledged, lost or handed back.
    pub fn remove(&self, leases: impl IntoIterator<Item = Lease>) {
        {
            let mut held = self.lock();
            for lease in leases {
                held.remove(&lease);
            }
        }
        self.freed.notify_waiters();
    }

    pub fn leases(&self) -> Vec<Lease> {
        self.lock().keys().copied().collect()
    }

    pub fn count(&self) -> usize {
        self.lock().len()
    }

    pub fn contains(&self, lease: &Lease) -> bool {
        self.lock().contains_key(lease)
    }

    /// Stops attempts that are no longer this worker's, and forgets them.
    pub fn lose(&self, lost: &[AttemptId]) {
        self.lock().retain(|lease, token| {
            let is_lost = lost.contains(&lease.attempt);
            if is_lost {
                token.cancel();
            }
            !is_lost
        });
        self.freed.notify_waiters();
    }

    /// Stops every attempt.
    pub fn cancel_all(&self) {
        for token in self.lock().values() {
            token.cancel();
        }
    }

    /// Says when leases are removed, from now on: a removal between this call and the wait is not missed once the future
    /// is enabled.
    pub fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    /// Completes when fewer than `limit` leases are held.
    pub async fn below(&self, limit: usize) {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // listening before looking: a slot that is freed in between is not missed
            freed.as_mut().enable();
            if self.count() < limit {
                return;
            }
            freed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Lease, CancellationToken>> {
        // no code panics while it holds the lock, and a map of leases is never half changed
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

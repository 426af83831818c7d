//! Whether the worker's pool weighs what tasks ask for: then it claims what fits, and nothing in advance.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::PgConnection;
use tale_queue::{Claimer, QueueError};

/// How often to look whether the pool has begun to weigh. Until then tasks that ask for nothing may be held in advance,
/// which gives nobody too much: those that ask are claimed by weight alone.
const LOOK: Duration = Duration::from_secs(1);

/// What the worker knows of its pool.
#[derive(Debug, Clone, Default)]
pub(crate) struct Weighing {
    weighs: Arc<AtomicBool>,
    looked_at: Arc<Mutex<Option<Instant>>>,
}

impl Weighing {
    /// What was found last.
    pub fn is_on(&self) -> bool {
        self.weighs.load(Ordering::Relaxed)
    }

    /// Looks again where the last look is old; once a pool weighs, it does for ever.
    pub async fn look(&self, claimer: &Claimer, connection: &mut PgConnection) -> Result<bool, QueueError> {
        if !self.is_on() && self.is_due() {
            self.weighs.store(claimer.weighs(connection).await?, Ordering::Relaxed);
        }
        Ok(self.is_on())
    }

    fn is_due(&self) -> bool {
        let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = looked_at.is_none_or(|at| at.elapsed() >= LOOK);
        if is_due {
            *looked_at = Some(Instant::now());
        }
        is_due
    }
}

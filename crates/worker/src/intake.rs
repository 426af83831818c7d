//! What comes in: how many tasks to claim, and where claimed ones go.

use std::sync::Arc;

use sqlx::PgConnection;
use tale_queue::{ClaimedTask, Claimer, Lease, QueueError};
use tokio_util::sync::CancellationToken;

use crate::{backlog::Backlog, held::Held, pace::Pace, source::Assignment, weighing::Weighing};

/// The way of tasks into one worker, shared by whoever claims.
#[derive(Debug, Clone)]
pub(crate) struct Intake {
    pub claimer: Claimer,
    pub held: Held,
    pub backlog: Backlog,
    pub pace: Pace,
    pub weighing: Weighing,
    /// Cancelled when nothing more may be claimed.
    pub stop: CancellationToken,
}

impl Intake {
    /// How many tasks the worker could hold beside what it has, once `leaving` of them are gone.
    pub fn room(&self, leaving: usize) -> usize {
        if self.stop.is_cancelled() || self.backlog.is_isolating() {
            return 0;
        }
        let holdings = if self.weighing.is_on() { self.pace.slots() } else { self.pace.holdings() };
        holdings.saturating_sub(self.held.count().saturating_sub(leaving))
    }

    /// Claims into the room that `leaving` acknowledged tasks leave, inside their transaction.
    pub async fn take(
        &self,
        connection: &mut PgConnection,
        leaving: usize,
    ) -> Result<Vec<ClaimedTask>, QueueError> {
        // what fits is found by a claim of its own: this transaction holds locks that others wait for
        if self.weighing.is_on() {
            return Ok(vec![]);
        }
        // one transaction claims no more than it acknowledges twice over: the others on their way fill the rest
        match self.room(leaving).min(2 * leaving) {
            0 => Ok(vec![]),
            room => self.claimer.take(connection, u32::try_from(room).unwrap_or(u32::MAX)).await,
        }
    }

    /// Claims into all the room there is.
    pub async fn claim(&self, connection: &mut PgConnection) -> Result<Vec<ClaimedTask>, QueueError> {
        let weighs = self.weighing.look(&self.claimer, connection).await?;
        match self.room(0) {
            0 => Ok(vec![]),
            room if weighs => {
                self.claimer.claim_fitting(connection, u32::try_from(room).unwrap_or(u32::MAX)).await
            }
            room => self.claimer.claim(connection, u32::try_from(room).unwrap_or(u32::MAX)).await,
        }
    }

    /// Takes in what was claimed; returns the leases of what cannot start here, which are to be handed back.
    #[must_use]
    pub fn accept(&self, claimed: Vec<ClaimedTask>) -> Vec<Lease> {
        if claimed.is_empty() {
            return vec![];
        }
        let stops = self.held.add(claimed.iter().map(|claimed| claimed.lease));
        let assignments = claimed.into_iter().zip(stops);
        self.backlog.add(assignments.map(|(claimed, stop)| Assignment { claimed: Arc::new(claimed), stop }))
    }
}

//! Claimed tasks on their way to a slot.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use tale_queue::Lease;

use crate::source::Assignment;

/// Assignments in the order of their claims, and how many may run at a time.
///
/// A slot is taken when an assignment is handed to the runtime and free again when its attempt is over, acknowledged
/// or not; so a worker never runs more than it has slots for, however many tasks it holds.
#[derive(Debug, Clone)]
pub(crate) struct Backlog(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    waiting: VecDeque<(Instant, Assignment)>,
    slots_free: usize,
    is_closed: bool,
    waker: Option<Waker>,
}

impl Backlog {
    pub fn new(slots: usize) -> Self {
        let state = State { waiting: VecDeque::new(), slots_free: slots, is_closed: false, waker: None };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Adds claimed tasks; returns the leases of those that can no longer start.
    pub fn add(&self, assignments: impl IntoIterator<Item = Assignment>) -> Vec<Lease> {
        let mut state = self.lock();
        if state.is_closed {
            return assignments.into_iter().map(|assignment| assignment.claimed.lease).collect();
        }
        let now = Instant::now();
        state.waiting.extend(assignments.into_iter().map(|assignment| (now, assignment)));
        state.wake();
        vec![]
    }

    /// The next task to start, once a slot is free; nothing once the backlog is closed.
    pub fn poll_start(&self, context: &mut Context<'_>) -> Poll<Option<Assignment>> {
        let mut state = self.lock();
        if state.is_closed {
            return Poll::Ready(None);
        }
        if state.slots_free > 0
            && let Some((_, assignment)) = state.waiting.pop_front()
        {
            state.slots_free -= 1;
            return Poll::Ready(Some(assignment));
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// An attempt is over: its slot is free.
    pub fn free_slot(&self) {
        let mut state = self.lock();
        state.slots_free += 1;
        state.wake();
    }

    /// Takes back what has waited for longer than `limit`: somebody else may have a free slot.
    pub fn take_stale(&self, limit: Duration) -> Vec<Lease> {
        let mut state = self.lock();
        let mut stale = Vec::new();
        while state.waiting.front().is_some_and(|(since, _)| since.elapsed() > limit) {
            stale.extend(state.waiting.pop_front().map(|(_, assignment)| assignment.claimed.lease));
        }
        stale
    }

    /// Starts nothing any more; returns the leases of what had not started.
    pub fn close(&self) -> Vec<Lease> {
        let mut state = self.lock();
        state.is_closed = true;
        state.wake();
        state.waiting.drain(..).map(|(_, assignment)| assignment.claimed.lease).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // no code panics while it holds the lock
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

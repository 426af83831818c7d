//! Claimed tasks on their way to a slot.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use tale_queue::Lease;

use crate::source::Assignment;

/// A task that has lost so many workers runs alone: should it be what kills them, it takes nobody else's tasks with it.
const SUSPECT_AFTER: u32 = 2;

/// Assignments in the order of their claims, and how many may run at a time.
///
/// A task under suspicion waits until nothing else runs, and while it does nothing else starts. So whoever only happened
/// to be there when workers died gets a last try of its own.
///
/// A slot is taken when an assignment is handed to the runtime and free again when its attempt is over, acknowledged
/// or not; so a worker never runs more than it has slots for, however many tasks it holds.
#[derive(Debug, Clone)]
pub(crate) struct Backlog(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    waiting: VecDeque<(Instant, Assignment)>,
    suspect: Option<Assignment>,
    /// Whether the suspect runs.
    is_alone: bool,
    slots: usize,
    slots_free: usize,
    is_closed: bool,
    waker: Option<Waker>,
}

impl Backlog {
    pub fn new(slots: usize) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            suspect: None,
            is_alone: false,
            slots,
            slots_free: slots,
            is_closed: false,
            waker: None,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Adds claimed tasks; returns the leases of those that cannot start here.
    pub fn add(&self, assignments: impl IntoIterator<Item = Assignment>) -> Vec<Lease> {
        let mut state = self.lock();
        if state.is_closed {
            return assignments.into_iter().map(|assignment| assignment.claimed.lease).collect();
        }
        let now = Instant::now();
        let mut refused = Vec::new();
        for assignment in assignments {
            let is_suspect = assignment.claimed.crashes >= SUSPECT_AFTER;
            if state.is_alone || is_suspect && state.suspect.is_some() {
                refused.push(assignment.claimed.lease);
            } else if is_suspect {
                state.suspect = Some(assignment);
            } else {
                state.waiting.push_back((now, assignment));
            }
        }
        state.wake();
        refused
    }

    /// Whether a task must run alone, so that nothing more may be claimed before it has ended.
    pub fn is_isolating(&self) -> bool {
        let state = self.lock();
        state.is_alone || state.suspect.is_some()
    }

    /// The next task to start, once a slot is free; nothing once the backlog is closed.
    pub fn poll_start(&self, context: &mut Context<'_>) -> Poll<Option<Assignment>> {
        let mut state = self.lock();
        if state.is_closed {
            return Poll::Ready(None);
        }
        if let Some(assignment) = state.next() {
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
        state.is_alone = false;
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
        let suspect = state.suspect.take();
        let waiting = state.waiting.drain(..).map(|(_, assignment)| assignment);
        waiting.chain(suspect).map(|assignment| assignment.claimed.lease).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // no code panics while it holds the lock
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next task that may start now.
    fn next(&mut self) -> Option<Assignment> {
        if self.is_alone || self.slots_free == 0 {
            return None;
        }
        if let Some((_, assignment)) = self.waiting.pop_front() {
            return Some(assignment);
        }
        if self.slots_free < self.slots {
            return None;
        }
        let suspect = self.suspect.take();
        self.is_alone = suspect.is_some();
        suspect
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::task::noop_waker_ref;
    use serde_json::Value;
    use tale_primitives::{AttemptId, RunId, TaskId};
    use tale_queue::ClaimedTask;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn assignment(task: i64, crashes: u32) -> Assignment {
        let claimed = ClaimedTask {
            lease: Lease { task: TaskId::from_raw(task), attempt: AttemptId::from_raw(task) },
            run: RunId::generate(),
            pipeline: "test".to_owned(),
            version_id: 1,
            logical_date: "2026-11-26".parse().unwrap(),
            step: 0,
            step_name: "only".to_owned(),
            kind: "test".to_owned(),
            index: 0,
            arguments: Value::Null,
            attempt_number: crashes + 1,
            crashes,
            attempts_max: 1,
            timeout: None,
        };
        Assignment { claimed: Arc::new(claimed), stop: CancellationToken::new() }
    }

    /// The task that starts now, if one does.
    fn start(backlog: &Backlog) -> Option<i64> {
        match backlog.poll_start(&mut Context::from_waker(noop_waker_ref())) {
            Poll::Ready(Some(assignment)) => Some(assignment.claimed.lease.task.raw()),
            Poll::Ready(None) | Poll::Pending => None,
        }
    }

    fn tasks(leases: Vec<Lease>) -> Vec<i64> {
        leases.iter().map(|lease| lease.task.raw()).collect()
    }

    #[test]
    fn a_task_under_suspicion_waits_for_the_others_and_then_runs_alone() {
        let backlog = Backlog::new(4);
        assert!(backlog.add([assignment(1, 0), assignment(2, 2), assignment(3, 1)]).is_empty());
        assert!(backlog.is_isolating());
        assert_eq!([start(&backlog), start(&backlog), start(&backlog)], [Some(1), Some(3), None]);
        backlog.free_slot();
        assert_eq!(start(&backlog), None, "another still runs");
        backlog.free_slot();
        assert_eq!(start(&backlog), Some(2));
        assert_eq!(tasks(backlog.add([assignment(4, 0)])), [4], "nobody shares its fate");
        assert!(backlog.is_isolating());
        backlog.free_slot();
        assert!(!backlog.is_isolating());
        assert!(backlog.add([assignment(4, 0)]).is_empty());
        assert_eq!(start(&backlog), Some(4));
    }

    #[test]
    fn of_several_tasks_under_suspicion_a_worker_keeps_one() {
        let backlog = Backlog::new(2);
        assert_eq!(tasks(backlog.add([assignment(1, 2), assignment(2, 3), assignment(3, 0)])), [2]);
        assert_eq!(tasks(backlog.close()), [3, 1]);
    }
}

//! The auditor's model: what the queue must hold, derived from the pipelines and from every answer that the queue gave.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tale_primitives::{AttemptId, RunId, TaskId, WorkerId};
use tale_queue::{ClaimedTask, JoinRule, Lease, Priority};

use crate::{
    gates::Gate,
    places::Pipeline,
    plan::{Fate, LIMITS, PIPELINES, RunPlan, Shape, StepPlan},
};

/// How many workers a task may lose.
pub const CRASHES_MAX: u32 = 3;

/// A task: the run's number here, the step, and the index in its fan-out, −1 for the step's expansion.
pub type Key = (usize, usize, i32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Blocked,
    /// Told to go on, in a run that waits for its pipeline.
    Held,
    /// Nothing but its limit or its run's pause is in its way.
    Entered,
    Leased(Lease, WorkerId),
    Delayed,
    Waiting,
    Succeeded,
    Failed,
    Cancelled,
}

#[derive(Debug, Clone)]
pub struct TaskModel {
    pub place: Place,
    pub attempts: u16,
    pub crashes: u32,
    /// Whether it waits at its gate: what the database said last, and the gate's model found right.
    pub is_at_gate: bool,
    /// Whether it has come past its gate and may not be sent back there.
    pub has_passed: bool,
}

#[derive(Debug, Clone)]
pub struct StepModel {
    pub state: &'static str,
    pub unmet: usize,
    pub total: usize,
    pub open: usize,
    pub failed: usize,
    /// Whether it failed as a whole.
    pub is_broken: bool,
}

#[derive(Debug)]
pub struct RunModel {
    pub id: RunId,
    pub plan: RunPlan,
    pub parent: Option<Key>,
    pub state: &'static str,
    pub is_paused: bool,
    pub is_cancelled: bool,
    pub steps: Vec<StepModel>,
}

/// A pool of workers.
#[derive(Debug, Default)]
pub struct PoolModel {
    pub is_paused: bool,
    pub leases_max: Option<usize>,
}

/// Keeps the model and checks every answer against it.
#[derive(Debug)]
pub struct Auditor {
    pub runs: Vec<RunModel>,
    pub numbers: HashMap<RunId, usize>,
    pub tasks: BTreeMap<Key, TaskModel>,
    pub keys: HashMap<TaskId, Key>,
    pub pool: PoolModel,
    pub pipelines: Vec<Pipeline>,
    pub gates: Vec<Gate>,
    /// Runs that were told to stop.
    pub cancellations: BTreeSet<usize>,
    /// How often each task that is there was completed: as often as it left an effect.
    pub effects: BTreeMap<Key, i64>,
    /// All effects, those of tasks that were found anew since included.
    pub effects_total: i64,
    /// Whether the last look at the database showed all that had happened.
    pub is_up_to_date: bool,
    attempts: BTreeSet<AttemptId>,
}

impl Auditor {
    pub fn new() -> Self {
        Self {
            runs: vec![],
            numbers: HashMap::new(),
            tasks: BTreeMap::new(),
            keys: HashMap::new(),
            pool: PoolModel::default(),
            pipelines: PIPELINES.map(|(_, runs_max)| Pipeline::new(runs_max)).into(),
            gates: LIMITS.map(|(_, capacity, rate)| Gate::new(capacity, rate)).into(),
            cancellations: BTreeSet::new(),
            effects: BTreeMap::new(),
            effects_total: 0,
            is_up_to_date: false,
            attempts: BTreeSet::new(),
        }
    }

    pub fn started(&mut self, id: RunId, plan: &RunPlan, parent: Option<Key>) {
        let run = self.runs.len();
        let steps = plan.steps.iter().map(|step| {
            let known = if step.is_known() { step.fates.len() } else { 0 };
            let unmet = step.needs.len();
            StepModel { state: "waiting", unmet, total: known, open: known, failed: 0, is_broken: false }
        });
        let steps = steps.collect();
        let plan = plan.clone();
        let (is_paused, is_cancelled) = (false, false);
        self.runs.push(RunModel { id, plan, parent, state: "running", is_paused, is_cancelled, steps });
        self.numbers.insert(id, run);
        if let Some(parent) = parent {
            let Place::Leased(..) = self.task(parent).place else { panic!("{parent:?} was not held") };
            self.task(parent).place = Place::Waiting;
        }
        for step in 0..self.runs[run].steps.len() {
            let planned = self.plan((run, step, 0));
            if planned.is_known() {
                for index in 0..planned.fates.len() as i32 {
                    self.insert((run, step, index), Place::Blocked);
                }
            }
        }
        // a sub-run goes on where its parent does
        if parent.is_some() || self.take_place(run) {
            self.open_run(run);
        }
    }

    /// Whether a claim of `count` gave what it had to: as much as there was room for, the most urgent first.
    pub fn claims(&self, is_scheduler: bool, count: usize, claimed: &[ClaimedTask]) {
        if !self.is_up_to_date {
            return;
        }
        let priority = |key: &Key| self.runs[key.0].plan.priority as i16;
        let ready: Vec<&Key> = self.tasks.keys().filter(|key| self.is_ready(**key, is_scheduler)).collect();
        let held = |(key, task): &(&Key, &TaskModel)| {
            matches!(task.place, Place::Leased(..)) && self.is_schedulers(**key) == is_scheduler
        };
        let limit = self.pool.leases_max.filter(|_| !is_scheduler).unwrap_or(usize::MAX);
        let room = limit.saturating_sub(self.tasks.iter().filter(held).count());
        let room = if self.pool.is_paused && !is_scheduler { 0 } else { room };
        assert_eq!(
            claimed.len(),
            ready.len().min(count).min(room),
            "of {count}, with room for {room}: {ready:?}"
        );
        let taken: BTreeSet<Key> = claimed.iter().map(|task| self.key_of(task)).collect();
        let last = taken.iter().map(priority).max();
        let left = ready.iter().filter(|key| !taken.contains(key)).map(|key| priority(key)).min();
        assert!(last.is_none() || left.is_none() || last <= left, "{taken:?} were taken before {ready:?}");
    }

    pub fn claimed(&mut self, worker: WorkerId, task: &ClaimedTask) -> Key {
        let key = self.key_of(task);
        assert!(self.attempts.insert(task.lease.attempt), "attempt {} was issued twice", task.lease.attempt);
        self.keys.insert(task.lease.task, key);
        let plan = self.plan(key);
        let states: Vec<&str> = plan.needs.iter().map(|need| self.runs[key.0].steps[*need].state).collect();
        let is_good = |state: &&str| matches!(*state, "succeeded" | "skipped");
        let is_over = |state: &&str| !matches!(*state, "waiting" | "expanding" | "running");
        let may_start = match plan.join {
            JoinRule::AllSuccess => states.iter().all(is_good),
            JoinRule::AllDone => states.iter().all(is_over),
            JoinRule::AnySuccess => states.is_empty() || states.iter().any(is_good),
        };
        assert!(may_start, "{key:?} started although what it needs is {states:?}");
        let known = self.task(key);
        assert_eq!(known.place, Place::Entered, "{key:?} was given to {worker}");
        assert_eq!(task.attempt_number, u32::from(known.attempts) + known.crashes + 1);
        known.place = Place::Leased(task.lease, worker);
        (known.has_passed, known.is_at_gate) = (true, false);
        key
    }

    /// Whether this attempt still holds its task.
    pub fn holds(&self, lease: Lease) -> bool {
        let task = self.keys.get(&lease.task).and_then(|key| self.tasks.get(key));
        task.is_some_and(|task| matches!(task.place, Place::Leased(current, _) if current == lease))
    }

    /// The attempts of these that must win, checked against those that did.
    fn winners(&self, leases: &[Lease], won: &[TaskId]) -> Vec<Key> {
        let expected: BTreeSet<TaskId> =
            leases.iter().filter(|lease| self.holds(**lease)).map(|lease| lease.task).collect();
        assert_eq!(won.iter().copied().collect::<BTreeSet<_>>(), expected, "of {leases:?}");
        assert_eq!(won.len(), expected.len(), "a task won twice");
        expected.iter().map(|task| self.keys[task]).collect()
    }

    pub fn completed(&mut self, leases: &[Lease], won: &[TaskId]) {
        for key in self.winners(leases, won) {
            *self.effects.entry(key).or_default() += 1;
            self.effects_total += 1;
            self.task(key).place = Place::Succeeded;
            self.count_off(key, false);
        }
    }

    pub fn failed(&mut self, leases: &[Lease], won: &[TaskId]) {
        for key in self.winners(leases, won) {
            let (is_final, attempts_max) = (self.fate(key).is_final, self.plan(key).attempts_max);
            let task = self.task(key);
            task.attempts += 1;
            if is_final || task.attempts >= attempts_max {
                task.place = Place::Failed;
                self.count_off(key, true);
            } else {
                (task.place, task.has_passed) = (Place::Delayed, false);
            }
        }
    }

    pub fn released(&mut self, leases: &[Lease], count: u32) {
        let held: BTreeSet<Key> =
            leases.iter().filter(|lease| self.holds(**lease)).map(|lease| self.keys[&lease.task]).collect();
        assert_eq!(held.len(), count as usize);
        for key in held {
            self.task(key).place = Place::Entered;
        }
    }

    /// The worker said what it holds: everything else that it was given goes back.
    pub fn beaten(&mut self, worker: WorkerId, held: &[Lease], lost: &[AttemptId]) {
        let expected: BTreeSet<AttemptId> =
            held.iter().filter(|lease| !self.holds(**lease)).map(|lease| lease.attempt).collect();
        assert_eq!(lost.iter().copied().collect::<BTreeSet<_>>(), expected, "what {worker} has lost");
        for task in self.tasks.values_mut() {
            if matches!(task.place, Place::Leased(lease, holder) if holder == worker && !held.contains(&lease))
            {
                task.place = Place::Entered;
            }
        }
    }

    pub fn reaped(&mut self, dead: &[WorkerId], reaped: &BTreeMap<TaskId, bool>) {
        let lost: Vec<Key> = self
            .tasks
            .iter()
            .filter(|(_, task)| matches!(task.place, Place::Leased(_, worker) if dead.contains(&worker)))
            .map(|(key, _)| *key)
            .collect();
        assert_eq!(lost.len(), reaped.len(), "the reaper takes the tasks of the dead");
        for key in lost {
            let task = self.task(key);
            let Place::Leased(lease, _) = task.place else { panic!("it was leased just now") };
            task.crashes += 1;
            let is_dead = task.crashes >= CRASHES_MAX;
            task.place = if is_dead { Place::Failed } else { Place::Entered };
            assert_eq!(reaped.get(&lease.task), Some(&is_dead), "{key:?}");
            match (is_dead, key.2) {
                (false, _) => {}
                (true, -1) => self.break_step(key),
                (true, _) => self.count_off(key, true),
            }
        }
    }

    pub fn promoted(&mut self, count: u32) {
        let due: Vec<Key> =
            self.tasks.iter().filter(|(_, task)| task.place == Place::Delayed).map(|(key, _)| *key).collect();
        assert_eq!(due.len(), count as usize);
        for key in due {
            self.admit(key);
        }
    }

    /// The scheduler acknowledged an expansion that started `indexes`.
    pub fn expanded(&mut self, key: Key, indexes: std::ops::Range<i32>) {
        let (run, step, _) = key;
        let total = self.plan(key).fates.len();
        let is_sequence = self.plan(key).shape == Shape::Sequence;
        let comes_back = is_sequence && (indexes.end as usize) < total;
        self.task(key).place = if comes_back { Place::Waiting } else { Place::Succeeded };
        if self.plan(key).shape == Shape::Skipped {
            return self.end_step(run, step, "skipped");
        }
        let model = &mut self.runs[run].steps[step];
        if model.state == "expanding" {
            (model.state, model.total, model.open) = ("running", total, total);
        }
        for index in indexes {
            self.insert((run, step, index), Place::Blocked);
            self.admit((run, step, index));
        }
        if total == 0 {
            self.end_step(run, step, "succeeded");
        }
    }

    /// A step cannot be expanded: its expressions are wrong, or its expansion has killed too many schedulers.
    pub fn break_step(&mut self, key: Key) {
        self.task(key).place = Place::Failed;
        let step = &mut self.runs[key.0].steps[key.1];
        (step.is_broken, step.open) = (true, 0);
        self.end_step(key.0, key.1, "failed");
    }

    /// A question was asked.
    pub fn asked(&mut self, key: Key) {
        self.task(key).place = Place::Waiting;
    }

    /// The open questions.
    pub fn questions(&self) -> BTreeSet<Key> {
        let is_open = |(key, task): &(&Key, &TaskModel)| {
            task.place == Place::Waiting && key.2 >= 0 && self.plan(**key).shape == Shape::Questions
        };
        self.tasks.iter().filter(is_open).map(|(key, _)| *key).collect()
    }

    /// A question was answered.
    pub fn answered(&mut self, key: Key, is_approved: bool) {
        self.task(key).place = if is_approved { Place::Succeeded } else { Place::Failed };
        self.count_off(key, !is_approved);
    }

    pub fn key_of(&self, task: &ClaimedTask) -> Key {
        (self.numbers[&task.run], usize::from(task.step), task.index)
    }

    pub fn plan(&self, key: Key) -> &StepPlan {
        &self.runs[key.0].plan.steps[key.1]
    }

    pub fn fate(&self, key: Key) -> &Fate {
        &self.plan(key).fates[key.2 as usize]
    }

    /// Whether the next attempt at a task fails, as far as anybody knows it still.
    pub fn fails_next(&self, key: Key) -> bool {
        self.tasks.get(&key).is_some_and(|task| task.attempts < self.fate(key).failures)
    }

    pub fn task(&mut self, key: Key) -> &mut TaskModel {
        self.tasks.get_mut(&key).unwrap_or_else(|| panic!("{key:?} is not known"))
    }

    pub fn is_schedulers(&self, key: Key) -> bool {
        key.2 < 0 || self.plan(key).is_schedulers()
    }

    /// Whether the database must give it to whoever claims.
    fn is_ready(&self, key: Key, is_scheduler: bool) -> bool {
        let task = &self.tasks[&key];
        task.place == Place::Entered
            && !task.is_at_gate
            && !self.runs[key.0].is_paused
            && self.is_schedulers(key) == is_scheduler
    }

    pub fn insert(&mut self, key: Key, place: Place) {
        let task = TaskModel { place, attempts: 0, crashes: 0, is_at_gate: false, has_passed: false };
        assert!(self.tasks.insert(key, task).is_none(), "{key:?} came twice");
    }
}

/// Whether the more urgent comes first, as the database counts.
const _: () = assert!((Priority::Urgent as i16) < Priority::Background as i16);

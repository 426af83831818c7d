//! The auditor's model: what the queue must hold, derived from the pipelines and from every answer that the queue gave.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tale_primitives::{AttemptId, RunId, TaskId, WorkerId};
use tale_queue::{ClaimedTask, Lease};

use crate::plan::{Fate, RunPlan, Shape, StepPlan};

/// How many workers a task may lose.
pub const CRASHES_MAX: u32 = 3;

/// A task: the run's number here, the step, and the index in its fan-out, −1 for the step's expansion.
pub type Key = (usize, usize, i32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Blocked,
    Ready,
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
}

#[derive(Debug, Clone)]
pub struct StepModel {
    pub state: &'static str,
    pub unmet: usize,
    pub total: usize,
    pub open: usize,
    pub failed: usize,
}

#[derive(Debug)]
pub struct RunModel {
    pub id: RunId,
    pub plan: RunPlan,
    pub parent: Option<Key>,
    pub state: &'static str,
    pub steps: Vec<StepModel>,
}

/// Keeps the model and checks every answer against it.
#[derive(Debug, Default)]
pub struct Auditor {
    pub runs: Vec<RunModel>,
    pub numbers: HashMap<RunId, usize>,
    pub tasks: BTreeMap<Key, TaskModel>,
    pub keys: HashMap<TaskId, Key>,
    attempts: BTreeSet<AttemptId>,
    /// Tasks that a worker completed: each left one effect.
    pub effects: BTreeSet<Key>,
}

impl Auditor {
    pub fn started(&mut self, id: RunId, plan: &RunPlan, parent: Option<Key>) {
        let run = self.runs.len();
        let steps = plan.steps.iter().map(|step| {
            let known = if step.is_known() { step.fates.len() } else { 0 };
            StepModel { state: "waiting", unmet: step.needs.len(), total: known, open: known, failed: 0 }
        });
        self.runs.push(RunModel { id, plan: plan.clone(), parent, state: "running", steps: steps.collect() });
        self.numbers.insert(id, run);
        if let Some(parent) = parent {
            let Place::Leased(..) = self.task(parent).place else { panic!("{parent:?} was not held") };
            self.task(parent).place = Place::Waiting;
        }
        for (step, planned) in plan.steps.iter().enumerate().filter(|(_, step)| step.is_known()) {
            for index in 0..planned.fates.len() as i32 {
                self.insert((run, step, index), Place::Blocked);
            }
        }
        let roots: Vec<usize> =
            (0..plan.steps.len()).filter(|step| plan.steps[*step].needs.is_empty()).collect();
        for root in roots {
            self.release(run, root);
        }
    }

    pub fn claimed(&mut self, worker: WorkerId, task: &ClaimedTask) -> Key {
        let key = (self.numbers[&task.run], usize::from(task.step), task.index);
        assert!(self.attempts.insert(task.lease.attempt), "attempt {} was issued twice", task.lease.attempt);
        self.keys.insert(task.lease.task, key);
        for need in self.plan(key).needs.clone() {
            let state = self.runs[key.0].steps[need].state;
            assert!(
                matches!(state, "succeeded" | "skipped"),
                "{key:?} started although step {need} is {state}"
            );
        }
        let known = self.task(key);
        assert_eq!(known.place, Place::Ready, "{key:?} was given to {worker}");
        assert_eq!(task.attempt_number, u32::from(known.attempts) + known.crashes + 1);
        known.place = Place::Leased(task.lease, worker);
        key
    }

    /// Whether this attempt still holds its task.
    pub fn holds(&self, lease: Lease) -> bool {
        let key = self.keys[&lease.task];
        matches!(self.tasks[&key].place, Place::Leased(current, _) if current == lease)
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
            assert!(self.effects.insert(key), "{key:?} was completed twice");
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
                task.place = Place::Delayed;
            }
        }
    }

    pub fn released(&mut self, leases: &[Lease], count: u32) {
        let held: Vec<Lease> = leases.iter().copied().filter(|lease| self.holds(*lease)).collect();
        assert_eq!(held.len(), count as usize);
        for lease in held {
            let key = self.keys[&lease.task];
            self.task(key).place = Place::Ready;
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
                task.place = Place::Ready;
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
            task.place = if is_dead { Place::Failed } else { Place::Ready };
            assert_eq!(reaped.get(&lease.task), Some(&is_dead), "{key:?}");
            match (is_dead, key.2) {
                (false, _) => {}
                (true, -1) => self.end_step(key.0, key.1, "failed"),
                (true, _) => self.count_off(key, true),
            }
        }
    }

    pub fn promoted(&mut self, count: u32) {
        let mut delayed = 0;
        for task in self.tasks.values_mut().filter(|task| task.place == Place::Delayed) {
            task.place = Place::Ready;
            delayed += 1;
        }
        assert_eq!(delayed, count);
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
            self.insert((run, step, index), Place::Ready);
        }
        if total == 0 {
            self.end_step(run, step, "succeeded");
        }
    }

    pub fn unreadable(&mut self, key: Key) {
        self.task(key).place = Place::Failed;
        self.end_step(key.0, key.1, "failed");
    }

    pub fn plan(&self, key: Key) -> &StepPlan {
        &self.runs[key.0].plan.steps[key.1]
    }

    pub fn fate(&self, key: Key) -> &Fate {
        &self.plan(key).fates[key.2 as usize]
    }

    pub fn task(&mut self, key: Key) -> &mut TaskModel {
        self.tasks.get_mut(&key).unwrap_or_else(|| panic!("{key:?} is not known"))
    }

    fn insert(&mut self, key: Key, place: Place) {
        let task = TaskModel { place, attempts: 0, crashes: 0 };
        assert!(self.tasks.insert(key, task).is_none(), "{key:?} came twice");
    }

    fn release(&mut self, run: usize, step: usize) {
        if !self.plan((run, step, 0)).is_known() {
            self.runs[run].steps[step].state = "expanding";
            return self.insert((run, step, -1), Place::Ready);
        }
        self.runs[run].steps[step].state = "running";
        for (_, task) in self.tasks.range_mut((run, step, 0)..(run, step + 1, -1)) {
            task.place = Place::Ready;
        }
        if self.runs[run].steps[step].open == 0 {
            self.end_step(run, step, "succeeded");
        }
    }

    fn count_off(&mut self, (run, step, _): Key, failed: bool) {
        let is_sequence = self.plan((run, step, 0)).shape == Shape::Sequence;
        let tolerate_ppm = u64::from(self.plan((run, step, 0)).tolerate_ppm);
        let model = &mut self.runs[run].steps[step];
        model.open -= 1;
        model.failed += usize::from(failed);
        if is_sequence && failed {
            model.open = 0;
        }
        let (open, failures, total) = (model.open, model.failed as u64, model.total as u64);
        if is_sequence && self.task((run, step, -1)).place == Place::Waiting {
            self.task((run, step, -1)).place = if open > 0 { Place::Ready } else { Place::Cancelled };
        }
        if open == 0 {
            let fails = failures * 1_000_000 > total * tolerate_ppm || is_sequence && failures > 0;
            self.end_step(run, step, if fails { "failed" } else { "succeeded" });
        }
    }

    fn end_step(&mut self, run: usize, step: usize, state: &'static str) {
        let is_good = matches!(state, "succeeded" | "skipped");
        self.runs[run].steps[step].state = state;
        for dependent in self.runs[run].plan.steps[step].dependents.clone() {
            let model = &mut self.runs[run].steps[dependent];
            if model.state != "waiting" {
                continue;
            }
            if is_good {
                model.unmet -= 1;
                if model.unmet == 0 {
                    self.release(run, dependent);
                }
            } else {
                for (_, task) in self.tasks.range_mut((run, dependent, 0)..(run, dependent + 1, -1)) {
                    task.place = Place::Cancelled;
                }
                self.end_step(run, dependent, "upstream_failed");
            }
        }
        self.end_run(run);
    }

    fn end_run(&mut self, run: usize) {
        let model = &mut self.runs[run];
        let (open, failed) = model.counts();
        if open > 0 || model.state != "running" {
            return;
        }
        model.state = if failed == 0 { "succeeded" } else { "failed" };
        if let Some(parent) = model.parent {
            self.task(parent).place = if failed == 0 { Place::Succeeded } else { Place::Failed };
            self.count_off(parent, failed > 0);
        }
    }
}

impl RunModel {
    /// How many steps are open, and how many have failed or are barred.
    pub fn counts(&self) -> (usize, usize) {
        let open = |step: &&StepModel| matches!(step.state, "waiting" | "expanding" | "running");
        let failed = |step: &&StepModel| matches!(step.state, "failed" | "upstream_failed");
        (self.steps.iter().filter(open).count(), self.steps.iter().filter(failed).count())
    }
}

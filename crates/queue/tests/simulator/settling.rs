//! The model of what follows from an ended task: steps end, others open or are barred, runs end, their parents go on.

use tale_queue::JoinRule;

use crate::{
    auditor::{Auditor, Key, Place, RunModel, StepModel},
    plan::Shape,
};

impl Auditor {
    /// Opens the steps of a run that need no other.
    pub fn open_run(&mut self, run: usize) {
        let held: Vec<Key> = self.tasks_of(run, |task| task == Place::Held);
        for key in held {
            self.admit(key);
        }
        let is_root = |step: &StepModel| step.state == "waiting" && step.unmet == 0;
        let steps = &self.runs[run].steps;
        let roots: Vec<usize> = (0..steps.len()).filter(|step| is_root(&steps[*step])).collect();
        for root in roots {
            self.release(run, root);
        }
    }

    fn release(&mut self, run: usize, step: usize) {
        if !self.plan((run, step, 0)).is_known() {
            self.runs[run].steps[step].state = "expanding";
            return self.insert((run, step, -1), Place::Entered);
        }
        self.runs[run].steps[step].state = "running";
        for index in 0..self.plan((run, step, 0)).fates.len() as i32 {
            self.admit((run, step, index));
        }
        if self.runs[run].steps[step].open == 0 {
            self.end_step(run, step, "succeeded");
        }
    }

    pub fn count_off(&mut self, (run, step, _): Key, failed: bool) {
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
            self.task((run, step, -1)).place = if open > 0 { Place::Entered } else { Place::Cancelled };
        }
        if open == 0 {
            let fails = failures * 1_000_000 > total * tolerate_ppm || is_sequence && failures > 0;
            self.end_step(run, step, if fails { "failed" } else { "succeeded" });
        }
    }

    pub fn end_step(&mut self, run: usize, step: usize, state: &'static str) {
        let is_good = matches!(state, "succeeded" | "skipped");
        self.runs[run].steps[step].state = state;
        for dependent in self.runs[run].plan.steps[step].dependents.clone() {
            let join = self.plan((run, dependent, 0)).join;
            let model = &mut self.runs[run].steps[dependent];
            if model.state != "waiting" {
                continue;
            }
            let is_barred = match join {
                JoinRule::AllSuccess => !is_good,
                JoinRule::AnySuccess => !is_good && model.unmet == 1,
                JoinRule::AllDone => false,
            };
            if is_barred {
                self.cancel_tasks(run, dependent);
                self.end_step(run, dependent, "upstream_failed");
                continue;
            }
            model.unmet = if is_good && join == JoinRule::AnySuccess { 0 } else { model.unmet - 1 };
            if model.unmet == 0 {
                self.release(run, dependent);
            }
        }
        self.end_run(run);
    }

    fn end_run(&mut self, run: usize) {
        let model = &mut self.runs[run];
        let (open, failed) = model.counts();
        if open > 0 || model.has_ended() {
            return;
        }
        model.state = match (model.is_cancelled, failed) {
            (true, _) => "cancelled",
            (false, 0) => "succeeded",
            (false, _) => "failed",
        };
        let has_succeeded = model.state == "succeeded";
        if let Some(parent) = model.parent
            && self.tasks.get(&parent).is_some_and(|task| task.place == Place::Waiting)
        {
            self.task(parent).place = if has_succeeded { Place::Succeeded } else { Place::Failed };
            self.count_off(parent, !has_succeeded);
        }
        self.give_place(run);
    }

    /// Stops everything of the runs that were told to stop, and of their sub-runs, but the steps that run finally.
    pub fn swept(&mut self) {
        let mut tree: Vec<usize> = self.cancellations.iter().copied().collect();
        let mut next = 0;
        while next < tree.len() {
            let above = tree[next];
            let below: Vec<usize> = (0..self.runs.len())
                .filter(|run| {
                    let model = &self.runs[*run];
                    let is_below = |parent: Key| {
                        parent.0 == above
                            && !self.plan(parent).is_finally
                            && matches!(self.tasks[&parent].place, Place::Waiting | Place::Cancelled)
                    };
                    !model.has_ended() && model.parent.is_some_and(is_below)
                })
                .collect();
            tree.extend(below.into_iter().filter(|run| !tree.contains(run)).collect::<Vec<_>>());
            next += 1;
        }
        tree.retain(|run| !self.runs[*run].has_ended());
        for run in &tree {
            self.runs[*run].is_cancelled = true;
        }
        for run in &tree {
            for step in 0..self.runs[*run].steps.len() {
                if !self.plan((*run, step, 0)).is_finally {
                    self.cancel_tasks(*run, step);
                }
            }
        }
        // all of them stop before anything follows from that
        let mut stopped = Vec::new();
        for run in &tree {
            for step in 0..self.runs[*run].steps.len() {
                let is_open = self.runs[*run].steps[step].is_open();
                if is_open && !self.plan((*run, step, 0)).is_finally {
                    self.runs[*run].steps[step].state = "cancelled";
                    stopped.push((*run, step));
                }
            }
        }
        for (run, step) in stopped {
            self.end_step(run, step, "cancelled");
        }
    }

    /// Nothing more comes of the tasks of a step.
    fn cancel_tasks(&mut self, run: usize, step: usize) {
        let open: Vec<Key> = self
            .tasks_of(run, |place| !matches!(place, Place::Succeeded | Place::Failed | Place::Cancelled))
            .into_iter()
            .filter(|key| key.1 == step)
            .collect();
        for key in open {
            self.forget_at_gate(key);
            self.task(key).place = Place::Cancelled;
        }
    }

    pub fn tasks_of(&self, run: usize, is_wanted: impl Fn(Place) -> bool) -> Vec<Key> {
        let tasks = self.tasks.range((run, 0, i32::MIN)..(run + 1, 0, i32::MIN));
        tasks.filter(|(_, task)| is_wanted(task.place)).map(|(key, _)| *key).collect()
    }
}

impl StepModel {
    pub fn is_open(&self) -> bool {
        matches!(self.state, "waiting" | "expanding" | "running")
    }
}

impl RunModel {
    pub fn has_ended(&self) -> bool {
        !matches!(self.state, "queued" | "running")
    }

    /// How many steps are open, and how many have failed or are barred.
    pub fn counts(&self) -> (usize, usize) {
        let failed = |step: &&StepModel| matches!(step.state, "failed" | "upstream_failed");
        (self.steps.iter().filter(|step| step.is_open()).count(), self.steps.iter().filter(failed).count())
    }
}

//! The model of running an ended run again.

use std::collections::BTreeSet;

use tale_queue::JoinRule;

use crate::{
    auditor::{Auditor, Key, Place},
    plan::Shape,
};

impl Auditor {
    /// The run runs again: what did not end well, what is in `from`, and everything after that. Returns how many steps.
    pub fn retried(&mut self, run: usize, from: &[usize], only_failed: bool) -> usize {
        let model = &self.runs[run];
        if !model.has_ended() {
            return 0;
        }
        let is_bad = |state: &str| matches!(state, "failed" | "upstream_failed" | "cancelled");
        let first: BTreeSet<usize> = (0..model.steps.len())
            .filter(|step| is_bad(model.steps[*step].state) || from.contains(step))
            .collect();
        let mut below = BTreeSet::new();
        let mut reached: Vec<usize> = first.iter().copied().collect();
        while let Some(step) = reached.pop() {
            for dependent in &model.plan.steps[step].dependents {
                if below.insert(*dependent) {
                    reached.push(*dependent);
                }
            }
        }
        let is_partly = |step: &usize| {
            let model = &model.steps[*step];
            only_failed
                && !below.contains(step)
                && self.plan((run, *step, 0)).shape != Shape::Sequence
                && matches!(model.state, "failed" | "cancelled")
                && model.total > 0
                && !model.is_broken
                && !from.contains(step)
        };
        let partly: BTreeSet<usize> = first.iter().copied().filter(is_partly).collect();
        let again: BTreeSet<usize> = first.union(&below).copied().collect();
        let whole: BTreeSet<usize> = again.difference(&partly).copied().collect();
        if again.is_empty() {
            return 0;
        }
        let is_reset = |key: &Key, place: Place| {
            whole.contains(&key.1) || partly.contains(&key.1) && place != Place::Succeeded
        };
        // the runs that the old tasks waited for are runs of their own from now on
        for other in 0..self.runs.len() {
            if let Some(parent) = self.runs[other].parent
                && parent.0 == run
                && is_reset(&parent, self.tasks[&parent].place)
            {
                self.runs[other].parent = None;
            }
        }
        let mut told = Vec::new();
        for key in self.tasks_of(run, |_| true) {
            if whole.contains(&key.1) && !self.plan(key).is_known() {
                self.tasks.remove(&key);
                self.effects.remove(&key);
            } else if whole.contains(&key.1) {
                self.reset(key, Place::Blocked);
            } else if partly.contains(&key.1)
                && key.2 >= 0
                && matches!(self.tasks[&key].place, Place::Failed | Place::Cancelled)
            {
                self.reset(key, Place::Held);
                told.push(key);
            }
        }
        let good: BTreeSet<usize> = (0..self.runs[run].steps.len())
            .filter(|step| {
                !again.contains(step) && matches!(self.runs[run].steps[*step].state, "succeeded" | "skipped")
            })
            .collect();
        for step in &whole {
            let plan = self.plan((run, *step, 0)).clone();
            let known = if plan.is_known() { plan.fates.len() } else { 0 };
            let opens =
                plan.join == JoinRule::AnySuccess && plan.needs.iter().any(|need| good.contains(need));
            let unmet = plan.needs.iter().filter(|need| again.contains(need)).count();
            let model = &mut self.runs[run].steps[*step];
            (model.state, model.is_broken, model.failed) = ("waiting", false, 0);
            (model.total, model.open) = (known, known);
            model.unmet = if opens { 0 } else { unmet };
        }
        for step in &partly {
            let open = told.iter().filter(|key| key.1 == *step).count();
            let model = &mut self.runs[run].steps[*step];
            (model.state, model.failed, model.open) = ("running", 0, open);
        }
        self.cancellations.remove(&run);
        (self.runs[run].state, self.runs[run].is_cancelled) = ("running", false);
        if self.runs[run].parent.is_some() || self.take_place(run) {
            self.open_run(run);
        }
        again.len()
    }

    fn reset(&mut self, key: Key, place: Place) {
        let task = self.task(key);
        (task.place, task.attempts, task.crashes) = (place, 0, 0);
        (task.has_passed, task.is_at_gate) = (false, false);
    }
}

//! Random pipelines, and what happens to each of their tasks.

use rand::{Rng, RngExt};
use serde_json::Value;
use tale_queue::{JoinRule, Limit, NewStep, NewTask, Patience, Retry, SCHEDULER_POOL};

/// A run to come.
#[derive(Debug, Clone)]
pub struct RunPlan {
    pub steps: Vec<StepPlan>,
}

/// A step to come.
#[derive(Debug, Clone)]
pub struct StepPlan {
    pub needs: Vec<usize>,
    pub dependents: Vec<usize>,
    pub shape: Shape,
    pub tolerate_ppm: u32,
    pub attempts_max: u16,
    /// One per task.
    pub fates: Vec<Fate>,
}

/// How a step comes to its tasks.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// They are known when the run starts.
    Known,
    /// The scheduler finds them.
    Found,
    /// The scheduler finds that the step is skipped.
    Skipped,
    /// The scheduler cannot evaluate the step.
    Unreadable,
    /// The scheduler finds them one after another.
    Sequence,
    /// Each waits for a sub-run.
    SubRuns,
}

/// What becomes of a task.
#[derive(Debug, Clone)]
pub struct Fate {
    /// How many of its attempts fail before one succeeds.
    pub failures: u16,
    /// Whether such a failure is final.
    pub is_final: bool,
    /// The run that it waits for.
    pub child: Option<RunPlan>,
}

/// A random run; those at depth 2 have no sub-runs.
pub fn random_run(rng: &mut impl Rng, depth: u32) -> RunPlan {
    let count = rng.random_range(1..=if depth == 0 { 7 } else { 3 });
    let mut steps: Vec<StepPlan> = Vec::new();
    for index in 0..count {
        let needs: Vec<usize> = (0..index).filter(|_| rng.random_bool(0.35)).collect();
        for need in &needs {
            steps[*need].dependents.push(index);
        }
        let shape = match rng.random_range(0..20) {
            0..8 => Shape::Known,
            8..12 => Shape::Found,
            12..14 => Shape::Skipped,
            14 => Shape::Unreadable,
            15..18 => Shape::Sequence,
            _ if depth < 2 => Shape::SubRuns,
            _ => Shape::Known,
        };
        let tasks = match shape {
            Shape::Skipped | Shape::Unreadable => 0,
            Shape::SubRuns => rng.random_range(1..=2),
            _ if depth > 0 => rng.random_range(0..=3),
            _ => rng.random_range(0..=6),
        };
        let children = shape == Shape::SubRuns;
        let fates = (0..tasks)
            .map(|_| Fate {
                failures: if rng.random_bool(0.3) { rng.random_range(1..=3) } else { 0 },
                is_final: rng.random_bool(0.3),
                child: children.then(|| random_run(rng, depth + 1)),
            })
            .collect();
        let tolerate_ppm = if rng.random_bool(0.4) { 300_000 } else { 0 };
        let attempts_max = rng.random_range(1..=4);
        steps.push(StepPlan { needs, dependents: vec![], shape, tolerate_ppm, attempts_max, fates });
    }
    RunPlan { steps }
}

impl StepPlan {
    pub fn is_known(&self) -> bool {
        matches!(self.shape, Shape::Known | Shape::SubRuns)
    }

    pub fn tasks(&self) -> Vec<NewTask> {
        (0..self.fates.len() as u32)
            .map(|index| NewTask { index, arguments: Value::Null, limit_key: None })
            .collect()
    }

    pub fn to_new_step(&self, index: usize) -> NewStep {
        let pool = if self.shape == Shape::SubRuns { SCHEDULER_POOL } else { "cpu" };
        NewStep {
            name: format!("step-{index}"),
            kind: "simulated".to_owned(),
            needs: self.needs.len() as u32,
            dependents: self.dependents.iter().map(|dependent| *dependent as u16).collect(),
            pool: pool.to_owned(),
            retry: Retry { attempts_max: self.attempts_max, backoff_base_ms: 60_000, backoff_cap_ms: 90_000 },
            timeout_ms: None,
            patience: Patience::default(),
            tolerate_ppm: self.tolerate_ppm,
            join: JoinRule::AllSuccess,
            is_finally: false,
            limit: Limit::default(),
            sequence: self.shape == Shape::Sequence,
            tasks: self.is_known().then(|| self.tasks()),
        }
    }
}

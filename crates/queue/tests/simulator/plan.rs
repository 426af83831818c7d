//! Random pipelines, and what happens to each of their tasks.

use rand::{Rng, RngExt};
use serde_json::Value;
use tale_queue::{
    JoinRule, Limit, NewStep, NewTask, Patience, Priority, Rate, Resources, Retry, SCHEDULER_POOL,
};

/// A rate of so many in ten hours: none comes back but those that the world hands out.
pub const RATE_MS: u64 = 36_000_000;

/// The limits that steps may have: their keys, how many tasks at a time, how many within [`RATE_MS`]. The last is for tasks
/// that wait for sub-runs: they keep their places meanwhile, for which what they wait for must not wait.
pub const LIMITS: [(&str, Option<u32>, Option<u32>); 5] = [
    ("one", Some(1), None),
    ("three", Some(3), None),
    ("slow", None, Some(3)),
    ("both", Some(2), Some(4)),
    ("runs", Some(1), None),
];

/// The pipelines that runs belong to, and how many runs of them go on at a time.
pub const PIPELINES: [(&str, Option<u32>); 2] = [("wide", None), ("narrow", Some(1))];

/// A run to come.
#[derive(Debug, Clone)]
pub struct RunPlan {
    /// An index in [`PIPELINES`].
    pub pipeline: usize,
    pub priority: Priority,
    pub tenant: Option<&'static str>,
    pub steps: Vec<StepPlan>,
}

/// A step to come.
#[derive(Debug, Clone)]
pub struct StepPlan {
    pub needs: Vec<usize>,
    pub dependents: Vec<usize>,
    pub join: JoinRule,
    pub is_finally: bool,
    pub shape: Shape,
    /// An index in [`LIMITS`].
    pub limit: Option<usize>,
    pub tolerate_ppm: u32,
    pub attempts_max: u16,
    /// One per task.
    pub fates: Vec<Fate>,
}

/// How a step comes to its tasks.
#[derive(Debug, Clone, Copy, PartialEq)]
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
    /// Each waits for an answer.
    Questions,
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
    let count = rng.random_range(1..=if depth == 0 { 6 } else { 3 });
    let mut steps: Vec<StepPlan> = Vec::new();
    for index in 0..count {
        let needs = (0..index).filter(|_| rng.random_bool(0.35)).collect();
        let step = random_step(rng, depth, needs);
        add(&mut steps, step);
    }
    if rng.random_bool(0.3) {
        let step = random_step(rng, depth, (0..count).collect());
        add(&mut steps, StepPlan { join: JoinRule::AllDone, is_finally: true, ..step });
    }
    RunPlan {
        pipeline: if depth == 0 && rng.random_bool(0.4) { 1 } else { 0 },
        priority: [Priority::Urgent, Priority::Normal, Priority::Background][rng.random_range(0..3)],
        tenant: [None, None, Some("ada"), Some("grace")][rng.random_range(0..4)],
        steps,
    }
}

fn add(steps: &mut Vec<StepPlan>, step: StepPlan) {
    let index = steps.len();
    for need in &step.needs {
        steps[*need].dependents.push(index);
    }
    steps.push(step);
}

fn random_step(rng: &mut impl Rng, depth: u32, needs: Vec<usize>) -> StepPlan {
    let shape = match rng.random_range(0..22) {
        0..9 => Shape::Known,
        9..13 => Shape::Found,
        13 | 14 => Shape::Skipped,
        15 => Shape::Unreadable,
        16..18 => Shape::Sequence,
        18 | 19 => Shape::Questions,
        _ if depth < 2 => Shape::SubRuns,
        _ => Shape::Known,
    };
    let tasks = match shape {
        Shape::Skipped | Shape::Unreadable => 0,
        Shape::SubRuns | Shape::Questions => rng.random_range(1..=2),
        _ if depth > 0 => rng.random_range(0..=3),
        _ => rng.random_range(0..=6),
    };
    let fates = (0..tasks)
        .map(|_| Fate {
            failures: if rng.random_bool(0.3) { rng.random_range(1..=3) } else { 0 },
            is_final: rng.random_bool(0.3),
            child: (shape == Shape::SubRuns).then(|| random_run(rng, depth + 1)),
        })
        .collect();
    let join = match rng.random_range(0..5) {
        0 => JoinRule::AllDone,
        1 => JoinRule::AnySuccess,
        _ => JoinRule::AllSuccess,
    };
    let limit = rng.random_bool(0.3).then(|| rng.random_range(0..LIMITS.len() - 1));
    let limit =
        if shape == Shape::SubRuns { limit.filter(|_| depth == 0).map(|_| LIMITS.len() - 1) } else { limit };
    StepPlan {
        needs,
        dependents: vec![],
        join,
        is_finally: false,
        shape,
        limit,
        tolerate_ppm: if rng.random_bool(0.4) { 300_000 } else { 0 },
        attempts_max: rng.random_range(1..=4),
        fates,
    }
}

impl StepPlan {
    pub fn is_known(&self) -> bool {
        matches!(self.shape, Shape::Known | Shape::SubRuns | Shape::Questions)
    }

    /// Whether the scheduler does its tasks.
    pub fn is_schedulers(&self) -> bool {
        matches!(self.shape, Shape::SubRuns | Shape::Questions)
    }

    pub fn tasks(&self) -> Vec<NewTask> {
        (0..self.fates.len() as u32).map(|index| self.task(index)).collect()
    }

    pub fn task(&self, index: u32) -> NewTask {
        let limit_key = self.limit.map(|limit| LIMITS[limit].0.to_owned());
        NewTask { index, arguments: Value::Null, limit_key, cache_key: None }
    }

    pub fn to_new_step(&self, index: usize) -> NewStep {
        let limit = self.limit.map(|limit| Limit {
            capacity: LIMITS[limit].1,
            rate: LIMITS[limit].2.map(|count| Rate { count, per_ms: RATE_MS }),
        });
        NewStep {
            name: format!("step-{index}"),
            kind: "simulated".to_owned(),
            needs: self.needs.len() as u32,
            dependents: self.dependents.iter().map(|dependent| *dependent as u16).collect(),
            pool: if self.is_schedulers() { SCHEDULER_POOL } else { "cpu" }.to_owned(),
            retry: Retry { attempts_max: self.attempts_max, backoff_base_ms: 60_000, backoff_cap_ms: 90_000 },
            timeout_ms: None,
            patience: Patience::default(),
            tolerate_ppm: self.tolerate_ppm,
            join: self.join,
            is_finally: self.is_finally,
            limit: limit.unwrap_or_default(),
            asks: Resources::default(),
            cache: None,
            sequence: self.shape == Shape::Sequence,
            tasks: self.is_known().then(|| self.tasks()),
        }
    }
}

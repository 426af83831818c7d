//! The shapes of work that are measured, as pipelines.

use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Map, Value};
use tale_pipeline::{PipelineSpec, Source, check};
use tale_tasks::catalog;

use crate::failure::Failure;

/// The pool that only the benchmark's own worker serves.
pub const POOL: &str = "bench";

/// How the tasks depend on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// One step of independent tasks.
    Flat,
    /// Runs of ten tasks: one, then eight, then one.
    Dag,
    /// One step of independent tasks, and one task that waits for them all.
    FanIn,
    /// As flat, under a limit that holds nobody up: what having limits costs.
    Limited,
    /// As flat, under a limit that does: of each of ten keys, a thousand tasks may be ready or running at a time.
    Gated,
}

const FLAT: &str = r#"
pipeline: bench-flat
params: { tasks: { type: integer } }
steps:
  each: { uses: noop, for_each: "${range(params.tasks)}", pool: bench }
"#;

const DAG: &str = r#"
pipeline: bench-dag
steps:
  first: { uses: noop, pool: bench }
  each: { uses: noop, for_each: [1, 2, 3, 4, 5, 6, 7, 8], needs: [first], pool: bench }
  last: { uses: noop, needs: [each], pool: bench }
"#;

const FAN_IN: &str = r#"
pipeline: bench-fan-in
params: { tasks: { type: integer } }
steps:
  each: { uses: noop, for_each: "${range(params.tasks)}", pool: bench }
  last: { uses: noop, needs: [each], pool: bench }
"#;

const LIMITED: &str = r#"
pipeline: bench-limited
params: { tasks: { type: integer } }
steps:
  each:
    uses: noop
    for_each: "${range(params.tasks)}"
    pool: bench
    limit: { key: "bench-${item % 10}", concurrency: 1000000 }
"#;

const GATED: &str = r#"
pipeline: bench-gated
params: { tasks: { type: integer } }
steps:
  each:
    uses: noop
    for_each: "${range(params.tasks)}"
    pool: bench
    limit: { key: "bench-${item % 10}", concurrency: 1000 }
"#;

/// Tasks of one run of the shape `dag`.
const DAG_TASKS: u32 = 10;
/// The most tasks of one fan-out.
const FAN_OUT_MAX: u32 = 1_000_000;

impl Shape {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Dag => "dag",
            Self::FanIn => "fan-in",
            Self::Limited => "limited",
            Self::Gated => "gated",
        }
    }

    /// The pipeline.
    pub fn spec(self) -> Result<PipelineSpec, Failure> {
        let text = match self {
            Self::Flat => FLAT,
            Self::Dag => DAG,
            Self::FanIn => FAN_IN,
            Self::Limited => LIMITED,
            Self::Gated => GATED,
        };
        let source = Source { name: format!("bench-{}.yaml", self.as_str()), text: text.to_owned() };
        check(&source, &catalog(), None).map_err(|problems| Failure::problems(&source, problems))
    }

    /// The parameters of each run that together make about `tasks` tasks.
    pub fn runs(self, tasks: u32) -> Vec<Map<String, Value>> {
        let with_tasks = |tasks: u32| Map::from_iter([("tasks".to_owned(), Value::from(tasks))]);
        match self {
            Self::Dag => vec![Map::new(); tasks.div_ceil(DAG_TASKS) as usize],
            Self::Flat | Self::FanIn | Self::Limited | Self::Gated => {
                let joins = u32::from(self == Self::FanIn);
                let mut left = tasks;
                let mut runs = Vec::new();
                while left > 0 {
                    let of_run = left.min(FAN_OUT_MAX + joins).max(1 + joins);
                    runs.push(with_tasks(of_run - joins));
                    left = left.saturating_sub(of_run);
                }
                runs
            }
        }
    }

    /// How many tasks these runs have in all.
    pub fn tasks_of(self, runs: &[Map<String, Value>]) -> u64 {
        let joins = u64::from(self == Self::FanIn);
        runs.iter()
            .map(|params| match params.get("tasks").and_then(Value::as_u64) {
                Some(tasks) => tasks + joins,
                None => u64::from(DAG_TASKS),
            })
            .sum()
    }
}

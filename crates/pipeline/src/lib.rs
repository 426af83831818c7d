#![doc = include_str!("../README.md")]

mod arguments;
mod cache;
mod check;
mod cost;
mod deadline;
mod draft;
mod error;
mod expression;
mod fan_out;
mod flow;
mod graph;
mod interpreter;
mod kinds;
mod names;
mod params;
mod plan;
mod planner;
mod problem;
mod program;
mod quantity;
mod reader;
mod resources;
mod retry;
mod schedule;
mod schema;
mod secrets;
mod session;
mod spec;
mod suggest;
mod template;
mod trigger;
mod yaml;

pub use cache::CacheSpec;
pub use check::{check, parse};
pub use deadline::{DeadlinePolicy, DeadlineSpec, HookSpec};
pub use error::PipelineError;
pub use fan_out::{FanOut, ItemSource, OutputsPath, Variables};
pub use kinds::{KindCatalog, KindDescription};
pub use params::{PARAMS_BYTES_MAX, ParamProblem, parse_param_text, parse_params, resolve_params};
pub use plan::{
    Expansion, PlannedStep, PlannedTask, PlannedTasks, RunContext, RunPlan, SequenceState, StepOutputs,
    expand, plan, references,
};
pub use problem::{Problem, Source};
pub use quantity::{bytes, cpu_millis, is_label, milliseconds};
pub use resources::ResourceSpec;
pub use schedule::{FireDate, Missed, ScheduleSpec};
pub use schema::schema;
pub use spec::{
    APPROVE_KIND, DEFAULT_POOL, JoinRule, LimitSpec, OUTPUTS_STEP, PIPELINE_KIND, ParamSpec, ParamType,
    PipelineSpec, RateSpec, RetryPolicy, SCHEDULER_POOL, STEPS_MAX, StepSpec,
};
pub use trigger::{EndState, TriggerEvent, TriggerSpec};
pub use yaml::SOURCE_BYTES_MAX;

//! The pipeline language: parsing, checking and planning, without I/O and without a clock.

mod check;
mod error;
mod kinds;
mod params;
mod plan;
mod planner;
mod problem;
mod spec;
mod suggest;

pub use check::{check, parse};
pub use error::PipelineError;
pub use kinds::{KindCatalog, KindDescription};
pub use params::{ParamProblem, parse_param_text, resolve_params};
pub use plan::{
    Expansion, PlannedStep, PlannedTask, PlannedTasks, RunContext, RunPlan, SequenceState, StepOutputs,
    expand, plan, references,
};
pub use problem::{Problem, Source};
pub use spec::{
    DEFAULT_POOL, OUTPUTS_STEP, PIPELINE_KIND, ParamSpec, ParamType, PipelineSpec, RetryPolicy,
    SCHEDULER_POOL, STEPS_MAX, StepSpec,
};

//! `noop`: nothing, for joins and measurements.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_worker::{Caching, Completion, Kind, TaskContext, TaskError};

/// Ends at once.
pub struct Noop;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {}

impl Kind for Noop {
    const NAME: &'static str = "noop";
    const SUMMARY: &'static str = "Does nothing: a join of other steps, or a measurement of the queue.";
    const CACHING: Caching = Caching::ByArguments;
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(_: TaskContext, _: Arguments) -> Result<Completion<Outputs>, TaskError> {
        Ok(Completion::of(Outputs {}))
    }
}

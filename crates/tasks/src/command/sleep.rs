//! `sleep`: waits.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_worker::{Caching, Completion, Kind, TaskContext, TaskError};

/// Waits, holding a slot.
pub struct Sleep;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// How long, in seconds; fractions are fine.
    #[schemars(range(min = 0.0, max = 31_536_000.0))]
    seconds: f64,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {}

impl Kind for Sleep {
    const NAME: &'static str = "sleep";
    const SUMMARY: &'static str = "Waits for some seconds.";
    const CACHING: Caching = Caching::ByArguments;
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(_: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let duration = Duration::try_from_secs_f64(arguments.seconds)
            .map_err(|_| TaskError::fail(format!("{} seconds cannot be waited", arguments.seconds)))?;
        tokio::time::sleep(duration).await;
        Ok(Completion::of(Outputs {}))
    }
}

//! `tale triggers`: what else starts runs.

use std::process::ExitCode;

use clap::Args;
use tale_pipeline::{EndState, TriggerEvent};
use tale_scheduler::list_triggers;

use crate::{arguments::Global, failure::Failure, installation::Installation, output};

/// Lists what starts runs by itself beside schedules: runs of other pipelines that end, objects that arrive.
#[derive(Debug, Args)]
pub struct Triggers {}

impl Triggers {
    /// Prints the list.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale triggers").await?;
        let triggers = list_triggers(&mut *installation.connection().await?).await;
        installation.close().await?;
        output::write(global.output, &triggers?, |triggers| {
            let mut table = output::table(&["pipeline", "starts when", "state"]);
            for trigger in triggers {
                let state = match &trigger.error {
                    Some(error) => format!("cannot start: {error}"),
                    None => "on".to_owned(),
                };
                table.add_row([trigger.pipeline.clone(), when(&trigger.definition.on), state]);
            }
            table
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

fn when(event: &TriggerEvent) -> String {
    match event {
        TriggerEvent::Run { pipeline, state } => {
            let ends = match state {
                EndState::Succeeded => "succeeds",
                EndState::Failed => "fails",
                EndState::Any => "ends",
            };
            format!("a run of {pipeline} {ends}")
        }
        TriggerEvent::Object { prefix, every_ms } => {
            let every = output::duration(*every_ms as f64 / 1000.0);
            format!("an object arrives in {prefix} (looked for every {every})")
        }
    }
}

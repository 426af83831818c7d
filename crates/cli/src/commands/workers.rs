//! `tale workers`: who is alive.

use std::process::ExitCode;

use chrono::Utc;
use clap::Args;
use tale_queue::list_workers;

use crate::{arguments::Global, failure::Failure, installation::Installation, output};

/// Lists the live workers and schedulers, what they have and what their tasks use of it.
#[derive(Debug, Args)]
pub struct Workers {}

impl Workers {
    /// Prints the list.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale workers").await?;
        let workers = list_workers(&mut *installation.connection().await?).await?;
        output::write(global.output, &workers, |workers| {
            let mut table = output::table(&[
                "worker",
                "pool",
                "host",
                "process",
                "running",
                "slots",
                "used",
                "has",
                "last beat",
            ]);
            for worker in workers {
                let silent = (Utc::now() - worker.last_seen).num_milliseconds() as f64 / 1000.0;
                table.add_row([
                    worker.id.to_string(),
                    worker.pool.clone(),
                    worker.host.clone(),
                    worker.pid.to_string(),
                    worker.running.to_string(),
                    worker.slots.to_string(),
                    worker.used.to_string(),
                    worker.has.as_ref().map(ToString::to_string).unwrap_or_default(),
                    format!("{} ago", output::duration(silent.max(0.0))),
                ]);
            }
            table
        })?;
        installation.close().await?;
        Ok(ExitCode::SUCCESS)
    }
}

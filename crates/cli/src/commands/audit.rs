//! `tale audit`: what operators did.

use std::process::ExitCode;

use clap::Args;
use tale_queue::read_audit;

use crate::{arguments::Global, failure::Failure, installation::Installation, output};

/// Lists what operators did, the newest first; the list is only ever added to.
#[derive(Debug, Args)]
pub struct Audit {
    /// Only what was done to this: a run's id, a pipeline's or a pool's name.
    subject: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
}

impl Audit {
    /// Prints the list.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale audit").await?;
        let entries =
            read_audit(&mut *installation.connection().await?, self.subject.as_deref(), self.limit).await?;
        installation.close().await?;
        output::write(global.output, &entries, |entries| {
            let mut table = output::table(&["when", "who", "what", "to", "details"]);
            for entry in entries {
                table.add_row([
                    entry.at.format("%Y-%m-%d %H:%M:%S").to_string(),
                    entry.actor.clone(),
                    entry.action.clone(),
                    entry.subject.clone(),
                    entry.details.to_string(),
                ]);
            }
            table
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

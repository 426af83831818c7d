//! `tale apply`: pipelines become versions.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use crate::{arguments::Global, failure::Failure, installation::Installation, output, pipelines};

/// Checks every pipeline of a folder and makes it the version that new runs use; all of them, or none.
#[derive(Debug, Args)]
pub struct Apply {
    /// The folder; `pipelines`, or else the pipelines that are built in.
    dir: Option<PathBuf>,
}

impl Apply {
    /// Applies and prints what changed.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let sources = pipelines::sources(self.dir.as_deref())?;
        // wrong pipelines are told of before anything is started
        pipelines::check(&sources)?;
        let installation = Installation::join(global, "tale apply").await?;
        let applied = pipelines::apply(&installation, &sources).await?;
        output::write(global.output, &applied, |applied| {
            let mut table = output::table(&["pipeline", "version", "steps", "changed"]);
            for pipeline in applied {
                let changed = if pipeline.changed { "yes" } else { "no" };
                table.add_row([
                    pipeline.name.clone(),
                    pipeline.version.short(),
                    pipeline.steps.to_string(),
                    changed.to_owned(),
                ]);
            }
            table
        })?;
        installation.close().await?;
        Ok(ExitCode::SUCCESS)
    }
}

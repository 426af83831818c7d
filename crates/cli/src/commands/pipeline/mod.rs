//! `tale pipeline`: pipelines as files, checked and planned without running anything.

mod check;
mod known;
mod plan;

pub use plan::print_plan;

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde::Serialize;
use tale_pipeline::{PipelineSpec, schema};
use tale_primitives::Digest;
use tale_queue::list_pipelines;

use crate::{arguments::Global, failure::Failure, installation::Installation, output};

/// Checks, plans and lists pipelines; runs nothing.
#[derive(Debug, Args)]
pub struct Pipeline {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Checks pipeline files and shows every problem in its place; needs no database.
    Check(check::Check),
    /// Prints what a run of a pipeline would do.
    Plan(plan::Plan),
    /// Prints the JSON Schema of pipeline files, for editors.
    Schema,
    /// Lists the pipelines that were applied, with the version that new runs use.
    List,
}

impl Pipeline {
    /// Does what was asked for.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        match &self.what {
            What::Check(check) => check.run(global),
            What::Plan(plan) => plan.run(global).await,
            What::Schema => output::json(&schema()).map(|()| ExitCode::SUCCESS),
            What::List => list(global).await,
        }
    }
}

#[derive(Serialize)]
struct Listed {
    pipeline: String,
    version: Digest,
    steps: usize,
    description: Option<String>,
    applied_at: DateTime<Utc>,
}

async fn list(global: &Global) -> Result<ExitCode, Failure> {
    let installation = Installation::look(global, "tale pipeline list").await?;
    let versions = list_pipelines(&mut *installation.connection().await?).await;
    installation.close().await?;
    let mut listed = Vec::new();
    for version in versions? {
        let spec = PipelineSpec::from_json(version.spec)?;
        listed.push(Listed {
            pipeline: version.name,
            version: version.digest,
            steps: spec.steps.len(),
            description: spec.description,
            applied_at: version.applied_at,
        });
    }
    output::write(global.output, &listed, |listed| {
        let mut table = output::table(&["pipeline", "version", "steps", "applied", "description"]);
        for pipeline in listed {
            table.add_row([
                pipeline.pipeline.clone(),
                pipeline.version.short(),
                pipeline.steps.to_string(),
                pipeline.applied_at.format("%Y-%m-%d %H:%M:%S").to_string(),
                pipeline.description.clone().unwrap_or_default(),
            ]);
        }
        table
    })?;
    Ok(ExitCode::SUCCESS)
}

//! `tale cache`: results that are kept, and may stand in for later tasks.

use std::{process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;
use sqlx::Connection;
use tale_pipeline::milliseconds;
use tale_queue::{clear_cached_results, list_cached_results};

use crate::{arguments::Global, failure::Failure, installation::Installation, operator::audit, output};

/// Lists and forgets results of tasks that later runs of the same pipeline may take.
///
/// Steps with `cache` keep them. `tale show RUN` says which tasks took one, and why the others did not.
#[derive(Debug, Args)]
pub struct Cache {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the results that are kept, the newest of each step first.
    List(List),
    /// Forgets the results of a pipeline, or of one of its steps: they are computed again.
    Clear(Clear),
}

#[derive(Debug, Args)]
struct List {
    /// Only those of this pipeline.
    pipeline: Option<String>,
    /// Only those of this step.
    step: Option<String>,
}

#[derive(Debug, Args)]
struct Clear {
    /// The pipeline.
    pipeline: String,
    /// One of its steps.
    step: Option<String>,
    /// Only those that are older than this, such as 12h or 30d.
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<Duration>,
}

#[derive(Serialize)]
struct Cleared<'a> {
    pipeline: &'a str,
    step: Option<&'a str>,
    results: u64,
}

impl Cache {
    /// Lists or forgets.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale cache").await?;
        match &self.command {
            Command::List(list) => list.run(global, &installation).await?,
            Command::Clear(clear) => clear.run(global, &installation).await?,
        }
        installation.close().await?;
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let mut connection = installation.connection().await?;
        let results =
            list_cached_results(&mut connection, self.pipeline.as_deref(), self.step.as_deref()).await?;
        output::write(global.output, &results, |results| {
            let mut table =
                output::table(&["pipeline", "step", "key", "kind", "run", "task", "artifacts", "computed"]);
            for result in results {
                table.add_row([
                    result.pipeline.clone(),
                    result.step.clone(),
                    result.key.short(),
                    format!("{} (version {})", result.kind, result.kind_version),
                    result.run.to_string(),
                    result.task.to_string(),
                    result.artifacts.to_string(),
                    result.created_at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
                ]);
            }
            table
        })
    }
}

impl Clear {
    async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let (pipeline, step) = (self.pipeline.as_str(), self.step.as_deref());
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        let results = clear_cached_results(&mut transaction, pipeline, step, self.older_than).await?;
        let details = json!({ "step": step, "results": results });
        audit(&mut transaction, "cache.clear", pipeline, &details).await?;
        transaction.commit().await?;
        match global.output {
            output::Format::Json => output::json(&Cleared { pipeline, step, results }),
            output::Format::Table => output::line(&match step {
                Some(step) => format!("{results} results of step {step} of {pipeline} are forgotten"),
                None => format!("{results} results of {pipeline} are forgotten"),
            }),
        }
    }
}

fn age(text: &str) -> Result<Duration, String> {
    milliseconds(text)
        .map(Duration::from_millis)
        .ok_or_else(|| "expected a number and its unit: 30m, 12h or 30d".to_owned())
}

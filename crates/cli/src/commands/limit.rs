//! `tale limit`: how much of a pool may run at a time.

use std::process::ExitCode;

use clap::{Args, value_parser};
use serde::Serialize;
use serde_json::json;
use sqlx::Connection;
use tale_queue::{notify_ready, set_pool_limit};

use crate::{arguments::Global, failure::Failure, installation::Installation, operator::audit, output};

/// Limits how many tasks of a pool run at a time, over all its workers; without a number, takes the limit away.
///
/// Limits by key stand in pipelines, as `limit` of a step; limits of runs as `concurrency` of a pipeline.
#[derive(Debug, Args)]
pub struct Limit {
    /// The pool's name.
    pool: String,
    /// How many.
    #[arg(value_parser = value_parser!(u32).range(1..=1_000_000))]
    tasks: Option<u32>,
}

#[derive(Serialize)]
struct Limited<'a> {
    pool: &'a str,
    tasks_max: Option<u32>,
}

impl Limit {
    /// Sets the limit.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale limit").await?;
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        set_pool_limit(&mut transaction, &self.pool, self.tasks).await?;
        audit(&mut transaction, "pool.limit", &self.pool, &json!({ "tasks_max": self.tasks })).await?;
        transaction.commit().await?;
        notify_ready(&mut connection).await?;
        drop(connection);
        installation.close().await?;
        match global.output {
            output::Format::Json => output::json(&Limited { pool: &self.pool, tasks_max: self.tasks })?,
            output::Format::Table => output::line(&match self.tasks {
                Some(tasks) => format!("pool {}: at most {tasks} tasks at a time", self.pool),
                None => format!("pool {}: no limit", self.pool),
            })?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

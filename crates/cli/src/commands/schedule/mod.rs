//! `tale schedule`: pipelines that start by themselves.

mod list;
mod next;
mod switch;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use sqlx::PgConnection;
use tale_scheduler::{SchedulerError, list_schedules};

use crate::{
    arguments::Global,
    failure::{Failure, UNUSABLE},
};

/// Lists, pauses and resumes schedules, and tells their next fires.
#[derive(Debug, Args)]
pub struct Schedule {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists the schedules of all pipelines, with their next fires and what went wrong.
    List(list::List),
    /// Tells the next fires of a pipeline's schedule; paused or not.
    Next(next::Next),
    /// Lets a pipeline's schedule fire no more until it is resumed.
    Pause(switch::Pause),
    /// Lets a paused schedule fire again; what it passed over while it was paused stays out.
    Resume(switch::Resume),
}

impl Schedule {
    /// Does what was asked for.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        match &self.what {
            What::List(list) => list.run(global).await,
            What::Next(next) => next.run(global).await,
            What::Pause(pause) => pause.run(global).await,
            What::Resume(resume) => resume.run(global).await,
        }
    }
}

/// The failure of a command about one schedule; where there is none of that name, with the names that there are.
pub async fn explain(connection: &mut PgConnection, error: SchedulerError) -> Failure {
    if !matches!(error, SchedulerError::NotScheduled { .. }) {
        return error.into();
    }
    let known: Vec<String> = match list_schedules(connection).await {
        Ok(schedules) => schedules.into_iter().map(|schedule| schedule.pipeline).collect(),
        Err(_) => vec![],
    };
    let help = if known.is_empty() {
        "add `schedule: { cron: \"10 0 * * *\" }` to the pipeline and apply it".to_owned()
    } else {
        format!("these have one: {}", known.join(", "))
    };
    Failure::of(&error).code(UNUSABLE).help(help)
}

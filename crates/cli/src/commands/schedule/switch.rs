//! `tale schedule pause` and `tale schedule resume`.

use std::process::ExitCode;

use clap::Args;
use tale_scheduler::{
    ScheduleReport, SchedulerError, find_schedule, notify_schedules, pause_schedule, resume_schedule,
};

use super::explain;
use crate::{arguments::Global, failure::Failure, installation::Installation, output};

/// Lets a pipeline's schedule fire no more until it is resumed.
#[derive(Debug, Args)]
pub struct Pause {
    /// The pipeline's name.
    pipeline: String,
}

/// Lets a paused schedule fire again.
#[derive(Debug, Args)]
pub struct Resume {
    /// The pipeline's name.
    pipeline: String,
}

impl Pause {
    /// Pauses.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let schedule = switch(global, "tale schedule pause", &self.pipeline, Switch::Pause).await?;
        say(global, &schedule, "is paused; runs that go on are not touched")
    }
}

impl Resume {
    /// Resumes.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let schedule = switch(global, "tale schedule resume", &self.pipeline, Switch::Resume).await?;
        let next = schedule.next_fire.map_or_else(
            || "fires never again".to_owned(),
            |next| format!("fires next at {}", next.format("%Y-%m-%d %H:%M:%S UTC")),
        );
        say(global, &schedule, &next)
    }
}

enum Switch {
    Pause,
    Resume,
}

async fn switch(
    global: &Global,
    purpose: &str,
    pipeline: &str,
    switch: Switch,
) -> Result<ScheduleReport, Failure> {
    let installation = Installation::look(global, purpose).await?;
    let mut connection = installation.connection().await?;
    let switched = async {
        match switch {
            Switch::Pause => pause_schedule(&mut connection, pipeline).await?,
            Switch::Resume => resume_schedule(&mut connection, pipeline).await?,
        }
        notify_schedules(&mut connection).await?;
        find_schedule(&mut connection, pipeline).await
    };
    let outcome: Result<ScheduleReport, SchedulerError> = switched.await;
    let outcome = match outcome {
        Ok(schedule) => Ok(schedule),
        Err(error) => Err(explain(&mut connection, error).await),
    };
    drop(connection);
    installation.close().await?;
    outcome
}

fn say(global: &Global, schedule: &ScheduleReport, what: &str) -> Result<ExitCode, Failure> {
    match global.output {
        output::Format::Json => output::json(schedule)?,
        output::Format::Table => output::line(&format!("the schedule of {} {what}", schedule.pipeline))?,
    }
    Ok(ExitCode::SUCCESS)
}

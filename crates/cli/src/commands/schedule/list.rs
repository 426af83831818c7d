//! `tale schedule list`.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Args;
use tale_pipeline::Missed;
use tale_scheduler::{ScheduleReport, list_schedules};

use crate::{arguments::Global, failure::Failure, installation::Installation, output};

/// Lists the schedules of all pipelines.
#[derive(Debug, Args)]
pub struct List {}

impl List {
    /// Prints the list.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale schedule list").await?;
        let schedules = list_schedules(&mut *installation.connection().await?).await;
        installation.close().await?;
        output::write(global.output, &schedules?, |schedules| {
            let headings =
                ["pipeline", "cron", "zone", "next fire (UTC)", "last fire (UTC)", "missed", "state"];
            let mut table = output::table(&headings);
            for schedule in schedules {
                table.add_row([
                    schedule.pipeline.clone(),
                    schedule.definition.cron.clone(),
                    schedule.definition.timezone.clone(),
                    time(schedule.next_fire),
                    time(schedule.last_fire),
                    missed(schedule.definition.missed),
                    state(schedule),
                ]);
            }
            table
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

fn time(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(|| "–".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%S").to_string())
}

fn missed(missed: Missed) -> String {
    match missed {
        Missed::Skip => "skip".to_owned(),
        Missed::Latest => "latest".to_owned(),
        Missed::All(count) => format!("all, at most {count}"),
    }
}

fn state(schedule: &ScheduleReport) -> String {
    match (&schedule.paused_at, &schedule.error) {
        (Some(since), _) => format!("paused since {}", time(Some(*since))),
        (None, Some(error)) => format!("cannot start: {error}"),
        (None, None) => "on".to_owned(),
    }
}

//! `tale schedule next`.

use std::process::ExitCode;

use chrono::{DateTime, NaiveDateTime, Utc};
use clap::{Args, value_parser};
use serde::Serialize;
use tale_primitives::UtcDay;
use tale_scheduler::find_schedule;

use super::explain;
use crate::{arguments::Global, failure::Failure, installation::Installation, output};

/// Tells the next fires of a pipeline's schedule.
#[derive(Debug, Args)]
pub struct Next {
    /// The pipeline's name.
    pipeline: String,
    /// How many.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = value_parser!(u32).range(1..=10_000))]
    count: u32,
}

#[derive(Serialize)]
struct Coming {
    at: DateTime<Utc>,
    local: NaiveDateTime,
    date: UtcDay,
}

impl Next {
    /// Prints the fires.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale schedule next").await?;
        let mut connection = installation.connection().await?;
        let found = match find_schedule(&mut connection, &self.pipeline).await {
            Ok(schedule) => Ok(schedule),
            Err(error) => Err(explain(&mut connection, error).await),
        };
        drop(connection);
        installation.close().await?;
        let schedule = found?;
        let timetable = schedule.definition.timetable()?;
        // what is overdue is told too, unless nothing of it fires
        let from = schedule.next_fire.map_or_else(Utc::now, |next| next - chrono::TimeDelta::seconds(1));
        let fires: Vec<Coming> = timetable
            .fires_after(from)
            .take(self.count as usize)
            .map(|fire| Coming {
                at: fire.at,
                local: fire.local,
                date: schedule.definition.logical_date(fire),
            })
            .collect();
        if schedule.paused_at.is_some() {
            eprintln!("the schedule is paused: `tale schedule resume {}` lets it fire", self.pipeline);
        }
        output::write(global.output, &fires, |fires| {
            let local = format!("clock in {}", schedule.definition.timezone);
            let mut table = output::table(&["fire (UTC)", &local, "run.date"]);
            for fire in fires {
                table.add_row([
                    fire.at.format("%Y-%m-%d %H:%M:%S").to_string(),
                    fire.local.format("%Y-%m-%d %H:%M:%S").to_string(),
                    fire.date.to_string(),
                ]);
            }
            table
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

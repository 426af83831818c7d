//! `tale revenue`: event logs.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use serde::Serialize;
use tale_monetization::{CURRENT_RULESET, DividendRules, EVENTS_MAX, EventLog, read_event_log};
use tale_storage::ObjectRef;

use crate::{
    arguments::Global,
    failure::{FAILED, Failure, UNUSABLE},
    output,
};

/// Checks revenue event logs; nothing is divided.
#[derive(Debug, Args)]
pub struct Revenue {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Checks a Parquet file of revenue events, and names file, row and column of what is wrong; ends with code 1 then.
    Check {
        /// The file.
        file: PathBuf,
    },
}

#[derive(Serialize)]
struct Checked {
    file: String,
    object: ObjectRef,
    rows: u64,
    events: usize,
    repeated: u64,
    problem_count: u64,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Problem {
    row: u64,
    column: &'static str,
    problem: String,
}

impl Revenue {
    /// Does what was asked for.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let What::Check { file } = &self.what;
        let rules = DividendRules::load(CURRENT_RULESET)?;
        let name = file.display().to_string();
        let log = read_event_log(file, &name, &rules).await.map_err(|error| {
            Failure::from(error).help(
                "a log is a Parquet file; crates/monetization/README.md has its columns and their types",
            )
        })?;
        if log.is_cut {
            return Err(Failure::new(format!("{name} has more than {EVENTS_MAX} events"))
                .code(UNUSABLE)
                .help("divide it into several files"));
        }
        let is_right = log.problem_count == 0;
        match global.output {
            output::Format::Json => output::json(&checked(name, log))?,
            output::Format::Table => print(&name, &log)?,
        }
        Ok(if is_right { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
    }
}

fn checked(file: String, log: EventLog) -> Checked {
    let problems = log.problems.into_iter();
    Checked {
        file,
        object: log.file.object,
        rows: log.file.rows,
        events: log.events.len(),
        repeated: log.repeated,
        problem_count: log.problem_count,
        problems: problems
            .map(|one| Problem { row: one.row, column: one.column, problem: one.problem.to_string() })
            .collect(),
    }
}

fn print(name: &str, log: &EventLog) -> Result<(), Failure> {
    for problem in &log.problems {
        output::line(&problem.to_string())?;
    }
    let more = log.problem_count.saturating_sub(log.problems.len() as u64);
    if more > 0 {
        output::line(&format!("and {more} more rows are wrong"))?;
    }
    let verdict = match log.problem_count {
        0 => "everything is right".to_owned(),
        1 => "1 row is wrong".to_owned(),
        count => format!("{count} rows are wrong"),
    };
    let (rows, events, repeated) = (log.file.rows, log.events.len(), log.repeated);
    output::line(&format!("{name}: {rows} rows, {events} events, {repeated} repeated: {verdict}"))
}

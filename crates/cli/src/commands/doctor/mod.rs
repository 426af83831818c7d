//! `tale doctor`: whether this machine has what an installation needs, and what to do where it has not.

mod database;
mod fit;
mod machine;
mod place;

use std::{process::ExitCode, time::Duration};

use clap::Args;
use serde::Serialize;

use crate::{
    arguments::Global,
    failure::{FAILED, Failure},
    output,
};

/// Checks PostgreSQL, data directory, object store, pipelines, machine and, where an installation runs, whether every
/// open step fits some live worker; says what to do.
///
/// Starts no database and changes nothing that lasts. Ends with code 1 where something cannot work.
#[derive(Debug, Args)]
pub struct Doctor {}

/// How long one check may take; they run side by side.
const PATIENCE: Duration = Duration::from_secs(4);

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    /// It works, with less than one would want.
    Warn,
    /// It cannot work.
    Fail,
}

/// One line of the diagnosis.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    status: Status,
    found: String,
    /// What to do, where there is something to do.
    help: Option<String>,
}

#[derive(Serialize)]
struct Diagnosis {
    ok: bool,
    checks: Vec<Check>,
}

impl Doctor {
    /// Checks everything and prints one line for each.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let (database, directory, store, fit) = tokio::join!(
            database::check(global),
            place::directory(global),
            place::store(global),
            fit::check(global)
        );
        let mut checks = vec![database, directory, store];
        checks.extend(fit);
        checks.push(place::pipelines());
        checks.extend(machine::checks(global));
        let diagnosis = Diagnosis { ok: checks.iter().all(|check| check.status != Status::Fail), checks };
        output::write(global.output, &diagnosis, |diagnosis| {
            let mut table = output::table(&["", "check", "found", "what to do"]);
            for check in &diagnosis.checks {
                let status = match check.status {
                    Status::Ok => "ok",
                    Status::Warn => "warn",
                    Status::Fail => "FAIL",
                };
                table.add_row([status, check.name, &check.found, check.help.as_deref().unwrap_or_default()]);
            }
            table
        })?;
        Ok(if diagnosis.ok { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
    }
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, found: found.into(), help: None }
    }

    fn warn(name: &'static str, found: impl Into<String>, help: impl Into<String>) -> Self {
        Self { name, status: Status::Warn, found: found.into(), help: Some(help.into()) }
    }

    fn fail(name: &'static str, found: impl Into<String>, help: impl Into<String>) -> Self {
        Self { name, status: Status::Fail, found: found.into(), help: Some(help.into()) }
    }
}

/// An error with its causes in one line.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(&format!(": {more}"));
        }
        cause = error.source();
    }
    text.replace('\n', " ")
}

//! `tale show`: one run in full.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Args;
use comfy_table::Table;
use serde::Serialize;
use sqlx::PgConnection;
use tale_primitives::RunId;
use tale_queue::{
    AlertReport, ArchivedRun, CacheDecision, QueueError, RunReport, RunState, TaskReport, Unfit,
    archived_report, cache_decisions, find_archived_run, find_deadline, list_alerts, run_report, unfit_steps,
};

use crate::{
    arguments::Global,
    commands::alerts::consequence,
    engine::archive_of,
    failure::{Failure, UNUSABLE},
    installation::Installation,
    output,
};

/// Shows one run: steps, tasks, attempts, durations, errors.
#[derive(Debug, Args)]
pub struct Show {
    /// The run's id.
    run: RunId,
    /// Every task, and not only those that are noteworthy.
    #[arg(long)]
    tasks: bool,
}

impl Show {
    /// Prints the run.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale show").await?;
        let shown = self.find(&installation).await;
        installation.close().await?;
        let shown = shown?;
        let report = &shown.report;
        match global.output {
            output::Format::Json => output::json(&shown)?,
            output::Format::Table => {
                output::line(&heading(&shown))?;
                if let Some(archived) = &shown.archived {
                    let at = archived.archived_at.format("%Y-%m-%d %H:%M:%S UTC");
                    output::line(&format!("archived {at} in object {}", archived.object.digest))?;
                }
                for unfit in &shown.unfit {
                    output::line(&format!("can never run as it is: {unfit}"))?;
                }
                output::line(&steps(report).to_string())?;
                let tasks: Vec<&TaskReport> =
                    report.tasks.iter().filter(|task| self.tasks || is_noteworthy(task)).collect();
                if !tasks.is_empty() {
                    output::line(&task_table(report, &tasks).to_string())?;
                }
                if !shown.cache.is_empty() {
                    output::line(&cache_table(report, &shown.cache, self.tasks).to_string())?;
                }
                if let Some(outputs) = &report.outputs {
                    output::line("outputs:")?;
                    output::json(outputs)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The run, from the database or from its archive.
    async fn find(&self, installation: &Installation) -> Result<Shown, Failure> {
        let mut connection = installation.connection().await?;
        let archived = find_archived_run(&mut connection, self.run).await?;
        let report = match &archived {
            Some(archived) => archived_report(&*archive_of(installation), archived).await?,
            None => find(&mut connection, self.run).await?,
        };
        let unfit = match report.finished_at {
            Some(_) => vec![],
            None => unfit_steps(&mut connection, Some(self.run)).await?,
        };
        let cache = cache_decisions(&mut connection, self.run).await?;
        let deadline = find_deadline(&mut connection, self.run).await?;
        let alerts = list_alerts(&mut connection, Some(self.run), None, 10).await?;
        Ok(Shown { report, archived, unfit, cache, deadline, alerts })
    }
}

/// What is shown of a run.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    report: RunReport,
    /// Where it is, once it is in the archive.
    #[serde(skip)]
    archived: Option<ArchivedRun>,
    /// Steps that no live worker fits.
    unfit: Vec<Unfit>,
    /// Why tasks of steps with a cache took an earlier result, or did not.
    cache: Vec<CacheDecision>,
    /// By when it is to have ended; nothing once that is past.
    deadline: Option<DateTime<Utc>>,
    alerts: Vec<AlertReport>,
}

async fn find(connection: &mut PgConnection, run: RunId) -> Result<RunReport, Failure> {
    run_report(connection, run).await.map_err(|error| match error {
        QueueError::UnknownRun(_) => Failure::of(&error).code(UNUSABLE).help("`tale runs` lists them"),
        error => error.into(),
    })
}

fn heading(shown: &Shown) -> String {
    let Shown { report, deadline, alerts, .. } = shown;
    let mut heading = format!(
        "run {} of {} ({}): {}, {}",
        report.id,
        report.pipeline,
        report.version.short(),
        report.state,
        took(Some(report.created_at), report.finished_at),
    );
    if let Some(parent) = report.parent_run {
        heading.push_str(&format!("\nwaited for by run {parent}"));
    }
    heading.push_str(&format!(
        "\nstarted {} by {}",
        report.created_at.format("%Y-%m-%d %H:%M:%S UTC"),
        report.trigger
    ));
    if let Some(deadline) = deadline {
        heading.push_str(&format!("\nto end by {}", deadline.format("%Y-%m-%d %H:%M:%S UTC")));
    }
    for alert in alerts {
        heading.push_str(&format!("\nwas to end by {}", alert.due_at.format("%Y-%m-%d %H:%M:%S UTC")));
        let then = consequence(alert);
        if !then.is_empty() {
            heading.push_str(&format!("; {then}"));
        }
    }
    heading
}

fn steps(report: &RunReport) -> Table {
    let mut table = output::table(&["step", "kind", "state", "tasks", "failed", "attempts", "took", "error"]);
    for step in &report.steps {
        let attempts: i32 = report
            .tasks
            .iter()
            .filter(|task| task.step == step.index)
            .map(|task| report.attempts.iter().filter(|attempt| attempt.task == task.id).count() as i32)
            .sum();
        let error = step.error.clone().or_else(|| {
            report.tasks.iter().filter(|task| task.step == step.index).find_map(|task| task.error.clone())
        });
        table.add_row([
            step.name.clone(),
            step.kind.clone(),
            step.state.clone(),
            format!("{}/{}", step.tasks_total - step.tasks_open, step.tasks_total),
            step.tasks_failed.to_string(),
            attempts.to_string(),
            took(step.started_at, step.finished_at),
            error.unwrap_or_default(),
        ]);
    }
    table
}

/// Tasks that a person wants to see without asking: those that run, failed, were retried or wait for a sub-run.
fn is_noteworthy(task: &TaskReport) -> bool {
    task.state != "succeeded" && task.state != "blocked"
        || task.attempts > 0
        || task.crashes > 0
        || task.child_run.is_some()
}

fn task_table(report: &RunReport, tasks: &[&TaskReport]) -> Table {
    let mut table =
        output::table(&["step", "index", "state", "errors", "crashes", "took", "sub-run", "error"]);
    for task in tasks {
        let step =
            report.steps.iter().find(|step| step.index == task.step).map_or("", |step| step.name.as_str());
        table.add_row([
            step.to_owned(),
            task.index.to_string(),
            task.state.clone(),
            task.attempts.to_string(),
            task.crashes.to_string(),
            took(task.started_at, task.finished_at),
            task.child_run.map(|run| run.to_string()).unwrap_or_default(),
            task.error.clone().unwrap_or_default(),
        ]);
    }
    table
}

/// How many decisions are shown without asking.
const DECISIONS_SHOWN: usize = 20;

fn cache_table(report: &RunReport, decisions: &[CacheDecision], all: bool) -> Table {
    let mut table = output::table(&["step", "index", "cache", "why"]);
    let shown = if all { decisions.len() } else { DECISIONS_SHOWN };
    for decision in decisions.iter().take(shown) {
        let step = report.steps.iter().find(|step| step.index == decision.step);
        table.add_row([
            step.map_or_else(String::new, |step| step.name.clone()),
            decision.index.to_string(),
            if decision.is_hit { "hit" } else { "refused" }.to_owned(),
            decision.to_string(),
        ]);
    }
    if decisions.len() > shown {
        let more = format!("{} more: --tasks shows them", decisions.len() - shown);
        table.add_row([String::new(), String::new(), String::new(), more]);
    }
    table
}

fn took(started: Option<DateTime<Utc>>, ended: Option<DateTime<Utc>>) -> String {
    started.map_or_else(String::new, |started| {
        let ended = ended.unwrap_or_else(Utc::now);
        output::duration((ended - started).num_milliseconds().max(0) as f64 / 1000.0)
    })
}

/// The errors of a failed run, down to the task of the sub-run where it began.
pub async fn describe_failures(connection: &mut PgConnection, run: RunId) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    let mut runs = vec![run];
    while let Some(run) = runs.pop() {
        let report = run_report(connection, run).await?;
        if report.state != RunState::Failed {
            continue;
        }
        for step in &report.steps {
            if let Some(error) = &step.error {
                found.push(format!("{} step {}: {error}", report.pipeline, step.name));
            }
        }
        for task in report.tasks.iter().filter(|task| task.state == "failed") {
            let step = report.steps.iter().find(|step| step.index == task.step);
            let name = step.map_or("?", |step| step.name.as_str());
            match task.child_run {
                Some(child) => runs.push(child),
                None => {
                    let error = task.error.as_deref().unwrap_or("no message");
                    found.push(format!("{} step {name}, task {}: {error}", report.pipeline, task.index));
                }
            }
        }
    }
    found.truncate(20);
    Ok(found)
}

//! `tale approve`: answers steps that wait for a person.

use std::process::ExitCode;

use chrono::Utc;
use clap::Args;
use serde::Serialize;
use serde_json::json;
use sqlx::Connection;
use tale_primitives::RunId;
use tale_queue::{Decision, OpenQuestion, decide, notify_ready, open_questions};

use crate::{
    arguments::Global,
    failure::{Failure, UNUSABLE},
    installation::Installation,
    operator::{audit, operator},
    output,
};

/// Answers a step that waits for a person; without arguments, lists those that wait.
#[derive(Debug, Args)]
pub struct Approve {
    /// The run.
    #[arg(requires = "step")]
    run: Option<RunId>,
    /// The step.
    step: Option<String>,
    /// Says no: the step fails.
    #[arg(long, requires = "step")]
    reject: bool,
    /// Why; the answer's record keeps it.
    #[arg(long, value_name = "TEXT", requires = "step")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Answered {
    run: RunId,
    step: String,
    decision: Decision,
    answered: u32,
}

impl Approve {
    /// Answers, or lists.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale approve").await?;
        let mut connection = installation.connection().await?;
        let open = open_questions(&mut connection, self.run).await?;
        let (Some(run), Some(step)) = (self.run, &self.step) else {
            drop(connection);
            installation.close().await?;
            output::write(global.output, &open, |open| list(open))?;
            return Ok(ExitCode::SUCCESS);
        };
        let asked: Vec<OpenQuestion> = open.into_iter().filter(|question| question.step == *step).collect();
        if asked.is_empty() {
            return Err(Failure::new(format!("step {step} of run {run} waits for no answer"))
                .code(UNUSABLE)
                .help("`tale approve` lists the steps that do"));
        }
        let decision = if self.reject { Decision::Rejected } else { Decision::Approved };
        let mut transaction = connection.begin().await?;
        let answered =
            decide(&mut transaction, &asked, decision, &operator(), self.reason.as_deref()).await?;
        let details =
            json!({ "step": step, "decision": decision, "reason": self.reason, "answered": answered });
        audit(&mut transaction, "run.approve", &run.to_string(), &details).await?;
        transaction.commit().await?;
        notify_ready(&mut connection).await?;
        drop(connection);
        installation.close().await?;
        let answered = Answered { run, step: step.clone(), decision, answered };
        match global.output {
            output::Format::Json => output::json(&answered)?,
            output::Format::Table => output::line(&format!("step {step} of run {run}: {decision}"))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(open: &[OpenQuestion]) -> comfy_table::Table {
    let mut table = output::table(&["run", "pipeline", "step", "asks", "waits", "until"]);
    for question in open {
        let waits = (Utc::now() - question.requested_at).num_milliseconds().max(0) as f64 / 1000.0;
        table.add_row([
            question.run.to_string(),
            question.pipeline.clone(),
            question.step.clone(),
            question.prompt.clone().unwrap_or_default(),
            output::duration(waits),
            question.due_at.map(|due| due.format("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default(),
        ]);
    }
    table
}

//! `tale backfill`: runs for days of the past.

use std::{process::ExitCode, time::Duration};

use clap::{Args, value_parser};
use serde::Serialize;
use tale_primitives::{RunId, UtcDay};
use tale_queue::{QueueError, RunState, list_workers};
use tale_scheduler::{
    BACKFILL_CONCURRENCY_MAX, BackfillPlan, BackfillReport, SchedulerError, backfill_report, backfill_runs,
    notify_schedules, plan_backfill, start_backfill,
};
use tokio_util::sync::CancellationToken;

use crate::{
    arguments::Global,
    commands::schedule::explain,
    engine::{Engine, EngineSettings},
    failure::{FAILED, Failure, UNUSABLE},
    installation::Installation,
    interrupt, output,
    progress::Progress,
};

/// Starts the runs that a schedule would have started for days of the past.
///
/// A fire that has its run already is left as it is, so that asking twice changes nothing. The command may end: any
/// scheduler goes on with the back-fill.
#[derive(Debug, Args)]
pub struct Backfill {
    /// The pipeline's name; it must have a schedule.
    pipeline: String,
    /// The first day that the runs are about (`run.date`), YYYY-MM-DD.
    #[arg(long, value_name = "DAY")]
    from: UtcDay,
    /// The last day that the runs are about.
    #[arg(long, value_name = "DAY")]
    to: UtcDay,
    /// How many of its runs may be open at a time.
    #[arg(
        long,
        default_value_t = 1,
        value_name = "N",
        value_parser = value_parser!(u32).range(1..=i64::from(BACKFILL_CONCURRENCY_MAX))
    )]
    concurrency: u32,
    /// Lists the fires and starts nothing.
    #[arg(long)]
    dry_run: bool,
    /// Waits until the last run ends, and ends with code 1 where one failed.
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
}

#[derive(Serialize)]
struct Asked {
    /// Whether this command asked for it; otherwise the same days were being back-filled already.
    is_new: bool,
    #[serde(flatten)]
    report: BackfillReport,
    /// The runs that it has started, in the order of their fires.
    runs: Vec<Standing>,
}

#[derive(Serialize)]
struct Standing {
    run: RunId,
    state: RunState,
}

impl Backfill {
    /// Plans, starts, and perhaps waits.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        if self.to < self.from {
            return Err(
                Failure::new(format!("--to {} is before --from {}", self.to, self.from)).code(UNUSABLE)
            );
        }
        let stop = interrupt::token()?;
        let installation = Installation::look(global, "tale backfill").await?;
        let outcome = self.fill(global, &installation, &stop).await;
        installation.close().await?;
        outcome
    }

    async fn fill(
        &self,
        global: &Global,
        installation: &Installation,
        stop: &CancellationToken,
    ) -> Result<ExitCode, Failure> {
        let mut connection = installation.connection().await?;
        let plan = match plan_backfill(&mut connection, &self.pipeline, self.from, self.to).await {
            Ok(plan) => plan,
            Err(error @ SchedulerError::TooManyFires { .. }) => {
                return Err(Failure::from(error).help("ask for fewer days at a time"));
            }
            Err(error @ SchedulerError::Queue(QueueError::UnknownPipeline(_))) => {
                return Err(Failure::of(&error)
                    .code(UNUSABLE)
                    .help("`tale pipeline list` has those that there are"));
            }
            Err(error) => return Err(explain(&mut connection, error).await),
        };
        if self.dry_run {
            return show(global, &plan);
        }
        let Some((id, is_new)) = start_backfill(&mut connection, &plan, self.concurrency).await? else {
            return Err(Failure::new(format!(
                "the schedule of {} has no fires about {} to {} up to now",
                self.pipeline, self.from, self.to
            ))
            .code(UNUSABLE)
            .help(format!("`tale schedule next {}` has the next", self.pipeline)));
        };
        notify_schedules(&mut connection).await?;
        let nobody_works = list_workers(&mut connection).await?.is_empty();
        drop(connection);
        if !self.wait {
            if nobody_works {
                eprintln!("no worker is alive: `tale up` will go on with it");
            }
        } else if nobody_works && installation.is_alone {
            let engine = Engine::start(installation, &EngineSettings::here());
            let waited = wait(installation, id, stop).await;
            engine.stop().await?;
            waited?;
        } else {
            if nobody_works {
                eprintln!("no worker is alive: waiting for one");
            }
            wait(installation, id, stop).await?;
        }
        self.tell(global, installation, id, is_new).await
    }

    async fn tell(
        &self,
        global: &Global,
        installation: &Installation,
        id: i64,
        is_new: bool,
    ) -> Result<ExitCode, Failure> {
        let mut connection = installation.connection().await?;
        let report = backfill_report(&mut connection, id).await?;
        let runs = backfill_runs(&mut connection, id).await?;
        let runs: Vec<Standing> =
            runs.into_iter().map(|run| Standing { run: run.run, state: run.state }).collect();
        let bad = runs.iter().filter(|run| run.state == RunState::Failed).count();
        let asked = Asked { is_new, report, runs };
        match global.output {
            output::Format::Json => output::json(&asked)?,
            output::Format::Table => {
                let again = if is_new { "" } else { " (it was asked for before)" };
                output::line(&format!("{}{again}", sentence(&asked.report)))?;
            }
        }
        if self.wait && (bad > 0 || asked.report.failed > 0) {
            eprintln!("{bad} runs failed, {} could not be started", asked.report.failed);
            eprintln!("help: `tale runs --pipeline {} --state failed` lists them", self.pipeline);
            return Ok(ExitCode::from(FAILED));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn sentence(report: &BackfillReport) -> String {
    format!(
        "backfill {} of {}, {} to {}: {} fires; {} runs started, {} of them open; {} had their run before",
        report.id,
        report.pipeline,
        report.first_day,
        report.last_day,
        report.total,
        report.started,
        report.open,
        report.known
    )
}

fn show(global: &Global, plan: &BackfillPlan) -> Result<ExitCode, Failure> {
    output::write(global.output, plan, |plan| {
        let mut table = output::table(&["fire (UTC)", "run.date", "run"]);
        for fire in &plan.fires {
            table.add_row([
                fire.at.format("%Y-%m-%d %H:%M:%S").to_string(),
                fire.date.to_string(),
                fire.run.map_or_else(|| "to be started".to_owned(), |run| run.to_string()),
            ]);
        }
        table
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Waits until a back-fill ends, showing how far it is.
async fn wait(installation: &Installation, id: i64, stop: &CancellationToken) -> Result<(), Failure> {
    let progress = Progress::start();
    progress.stage(&format!("backfill {id}"));
    loop {
        let look = async {
            let mut connection = installation.database.acquire().await?;
            backfill_report(&mut connection, id).await
        };
        match look.await {
            Ok(report) if report.finished_at.is_some() => return Ok(()),
            Ok(report) => {
                let done = report.started - report.open + report.known + report.failed;
                progress.update(&format!("{done} of {} fires done; {} runs open", report.total, report.open));
            }
            Err(error) if error.is_transient() => {
                progress.update("the database does not answer; waiting for it");
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
            () = stop.cancelled() => {
                return Err(interrupt::failure(&format!("backfill {id} goes on with the next `tale up`")));
            }
        }
    }
}

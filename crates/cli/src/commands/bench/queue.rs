//! `tale bench queue`: tasks per second through the product's own path, beside hand-written SQL on the same server.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Args, value_parser};
use serde::Serialize;
use sqlx::{Connection, Executor, PgConnection, PgPool};
use tale_database::ScratchDatabase;
use tale_queue::{Wake, apply_pipeline, read_backlog};
use tale_scheduler::{Scheduler, SchedulerSettings, start};
use tale_tasks::kinds;
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::{
    engine::{CONNECTIONS, Engine, trigger},
    memory::memory_peak_bytes,
    raw,
    server::on_a_server,
    shape::Shape,
};
use crate::{arguments::Global, failure::Failure, interrupt, output, progress::Progress};

/// Runs no-op tasks through planner, queue and worker, and the same number through hand-written SQL.
///
/// Works in a database of its own, which it makes and drops: on the server of DATABASE_URL where that is set, else in
/// the cluster of the data directory, else in a temporary one. Commits are durable unless --no-durable is given.
#[derive(Debug, Args)]
pub struct Queue {
    /// How many tasks.
    #[arg(long, default_value_t = 100_000, value_parser = value_parser!(u32).range(1..=100_000_000))]
    tasks: u32,
    /// How they depend on each other.
    #[arg(long, value_enum, default_value_t = Shape::Flat)]
    shape: Shape,
    /// How many tasks the worker runs at a time.
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u32).range(1..=10_000))]
    slots: u32,
    /// Does not wait for the disk at commits, in both.
    #[arg(long)]
    no_durable: bool,
    /// Keeps a snapshot open from before the first task on, as a forgotten report does: nothing that tasks leave behind
    /// can be vacuumed.
    #[arg(long)]
    old_snapshot: bool,
}

/// Connections that the reference uses: as many transactions as the worker has on their way.
const LANES: usize = 4;
/// The reference needs no more tasks than this for a steady rate.
const RAW_TASKS_MAX: u64 = 200_000;
/// Runs that one transaction starts.
const RUNS_AT_ONCE: usize = 200;
#[derive(Serialize)]
struct Measured {
    shape: Shape,
    tasks: u64,
    /// From the worker's start to the end of the last run, by the database's clock.
    seconds: f64,
    tasks_per_second: f64,
    /// The same number of tasks, claimed and completed by hand-written SQL in batches of 50.
    raw_sql_per_second: f64,
    ratio: f64,
    /// Planning the runs and inserting their tasks, before the worker starts.
    planning_seconds: f64,
    /// How far that made the process grow beyond what it had needed before.
    planning_memory_bytes: u64,
    wal_bytes_per_task: f64,
    durable: bool,
    old_snapshot: bool,
    slots: u32,
}

impl Queue {
    /// Measures, and prints.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let stop = interrupt::token()?;
        let measured = tokio::select! {
            measured = on_a_server(global, "tale bench queue", async |server| {
                self.measure(server.scratch).await
            }) => measured?,
            () = stop.cancelled() => return Err(interrupt::failure("nothing was measured")),
        };
        output::write(global.output, &measured, |measured| {
            let mut table = output::table(&["what", "figure"]);
            table.add_row(["shape".to_owned(), measured.shape.as_str().to_owned()]);
            table.add_row(["tasks".to_owned(), measured.tasks.to_string()]);
            table.add_row(["planning and inserting".to_owned(), output::duration(measured.planning_seconds)]);
            let megabytes = format!("{} MB", measured.planning_memory_bytes / 1_000_000);
            table.add_row(["memory that took".to_owned(), megabytes]);
            table.add_row(["running".to_owned(), output::duration(measured.seconds)]);
            table.add_row(["tasks per second".to_owned(), format!("{:.0}", measured.tasks_per_second)]);
            let raw = format!("{:.0}", measured.raw_sql_per_second);
            table.add_row(["hand-written SQL, tasks per second".to_owned(), raw]);
            table.add_row(["ratio".to_owned(), format!("{:.2}", measured.ratio)]);
            table.add_row(["WAL per task, bytes".to_owned(), format!("{:.0}", measured.wal_bytes_per_task)]);
            let commits = if measured.durable { "durable" } else { "not durable" };
            table.add_row(["commits".to_owned(), commits.to_owned()]);
            if measured.old_snapshot {
                table.add_row(["beside".to_owned(), "an old snapshot".to_owned()]);
            }
            table
        })?;
        Ok(ExitCode::SUCCESS)
    }

    async fn measure(&self, scratch: &ScratchDatabase) -> Result<Measured, Failure> {
        let progress = Progress::start();
        let database = scratch.connect(CONNECTIONS, !self.no_durable).await?;
        progress.stage("hand-written SQL");
        let raw_sql_per_second =
            raw::measure(&database, u64::from(self.tasks).min(RAW_TASKS_MAX), LANES).await?;

        progress.stage("planning");
        let runs = self.shape.runs(self.tasks);
        let tasks = self.shape.tasks_of(&runs);
        let mut connection = database.acquire().await?;
        let memory_before = memory_peak_bytes();
        let began = Instant::now();
        let spec = self.shape.spec()?;
        apply_pipeline(&mut connection, spec.name.as_str(), spec.digest()?, &spec.to_json()?).await?;
        for chunk in runs.chunks(RUNS_AT_ONCE) {
            let mut transaction = connection.begin().await?;
            for params in chunk {
                start(&mut transaction, trigger(&spec, params.clone())).await?;
            }
            transaction.commit().await?;
        }
        insert_fan_outs(&database, &mut connection).await?;
        let planning_seconds = began.elapsed().as_secs_f64();
        let planning_memory_bytes = memory_peak_bytes().saturating_sub(memory_before);
        connection.execute("vacuum analyze").await?;

        let mut reporter = database.acquire().await?;
        if self.old_snapshot {
            reporter.execute("begin isolation level repeatable read").await?;
            reporter.execute("select count(*) from queue.pool").await?;
        }

        progress.stage("running");
        let wal_before = wal_position(&mut connection).await?;
        let began_at = read_backlog(&mut connection).await?.now;
        let engine = Engine::start(&database, kinds(), &[self.slots])?;
        let ended_at = loop {
            time::sleep(Duration::from_millis(100)).await;
            let backlog = read_backlog(&mut connection).await?;
            if let (0, Some(ended_at)) = (backlog.runs_open, backlog.last_run_ended_at) {
                break ended_at;
            }
            progress.update(&format!(
                "running: {} runs and {} ready tasks left",
                backlog.runs_open, backlog.tasks_open
            ));
        };
        let wal = wal_position(&mut connection).await? - wal_before;
        engine.stop().await?;
        if self.old_snapshot {
            reporter.execute("rollback").await?;
        }
        drop((connection, reporter));
        database.close().await;
        let seconds = (ended_at - began_at).as_seconds_f64();
        let tasks_per_second = tasks as f64 / seconds;
        Ok(Measured {
            shape: self.shape,
            tasks,
            seconds,
            tasks_per_second,
            raw_sql_per_second,
            ratio: tasks_per_second / raw_sql_per_second,
            planning_seconds,
            planning_memory_bytes,
            wal_bytes_per_task: wal as f64 / tasks as f64,
            durable: !self.no_durable,
            old_snapshot: self.old_snapshot,
            slots: self.slots,
        })
    }
}

/// Lets a scheduler insert the fan-outs that are too large to be inserted when their run starts.
async fn insert_fan_outs(database: &PgPool, connection: &mut PgConnection) -> Result<(), Failure> {
    let stop = CancellationToken::new();
    let scheduler = Scheduler {
        database: database.clone(),
        settings: SchedulerSettings::default(),
        wake: Wake::start(database.clone()),
    };
    let running = tokio::spawn(scheduler.run(stop.clone()));
    while read_backlog(connection).await?.steps_expanding > 0 {
        time::sleep(Duration::from_millis(20)).await;
    }
    stop.cancel();
    running.await.map_err(|error| Failure::new(format!("the scheduler stopped: {error}")))
}

/// How many bytes of WAL the server has written so far.
async fn wal_position(connection: &mut PgConnection) -> Result<i64, Failure> {
    let position = sqlx::query_scalar("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint");
    Ok(position.fetch_one(connection).await?)
}

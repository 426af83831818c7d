//! `tale bench latency`: how soon a run's first task starts, and how soon a step follows another.

use std::{
    collections::HashMap,
    process::ExitCode,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use clap::{Args, value_parser};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;
use sqlx::Connection;
use tale_database::ScratchDatabase;
use tale_pipeline::{KindCatalog, KindDescription, PipelineSpec, ResourceSpec, Source, check};
use tale_primitives::RunId;
use tale_queue::{RunState, apply_pipeline, run_state};
use tale_scheduler::start;
use tale_worker::{Completion, Kind, KindRegistry, TaskContext, TaskError};
use tokio::time;

use super::{
    engine::{CONNECTIONS, Engine, trigger},
    server::on_a_server,
};
use crate::{arguments::Global, failure::Failure, interrupt, output, progress::Progress};

/// Measures how soon a run's first task starts, and how soon a step follows another, on an idle system.
///
/// Starts runs of two no-op steps one by one, with a scheduler and a worker in this process. The first figure is the time
/// from the answer to the commit that started the run to the start of its first task; the second that from the end of the
/// first task to the start of the second.
#[derive(Debug, Args)]
pub struct Latency {
    /// How many runs.
    #[arg(long, default_value_t = 500, value_parser = value_parser!(u32).range(1..=1_000_000))]
    runs: u32,
    /// How long to wait between two runs, in milliseconds.
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u64).range(0..=60_000))]
    pause_ms: u64,
}

#[derive(Serialize)]
struct Measured {
    runs: usize,
    /// From the commit's answer to the first task's start.
    start_p50_ms: f64,
    start_p99_ms: f64,
    /// From one task's end to the next one's start.
    step_p50_ms: f64,
    step_p99_ms: f64,
}

const PIPELINE: &str = r"
pipeline: bench-latency
steps:
  first: { uses: bench.mark, pool: bench }
  second: { uses: bench.mark, needs: [first], pool: bench }
";
/// How long a run may take before the measurement is given up.
const RUN_AT_MOST: Duration = Duration::from_secs(30);

impl Latency {
    /// Measures, and prints.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let stop = interrupt::token()?;
        let measured = tokio::select! {
            measured = on_a_server(global, "tale bench latency", async |server| {
                self.measure(server.scratch).await
            }) => measured?,
            () = stop.cancelled() => return Err(interrupt::failure("nothing was measured")),
        };
        output::write(global.output, &measured, |measured| {
            let mut table = output::table(&["from", "to", "median", "99 %"]);
            let row = |from: &str, to: &str, median: f64, most: f64| {
                [from.to_owned(), to.to_owned(), format!("{median:.1} ms"), format!("{most:.1} ms")]
            };
            table.add_row(row(
                "the run's commit",
                "its first task",
                measured.start_p50_ms,
                measured.start_p99_ms,
            ));
            table.add_row(row("a task's end", "the next step", measured.step_p50_ms, measured.step_p99_ms));
            table
        })?;
        Ok(ExitCode::SUCCESS)
    }

    async fn measure(&self, scratch: &ScratchDatabase) -> Result<Measured, Failure> {
        let progress = Progress::start();
        let database = scratch.connect(CONNECTIONS, true).await?;
        let mut connection = database.acquire().await?;
        let spec = spec()?;
        apply_pipeline(&mut connection, spec.name.as_str(), spec.digest()?, &spec.to_json()?).await?;
        let engine = Engine::start(&database, KindRegistry::default().with::<Mark>(), &[4])?;
        let (mut starts, mut steps) = (Vec::new(), Vec::new());
        progress.stage("starting runs");
        for number in 0..self.runs {
            time::sleep(Duration::from_millis(self.pause_ms)).await;
            let mut transaction = connection.begin().await?;
            let started = start(&mut transaction, trigger(&spec, Map::new())).await?;
            transaction.commit().await?;
            let committed_at = Instant::now();
            engine.wake.tell();
            let marks = time::timeout(RUN_AT_MOST, ended(&mut connection, started.run)).await;
            marks.map_err(|_| Failure::new("a run of two no-op steps did not end within 30 s"))??;
            let mut marks = marks_of(started.run);
            marks.sort_by_key(|mark| mark.started_at);
            let [first, second] = marks.as_slice() else {
                return Err(Failure::new("a run of two steps left another number of marks"));
            };
            starts.push(first.started_at - committed_at);
            steps.push(second.started_at - first.ended_at);
            progress.update(&format!("{number} of {} runs", self.runs));
        }
        engine.stop().await?;
        drop(connection);
        database.close().await;
        let (start_p50_ms, start_p99_ms) = percentiles(&mut starts);
        let (step_p50_ms, step_p99_ms) = percentiles(&mut steps);
        Ok(Measured { runs: starts.len(), start_p50_ms, start_p99_ms, step_p50_ms, step_p99_ms })
    }
}

fn spec() -> Result<PipelineSpec, Failure> {
    let kinds = KindRegistry::default().with::<Mark>().schemas().into_iter().map(|schema| KindDescription {
        name: schema.name,
        summary: schema.summary,
        arguments: schema.arguments,
        outputs: schema.outputs,
        pool: None,
        resources: ResourceSpec::default(),
        cacheable: false,
    });
    let source = Source { name: "bench-latency.yaml".to_owned(), text: PIPELINE.to_owned() };
    check(&source, &KindCatalog::new(kinds), None).map_err(|problems| Failure::problems(&source, problems))
}

async fn ended(connection: &mut sqlx::PgConnection, run: RunId) -> Result<(), Failure> {
    while matches!(run_state(connection, run).await?.0, RunState::Running | RunState::Queued) {
        time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// The median and the 99th of a hundred, in milliseconds.
fn percentiles(sample: &mut [Duration]) -> (f64, f64) {
    sample.sort();
    let at = |hundredths: usize| {
        let place = (sample.len() * hundredths).div_ceil(100).saturating_sub(1);
        sample.get(place).map_or(0.0, |value| value.as_secs_f64() * 1000.0)
    };
    (at(50), at(99))
}

/// When one task ran.
#[derive(Debug, Clone, Copy)]
struct Marked {
    started_at: Instant,
    ended_at: Instant,
}

// a kind has no state of its own, and these runs never leave this process
static MARKS: LazyLock<Mutex<HashMap<RunId, Vec<Marked>>>> = LazyLock::new(Mutex::default);

fn marks() -> MutexGuard<'static, HashMap<RunId, Vec<Marked>>> {
    MARKS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn marks_of(run: RunId) -> Vec<Marked> {
    marks().remove(&run).unwrap_or_default()
}

/// The kind that the measurement runs: it keeps when it ran.
struct Mark;

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct Nothing {}

impl Kind for Mark {
    const NAME: &'static str = "bench.mark";
    const SUMMARY: &'static str = "Keeps when it ran";
    type Arguments = Nothing;
    type Outputs = Nothing;

    async fn run(context: TaskContext, _: Nothing) -> Result<Completion<Nothing>, TaskError> {
        let started_at = Instant::now();
        let marked = Marked { started_at, ended_at: Instant::now() };
        marks().entry(context.run).or_default().push(marked);
        Ok(Completion::of(Nothing {}))
    }
}

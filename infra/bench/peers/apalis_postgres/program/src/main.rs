//! apalis-postgres under the benchmark: `PROGRAM TASKS LIMIT_SECONDS WORKERS`, with an empty database in DATABASE_URL.
//!
//! The settings are the quickest of those tried on two cores: four workers in one process, claims of 500, no second write
//! per task (`lock_tasks`), polling every 10 ms. Without `persist_results` nothing says that a task is done.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use apalis::prelude::*;
use apalis_postgres::{Config, PgPool, PostgresStorage};
use futures::stream;
use sqlx::{Connection, PgConnection, Row, postgres::PgPoolOptions};

const QUEUE: &str = "drain";
const BATCH: usize = 500;
const POLL: Duration = Duration::from_millis(10);
/// How often to ask whether everything is done, once every task has begun.
const ASK: Duration = Duration::from_millis(2);
const CONNECTIONS: u32 = 16;

/// How often each task ran.
struct Ran {
    times: Vec<AtomicU8>,
    all: AtomicUsize,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [tasks, limit, workers] = arguments.as_slice() else {
        return Err("usage: drain-apalis-postgres TASKS LIMIT_SECONDS WORKERS".into());
    };
    let (tasks, limit, workers): (usize, f64, usize) = (tasks.parse()?, limit.parse()?, workers.parse()?);
    let url = std::env::var("DATABASE_URL")?;
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect(&url).await?;
    PostgresStorage::setup(&pool).await?;
    let mut filling = storage(&pool);
    for first in (0..tasks).step_by(5000) {
        filling.push_stream(&mut stream::iter(first..(first + 5000).min(tasks))).await?;
    }
    let mut asking = PgConnection::connect(&url).await?;
    for prepare in ["vacuum analyze", "checkpoint"] {
        sqlx::query(prepare).execute(&mut asking).await?;
    }

    let ran =
        Arc::new(Ran { times: (0..tasks).map(|_| AtomicU8::new(0)).collect(), all: AtomicUsize::new(0) });
    let began = Instant::now();
    for number in 0..workers {
        let worker = WorkerBuilder::new(format!("worker-{number}"))
            .backend(storage(&pool).poll_with_strategy(Strategy::new().interval(POLL)))
            .data(ran.clone())
            .parallelize(tokio::spawn)
            .build(noop);
        tokio::spawn(worker.run());
    }
    let mut left = tasks;
    while left > 0 && began.elapsed().as_secs_f64() < limit {
        tokio::time::sleep(ASK).await;
        if ran.all.load(Ordering::Relaxed) >= tasks {
            left = unfinished(&mut asking).await?;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    if left > 0 {
        left = unfinished(&mut asking).await?;
    }
    let times: Vec<u8> = ran.times.iter().map(|times| times.load(Ordering::Relaxed)).collect();
    let line = serde_json::json!({
        "tasks": tasks,
        "completed": tasks - left,
        "once": times.iter().filter(|times| **times == 1).count(),
        "repeated": times.iter().filter(|times| **times > 1).count(),
        "seconds": seconds,
    });
    println!("{line}");
    Ok(())
}

fn storage(pool: &PgPool) -> PostgresStorage<usize> {
    let config = Config::default().queue(QUEUE).batch_size(BATCH).lock_tasks(false);
    PostgresStorage::new(pool).with_config(config)
}

async fn noop(task: usize, ran: Data<Arc<Ran>>) -> Result<(), BoxDynError> {
    if let Some(times) = ran.times.get(task) {
        times.fetch_add(1, Ordering::Relaxed);
    }
    ran.all.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

async fn unfinished(connection: &mut PgConnection) -> Result<usize, Box<dyn Error>> {
    let row = sqlx::query("select count(*) from apalis.jobs where status <> 'Done'").fetch_one(connection).await?;
    Ok(usize::try_from(row.try_get::<i64, _>(0)?)?)
}

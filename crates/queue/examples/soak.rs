//! Works off many tasks while retention archives and drops what has ended, and prints how large the hot tables are.
//!
//! `cargo run --release -p tale-queue --example soak -- 1000000` is the soak of the promise that they stay flat; it ends with
//! code 1 where they do not. A second number is how many tasks a second come in, 5,000 unless given: beyond what the machine
//! can work off and archive at the same time, a backlog grows whatever is done. It starts a PostgreSQL of its own, or uses the
//! one that `TALE_TEST_DATABASE_URL` names.

// A program for developers: what fails here ends it with its cause.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use serde_json::json;
use sqlx::{PgConnection, Row};
use tale_primitives::{Digest, RunId, WorkerId};
use tale_queue::{
    Archive, ArchiveRefusal, Claimer, EVERY_PIPELINE, JoinRule, Kept, Limit, NewRun, NewStep, NewTask,
    NewWorker, Patience, Priority, Resources, Retry, Success, apply_pipeline, archive_runs, complete,
    drop_archived, expired_runs, fold_tallies, register_worker, set_retention, start_run,
};
use tale_testkit::TestDatabase;

/// Tasks of one run: two fan-outs, one after the other.
const TASKS_PER_RUN: u64 = 1000;
/// How many ended runs stay.
const KEEP_LAST: u32 = 20;
/// How many runs are open at a time.
const OPEN_RUNS: u64 = 8;
const WORKERS: usize = 2;
const BATCH: u32 = 200;
/// How often sizes are printed.
const SAMPLES: u64 = 20;
/// The tables that must not grow with history.
const HOT: [&str; 8] = ["run", "step", "task", "attempt", "ready", "lease", "tally", "attempt_log"];
/// By how much the second half may exceed the first, once it is warm: room for one vacuum more or less.
const FLAT: f64 = 1.25;

/// Objects in a folder.
struct Folder(PathBuf);

#[async_trait]
impl Archive for Folder {
    async fn keep(&self, bytes: Vec<u8>) -> Result<Kept, ArchiveRefusal> {
        let kept = Kept { digest: Digest::of(&bytes), size_bytes: bytes.len() as u64 };
        tokio::task::spawn_blocking({
            let path = self.0.join(kept.digest.to_string());
            move || std::fs::write(path, bytes)
        })
        .await??;
        Ok(kept)
    }

    async fn fetch(&self, kept: &Kept) -> Result<Vec<u8>, ArchiveRefusal> {
        Ok(std::fs::read(self.0.join(kept.digest.to_string()))?)
    }
}

#[derive(Default)]
struct Progress {
    started: AtomicU64,
    done: AtomicU64,
    is_over: AtomicBool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let total: u64 = std::env::args().nth(1).map_or(100_000, |text| text.parse().expect("a number of tasks"));
    let total = total.next_multiple_of(TASKS_PER_RUN);
    let per_second: f64 =
        std::env::args().nth(2).map_or(5000.0, |text| text.parse().expect("tasks a second"));
    let database = TestDatabase::create().await;
    let folder = tale_testkit::tempdir();
    let progress = Arc::new(Progress::default());
    let mut connection = database.connection().await;
    let applied = apply_pipeline(&mut connection, "soak", Digest::of("soak"), &json!({})).await.unwrap();
    set_retention(&mut connection, EVERY_PIPELINE, Some(0), KEEP_LAST).await.unwrap();

    let mut beside = tokio::task::JoinSet::new();
    for _ in 0..WORKERS {
        beside.spawn(work(database.connection().await, Arc::clone(&progress)));
    }
    beside.spawn(fold(database.connection().await, Arc::clone(&progress)));
    beside.spawn(retain(
        database.connection().await,
        Folder(folder.path().to_owned()),
        Arc::clone(&progress),
    ));

    println!(
        "{:>10} {:>9} {:>9} {:>9} {:>9} {:>11} {:>9}",
        "tasks", "tasks/s", "hot MiB", "task MiB", "dead rows", "task rows", "archived"
    );
    let mut sizes = Vec::new();
    let began = Instant::now();
    let mut sampled = (0, began);
    while progress.done.load(Ordering::Relaxed) < total {
        let (started, done) =
            (progress.started.load(Ordering::Relaxed), progress.done.load(Ordering::Relaxed));
        let due = began.elapsed().as_secs_f64() * per_second;
        if started < total && started < done + OPEN_RUNS * TASKS_PER_RUN && started as f64 <= due {
            start(&mut connection, applied.version_id).await;
            progress.started.fetch_add(TASKS_PER_RUN, Ordering::Relaxed);
        }
        if done - sampled.0 >= total / SAMPLES {
            let rate = (done - sampled.0) as f64 / sampled.1.elapsed().as_secs_f64();
            sizes.push(sample(&mut connection, done, rate).await);
            sampled = (done, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    progress.is_over.store(true, Ordering::Relaxed);
    beside.join_all().await;
    sample(&mut connection, total, 0.0).await;
    verdict(&sizes)
}

/// A run of two fan-outs, the second after the first.
async fn start(connection: &mut PgConnection, version_id: i64) {
    let step = |name: &str, needs, dependents| NewStep {
        name: name.to_owned(),
        kind: "noop".to_owned(),
        needs,
        dependents,
        pool: "cpu".to_owned(),
        retry: Retry { attempts_max: 1, backoff_base_ms: 0, backoff_cap_ms: 0 },
        timeout_ms: None,
        patience: Patience::default(),
        tolerate_ppm: 0,
        sequence: false,
        join: JoinRule::AllSuccess,
        is_finally: false,
        limit: Limit::default(),
        asks: Resources::default(),
        cache: None,
        tasks: Some(
            (0..TASKS_PER_RUN as u32 / 2)
                .map(|index| NewTask {
                    index,
                    arguments: json!({ "number": index }),
                    limit_key: None,
                    cache_key: None,
                })
                .collect(),
        ),
    };
    let run = NewRun {
        id: RunId::generate(),
        version_id,
        pipeline: "soak".to_owned(),
        params: json!({}),
        dedup_key: None,
        logical_date: "2026-11-23".parse().unwrap(),
        fire_time: None,
        priority: Priority::Normal,
        trigger: "the soak".to_owned(),
        reason: None,
        tenant: None,
        uses_cache: true,
        parent: None,
        steps: vec![step("first", 0, vec![1]), step("second", 1, vec![])],
    };
    let mut transaction = sqlx::Connection::begin(connection).await.unwrap();
    start_run(&mut transaction, &run).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn work(mut connection: PgConnection, progress: Arc<Progress>) {
    let id = WorkerId::generate();
    let (pool, host) = ("cpu".to_owned(), "soak".to_owned());
    let worker = NewWorker { id, pool, host, pid: 1, slots: BATCH, has: None };
    register_worker(&mut connection, &worker).await.unwrap();
    let claimer = Claimer::open(&mut connection, id, "cpu").await.unwrap();
    while !progress.is_over.load(Ordering::Relaxed) {
        let claimed = claimer.claim(&mut connection, BATCH).await.unwrap();
        if claimed.is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
            continue;
        }
        let successes: Vec<Success> = claimed
            .iter()
            .map(|task| Success { lease: task.lease, outputs: json!({ "done": true }) })
            .collect();
        loop {
            match complete(&mut connection, &successes).await {
                Ok(completed) => {
                    progress.done.fetch_add(completed.won.len() as u64, Ordering::Relaxed);
                    break;
                }
                Err(error) if error.is_transient() => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

async fn fold(mut connection: PgConnection, progress: Arc<Progress>) {
    while !progress.is_over.load(Ordering::Relaxed) {
        fold_tallies(&mut connection, 1000).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What a scheduler does each second.
async fn retain(mut connection: PgConnection, archive: Folder, progress: Arc<Progress>) {
    while !progress.is_over.load(Ordering::Relaxed) {
        let expired = expired_runs(&mut connection, &[], 1000).await.unwrap();
        let mut rest = expired.as_slice();
        while !rest.is_empty() {
            let taken = archive_runs(&mut connection, &archive, rest).await.unwrap();
            rest = &rest[taken..];
        }
        while drop_archived(&mut connection, 2000).await.unwrap() > 0 {}
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Prints a line; returns the bytes of the hot tables with their indexes.
async fn sample(connection: &mut PgConnection, done: u64, rate: f64) -> i64 {
    let row = sqlx::query(
        "select sum(pg_total_relation_size(format('queue.%I', t.name)::regclass))::bigint as hot,
                pg_total_relation_size('queue.task') as task,
                (select sum(s.n_dead_tup)::bigint from pg_stat_user_tables s where s.schemaname = 'queue') as dead,
                (select count(*) from queue.task) as rows,
                (select count(*) from queue.archived_run) as archived
         from unnest($1::text[]) t (name)",
    )
    .bind(HOT.map(str::to_owned).to_vec())
    .fetch_one(connection)
    .await
    .unwrap();
    let hot: i64 = row.get("hot");
    let mebibytes = |bytes: i64| bytes as f64 / f64::from(1 << 20);
    println!(
        "{done:>10} {rate:>9.0} {:>9.1} {:>9.1} {:>9} {:>11} {:>9}",
        mebibytes(hot),
        mebibytes(row.get("task")),
        row.get::<i64, _>("dead"),
        row.get::<i64, _>("rows"),
        row.get::<i64, _>("archived")
    );
    hot
}

/// Whether the second half of the samples is as the first half was, its first quarter left out for warming up.
fn verdict(sizes: &[i64]) -> ExitCode {
    let warm = &sizes[sizes.len() / 4..];
    let (first, second) = warm.split_at(warm.len() / 2);
    let most = |sizes: &[i64]| sizes.iter().copied().max().unwrap_or_default() as f64;
    let growth = most(second) / most(first).max(1.0);
    println!("most in the second half, by the most in the first: {growth:.2}");
    if growth <= FLAT { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

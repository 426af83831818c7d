//! The ten pains that users of other systems report most (those of workers and schedules have their tests there).

use std::time::{Duration, Instant};

use sqlx::{PgConnection, Row};
use tale_queue::{RunState, complete, fail, reap};

use crate::bench::{Bench, LEASE, failure, step, success};

#[tokio::test]
async fn pain_1_a_dead_worker_does_not_keep_its_tasks_for_hours() {
    let bench = Bench::set_up().await;
    let (mut dead, mut living) = (bench.worker().await, bench.worker().await);
    let run = bench.start(&mut dead.connection, vec![step("a", 0, &[], 3)]).await;
    dead.claim(3).await;
    bench.silence(dead.id).await;
    assert_eq!(reap(&mut living.connection, LEASE, 3).await.unwrap().len(), 3);
    assert_eq!(living.work_off().await.len(), 3);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

#[tokio::test]
async fn pain_2_a_worker_that_only_seems_dead_does_not_make_a_task_count_twice() {
    let bench = Bench::set_up().await;
    let (mut zombie, mut successor) = (bench.worker().await, bench.worker().await);
    bench.start(&mut zombie.connection, vec![step("a", 0, &[], 1)]).await;
    let old = zombie.claim_one().await;
    bench.silence(zombie.id).await;
    reap(&mut successor.connection, LEASE, 3).await.unwrap();
    let new = successor.claim_one().await;
    assert!(complete(&mut zombie.connection, &[success(old.lease)]).await.unwrap().won.is_empty());
    assert_eq!(complete(&mut successor.connection, &[success(new.lease)]).await.unwrap().won.len(), 1);
}

/// How many rows were read so far by scanning whole tables of tasks and attempts.
async fn scanned_rows(connection: &mut PgConnection) -> i64 {
    // statistics of this session are not shown before they are flushed, which may take a second
    sqlx::query("select pg_stat_force_next_flush()").execute(&mut *connection).await.unwrap();
    sqlx::query(
        "select coalesce(sum(seq_tup_read), 0)::bigint from pg_stat_user_tables
         where schemaname = 'queue' and relname in ('task', 'attempt')",
    )
    .fetch_one(connection)
    .await
    .unwrap()
    .get(0)
}

#[tokio::test]
async fn pain_4_an_ended_task_costs_the_same_however_much_else_there_is() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    for _ in 0..30 {
        bench.start(&mut worker.connection, vec![step("a", 0, &[1], 40), step("b", 1, &[], 1)]).await;
    }
    sqlx::query("analyze").execute(&mut worker.connection).await.unwrap();
    let batch: Vec<_> = worker.claim(10).await.iter().map(|task| success(task.lease)).collect();
    let before = scanned_rows(&mut worker.connection).await;
    for one in batch {
        complete(&mut worker.connection, &[one]).await.unwrap();
    }
    let after = scanned_rows(&mut worker.connection).await;
    // 1,230 tasks are there; nobody looks through them
    assert!(after - before < 100, "{} rows were scanned", after - before);
}

#[tokio::test]
async fn pain_5_a_fan_out_of_twenty_thousand_is_planned_at_once_and_joined() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let began = Instant::now();
    let run = bench
        .start(&mut worker.connection, vec![step("many", 0, &[1], 20_000), step("join", 1, &[], 1)])
        .await;
    let planned = began.elapsed();
    while {
        let claimed = worker.claim(1000).await;
        let successes: Vec<_> = claimed.iter().map(|task| success(task.lease)).collect();
        complete(&mut worker.connection, &successes).await.unwrap();
        !claimed.is_empty()
    } {}
    assert_eq!(worker.work_off().await, [(1, 0)]);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
    // not a measurement: minutes would be a ceiling, seconds are none
    assert!(planned < Duration::from_secs(60), "{planned:?}");
}

#[tokio::test]
async fn pain_8_nothing_that_is_over_stays_in_the_tables_that_claims_read() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    bench.start(&mut worker.connection, vec![step("a", 0, &[1], 300), step("b", 1, &[], 5)]).await;
    worker.work_off().await;
    let hot = ["ready", "lease", "delayed", "tally", "waiting", "admitted", "knock", "parked", "place"];
    assert_eq!(bench.rows(&hot).await, 0);
}

#[tokio::test]
async fn pain_10_a_killed_task_is_tried_again_and_one_that_kills_its_workers_is_not_tried_for_ever() {
    let bench = Bench::set_up().await;
    let mut connection = bench.connect().await;
    let run = bench.start(&mut connection, vec![step("a", 0, &[], 1)]).await;
    for crash in 1..=3 {
        let mut worker = bench.worker().await;
        worker.claim_one().await;
        bench.silence(worker.id).await;
        let reaped = reap(&mut connection, LEASE, 3).await.unwrap();
        assert_eq!(reaped[0].is_dead, crash == 3, "crash {crash}");
    }
    let report = bench.report(run).await;
    assert_eq!(report.state, RunState::Failed);
    assert_eq!(report.tasks[0].attempts, 0, "a crash is not a failure of the task");
    // and a failure is not a crash
    let mut worker = bench.worker().await;
    bench.start(&mut connection, vec![step("a", 0, &[], 1)]).await;
    let task = worker.claim_one().await;
    fail(&mut worker.connection, &[failure(task.lease)]).await.unwrap();
    assert!(reap(&mut connection, LEASE, 3).await.unwrap().is_empty());
}

use std::time::Duration;

use serde_json::json;
use sqlx::{Connection, Row};
use tale_queue::{
    Failure, Lease, NewStep, Retry, RunState, Success, complete, fail, promote_due, reap, release,
};

use crate::bench::{Bench, Hand, LEASE, failure, final_failure, step, success};

const CRASHES_MAX: u32 = 3;

fn retrying(attempts_max: u16, backoff_base_ms: u64, backoff_cap_ms: u64) -> NewStep {
    NewStep { retry: Retry { attempts_max, backoff_base_ms, backoff_cap_ms }, ..step("a", 0, &[], 1) }
}

/// A worker loses its task to the reaper and another one claims it.
async fn zombie_and_successor(bench: &Bench) -> (Hand, Lease, Hand, Lease) {
    let mut zombie = bench.worker().await;
    let lost = zombie.claim_one().await.lease;
    bench.silence(zombie.id).await;
    let mut successor = bench.worker().await;
    reap(&mut successor.connection, LEASE, CRASHES_MAX).await.unwrap();
    let current = successor.claim_one().await.lease;
    assert_eq!(lost.task, current.task);
    assert_ne!(lost.attempt, current.attempt);
    (zombie, lost, successor, current)
}

#[tokio::test]
async fn a_zombie_worker_cannot_complete_a_task_it_lost_and_its_effects_roll_back() {
    let bench = Bench::set_up().await;
    let mut connection = bench.connect().await;
    sqlx::query("create table public.effect (task bigint)").execute(&mut connection).await.unwrap();
    let run = bench.start(&mut connection, vec![step("a", 0, &[], 1)]).await;
    let (mut zombie, lost, mut successor, current) = zombie_and_successor(&bench).await;
    for (hand, lease, wins) in [(&mut zombie, lost, false), (&mut successor, current, true)] {
        let mut transaction = hand.connection.begin().await.unwrap();
        sqlx::query("insert into public.effect values ($1)")
            .bind(lease.task.raw())
            .execute(&mut *transaction)
            .await
            .unwrap();
        let won = complete(&mut transaction, &[success(lease)]).await.unwrap();
        assert_eq!(!won.won.is_empty(), wins);
        if wins {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
    }
    let effects: i64 =
        sqlx::query("select count(*) from public.effect").fetch_one(&mut connection).await.unwrap().get(0);
    assert_eq!(effects, 1);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

#[tokio::test]
async fn a_zombie_worker_can_neither_fail_nor_release_a_task_it_lost() {
    let bench = Bench::set_up().await;
    let run = bench.start(&mut bench.connect().await, vec![step("a", 0, &[], 1)]).await;
    let (mut zombie, lost, mut successor, current) = zombie_and_successor(&bench).await;
    assert!(fail(&mut zombie.connection, &[final_failure(lost)]).await.unwrap().is_empty());
    assert_eq!(release(&mut zombie.connection, &[lost]).await.unwrap(), 0);
    assert_eq!(bench.rows(&["lease"]).await, 1);
    assert_eq!(complete(&mut successor.connection, &[success(current)]).await.unwrap().won.len(), 1);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

#[tokio::test]
async fn a_batch_with_a_lost_attempt_and_its_successor_takes_the_outputs_of_the_successor() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let run = bench.start(&mut worker.connection, vec![step("a", 0, &[], 1)]).await;
    let lost = worker.claim_one().await.lease;
    release(&mut worker.connection, &[lost]).await.unwrap();
    let current = worker.claim_one().await.lease;
    let successes = [lost, current, lost]
        .map(|lease| Success { lease, outputs: json!({ "right": lease.attempt == current.attempt }) });
    assert_eq!(complete(&mut worker.connection, &successes).await.unwrap().won, [current.task]);
    assert_eq!(bench.report(run).await.tasks[0].outputs, Some(json!({ "right": true })));
}

#[tokio::test]
async fn a_batch_with_a_lost_attempt_and_its_successor_counts_one_failure() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let run = bench.start(&mut worker.connection, vec![retrying(3, 0, 0)]).await;
    let lost = worker.claim_one().await.lease;
    release(&mut worker.connection, &[lost]).await.unwrap();
    let current = worker.claim_one().await.lease;
    assert_eq!(
        fail(&mut worker.connection, &[failure(lost), failure(current)]).await.unwrap(),
        [current.task]
    );
    assert_eq!(bench.report(run).await.tasks[0].attempts, 1);
    assert_eq!(bench.rows(&["delayed"]).await, 1);
}

#[tokio::test]
async fn acknowledging_twice_changes_nothing_the_second_time() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let steps = vec![step("a", 0, &[1], 3), step("b", 1, &[], 1)];
    let run = bench.start(&mut worker.connection, steps).await;
    let leases: Vec<Lease> = worker.claim(3).await.into_iter().map(|task| task.lease).collect();
    assert_eq!(release(&mut worker.connection, &leases[..1]).await.unwrap(), 1);
    assert_eq!(release(&mut worker.connection, &leases[..1]).await.unwrap(), 0);
    assert_eq!(bench.rows(&["ready"]).await, 1);
    assert_eq!(complete(&mut worker.connection, &[success(leases[1])]).await.unwrap().won.len(), 1);
    assert!(complete(&mut worker.connection, &[success(leases[1])]).await.unwrap().won.is_empty());
    assert_eq!(fail(&mut worker.connection, &[final_failure(leases[2])]).await.unwrap().len(), 1);
    assert!(fail(&mut worker.connection, &[final_failure(leases[2])]).await.unwrap().is_empty());
    let report = bench.report(run).await;
    assert_eq!((report.steps[0].tasks_open, report.steps[0].tasks_failed), (1, 1));
    assert_eq!(report.attempts.len(), 3);
}

#[tokio::test]
async fn failed_attempts_are_counted_and_the_last_one_fails_the_task() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let run = bench.start(&mut worker.connection, vec![retrying(3, 0, 0)]).await;
    for attempt in 1..=3 {
        let claimed = worker.claim_one().await;
        assert_eq!(claimed.attempt_number, attempt);
        fail(&mut worker.connection, &[failure(claimed.lease)]).await.unwrap();
        assert_eq!(bench.report(run).await.tasks[0].attempts as u32, attempt);
        promote_due(&mut worker.connection, 10).await.unwrap();
    }
    let report = bench.report(run).await;
    assert_eq!((report.state, report.tasks[0].state.as_str()), (RunState::Failed, "failed"));
    assert_eq!(report.tasks[0].error.as_deref(), Some("it broke"));
    let outcomes: Vec<&str> = report.attempts.iter().map(|attempt| attempt.outcome.as_str()).collect();
    assert_eq!(outcomes, ["retried", "retried", "failed"]);
    assert_eq!(bench.rows(&["ready", "lease", "delayed"]).await, 0);
}

#[tokio::test]
async fn a_task_that_says_so_fails_for_good_at_once() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let run = bench.start(&mut worker.connection, vec![retrying(5, 0, 0)]).await;
    let claimed = worker.claim_one().await;
    fail(&mut worker.connection, &[final_failure(claimed.lease)]).await.unwrap();
    assert_eq!(bench.state(run).await, RunState::Failed);
}

#[tokio::test]
async fn a_retry_waits_for_a_random_part_of_the_doubled_and_capped_back_off() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let tasks = 64;
    let mut jittered = retrying(20, 1000, 3000);
    jittered.tasks = Some(crate::bench::new_tasks(tasks));
    bench.start(&mut worker.connection, vec![jittered]).await;
    for bound_ms in [1000.0, 2000.0, 3000.0, 3000.0] {
        let failures: Vec<Failure> =
            worker.claim(tasks).await.iter().map(|task| failure(task.lease)).collect();
        let before: f64 = seconds(&mut worker, "extract(epoch from clock_timestamp())::float8").await;
        assert_eq!(fail(&mut worker.connection, &failures).await.unwrap().len(), tasks as usize);
        let after: f64 = seconds(&mut worker, "extract(epoch from clock_timestamp())::float8").await;
        let due: Vec<f64> =
            sqlx::query_scalar("select extract(epoch from run_at)::float8 from queue.delayed")
                .fetch_all(&mut worker.connection)
                .await
                .unwrap();
        assert_eq!(due.len(), tasks as usize);
        let (least, most) =
            due.iter().fold((f64::MAX, f64::MIN), |(least, most), at| (least.min(*at), most.max(*at)));
        assert!(least >= before, "no delay is negative");
        assert!(most <= after + bound_ms / 1000.0, "no delay is longer than {bound_ms} ms");
        // full jitter: 64 even draws leave the upper third, or the lower, empty once in 10¹¹ times
        assert!(most - before > bound_ms / 1500.0, "delays reach into the upper third of {bound_ms} ms");
        assert!(least - after < bound_ms / 3000.0, "delays reach into the lower third of {bound_ms} ms");
        bench.make_due().await;
        assert_eq!(promote_due(&mut worker.connection, 1000).await.unwrap(), tasks);
    }
}

#[tokio::test]
async fn a_task_may_choose_when_it_is_tried_again() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    bench.start(&mut worker.connection, vec![retrying(3, 0, 0)]).await;
    let claimed = worker.claim_one().await;
    let chosen = Failure { retry_after: Some(Duration::from_secs(40)), ..failure(claimed.lease) };
    fail(&mut worker.connection, &[chosen]).await.unwrap();
    let wait: f64 = seconds(
        &mut worker,
        "(select extract(epoch from run_at - clock_timestamp())::float8 from queue.delayed)",
    )
    .await;
    assert!((35.0..=40.0).contains(&wait), "{wait}");
    assert_eq!(promote_due(&mut worker.connection, 10).await.unwrap(), 0);
    assert!(worker.claim(1).await.is_empty());
}

#[tokio::test]
async fn only_retries_whose_time_has_come_become_ready_and_no_more_than_asked_for() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let mut three = retrying(3, 0, 0);
    three.tasks = Some(crate::bench::new_tasks(3));
    bench.start(&mut worker.connection, vec![three]).await;
    let failures: Vec<Failure> = worker.claim(3).await.iter().map(|task| failure(task.lease)).collect();
    fail(&mut worker.connection, &failures).await.unwrap();
    assert_eq!(promote_due(&mut worker.connection, 2).await.unwrap(), 2);
    assert_eq!(promote_due(&mut worker.connection, 2).await.unwrap(), 1);
    assert_eq!(promote_due(&mut worker.connection, 2).await.unwrap(), 0);
    assert_eq!(worker.claim(10).await.len(), 3);
}

#[tokio::test]
async fn a_released_task_is_ready_again_without_a_mark_against_it() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let run = bench.start(&mut worker.connection, vec![step("a", 0, &[], 1)]).await;
    let claimed = worker.claim_one().await;
    release(&mut worker.connection, &[claimed.lease]).await.unwrap();
    let again = worker.claim_one().await;
    assert_eq!((again.lease.task, again.attempt_number), (claimed.lease.task, 1));
    let task = &bench.report(run).await.tasks[0];
    assert_eq!((task.attempts, task.crashes), (0, 0));
}

async fn seconds(worker: &mut Hand, expression: &'static str) -> f64 {
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select {expression}")))
        .fetch_one(&mut worker.connection)
        .await
        .unwrap()
}

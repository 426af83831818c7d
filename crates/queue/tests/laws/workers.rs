use std::time::Duration;

use sqlx::Connection;
use tale_primitives::WorkerId;
use tale_queue::{
    NewStep, Retry, RunState, beat, complete, deregister_worker, fail, list_workers, promote_due, reap,
};

use crate::bench::{Bench, LEASE, failure, step, success};

#[tokio::test]
async fn the_reaper_requeues_the_tasks_of_the_dead_alone() {
    let bench = Bench::set_up().await;
    let (mut dead, mut alive) = (bench.worker().await, bench.worker().await);
    bench.start(&mut dead.connection, vec![step("a", 0, &[], 4)]).await;
    let (lost, held) = (dead.claim(2).await, alive.claim(2).await);
    bench.silence(dead.id).await;
    let mut reaped: Vec<_> =
        reap(&mut alive.connection, LEASE, 3).await.unwrap().iter().map(|reaped| reaped.task).collect();
    reaped.sort();
    assert_eq!(reaped, [lost[0].lease.task, lost[1].lease.task]);
    assert!(reap(&mut alive.connection, LEASE, 3).await.unwrap().is_empty(), "there is nothing left to reap");
    let leases: Vec<_> = held.iter().map(|task| task.lease).collect();
    assert!(beat(&mut alive.connection, alive.id, &leases, LEASE).await.unwrap().lost.is_empty());
    let known: Vec<WorkerId> =
        list_workers(&mut alive.connection).await.unwrap().iter().map(|worker| worker.id).collect();
    assert_eq!(known, [alive.id]);
    assert_eq!(alive.claim(10).await.len(), 2);
}

#[tokio::test]
async fn reapers_that_meet_take_each_task_once() {
    let bench = Bench::set_up().await;
    let mut dead = bench.worker().await;
    let run = bench.start(&mut dead.connection, vec![step("a", 0, &[], 40)]).await;
    dead.claim(40).await;
    bench.silence(dead.id).await;
    let (mut one, mut two) = (bench.connect().await, bench.connect().await);
    let (first, second) = tokio::join!(reap(&mut one, LEASE, 3), reap(&mut two, LEASE, 3));
    assert_eq!(first.unwrap().len() + second.unwrap().len(), 40);
    assert_eq!(bench.rows(&["ready"]).await, 40);
    assert!(bench.report(run).await.tasks.iter().all(|task| task.crashes == 1));
}

#[tokio::test]
async fn crashes_are_counted_apart_from_failures_and_too_many_fail_the_task() {
    let bench = Bench::set_up().await;
    let mut connection = bench.connect().await;
    let retry = Retry { attempts_max: 2, backoff_base_ms: 0, backoff_cap_ms: 0 };
    let run = bench.start(&mut connection, vec![NewStep { retry, ..step("a", 0, &[], 1) }]).await;
    let mut steady = bench.worker().await;
    let claimed = steady.claim_one().await;
    fail(&mut steady.connection, &[failure(claimed.lease)]).await.unwrap();
    promote_due(&mut steady.connection, 1).await.unwrap();
    for crash in 1..=3_i16 {
        let mut dead = bench.worker().await;
        dead.claim_one().await;
        bench.silence(dead.id).await;
        let reaped = reap(&mut connection, LEASE, 3).await.unwrap();
        assert_eq!((reaped.len(), reaped[0].is_dead), (1, crash == 3));
        let task = &bench.report(run).await.tasks[0];
        assert_eq!((task.attempts, task.crashes), (1, crash));
    }
    let report = bench.report(run).await;
    assert_eq!(report.state, RunState::Failed);
    assert_eq!(report.tasks[0].error.as_deref(), Some("its worker died 3 times while running it"));
    assert_eq!(bench.rows(&["ready", "lease", "delayed"]).await, 0);
}

#[tokio::test]
async fn a_heartbeat_says_which_attempts_were_lost() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    bench.start(&mut worker.connection, vec![step("a", 0, &[], 3)]).await;
    let held: Vec<_> = worker.claim(3).await.into_iter().map(|task| task.lease).collect();
    sqlx::query("delete from queue.lease where task_id = $1")
        .bind(held[1].task.raw())
        .execute(&mut worker.connection)
        .await
        .unwrap();
    let answer = beat(&mut worker.connection, worker.id, &held, LEASE).await.unwrap();
    assert!(answer.is_registered);
    assert_eq!(answer.lost, [held[1].attempt]);
}

#[tokio::test]
async fn a_lease_that_its_worker_does_not_know_of_goes_back_when_its_time_is_over() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let run = bench.start(&mut worker.connection, vec![step("a", 0, &[], 2)]).await;
    // the answer to this claim is cut off on the way: the worker knows of the second task alone
    let forgotten = worker.claim_one().await.lease;
    let known = worker.claim_one().await.lease;
    beat(&mut worker.connection, worker.id, &[known], LEASE).await.unwrap();
    assert_eq!(bench.rows(&["ready"]).await, 0, "a claim's answer may still be on its way");
    let answer = beat(&mut worker.connection, worker.id, &[known], Duration::ZERO).await.unwrap();
    assert!(answer.lost.is_empty());
    let again = worker.claim_one().await;
    assert_eq!((again.lease.task, again.attempt_number), (forgotten.task, 1));
    assert!(complete(&mut worker.connection, &[success(forgotten)]).await.unwrap().won.is_empty());
    assert_eq!(
        complete(&mut worker.connection, &[success(known), success(again.lease)]).await.unwrap().won.len(),
        2
    );
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

#[tokio::test]
async fn a_worker_that_was_given_up_learns_that_it_must_register_again() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    bench.silence(worker.id).await;
    reap(&mut worker.connection, LEASE, 3).await.unwrap();
    assert!(!beat(&mut worker.connection, worker.id, &[], LEASE).await.unwrap().is_registered);
}

#[tokio::test]
async fn a_heartbeat_in_time_keeps_the_reaper_away() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    bench.start(&mut worker.connection, vec![step("a", 0, &[], 1)]).await;
    let lease = worker.claim_one().await.lease;
    bench.silence(worker.id).await;
    beat(&mut worker.connection, worker.id, &[lease], LEASE).await.unwrap();
    assert!(reap(&mut worker.connection, LEASE, 3).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_reaper_passes_over_a_worker_that_is_beating_just_now() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    bench.start(&mut worker.connection, vec![step("a", 0, &[], 1)]).await;
    let lease = worker.claim_one().await.lease;
    bench.silence(worker.id).await;
    let mut beating = worker.connection.begin().await.unwrap();
    beat(&mut beating, worker.id, &[lease], LEASE).await.unwrap();
    assert!(reap(&mut bench.connect().await, LEASE, 3).await.unwrap().is_empty());
    beating.commit().await.unwrap();
    assert!(reap(&mut bench.connect().await, LEASE, 3).await.unwrap().is_empty());
}

#[tokio::test]
async fn leases_of_a_worker_that_signed_off_or_never_registered_are_reaped_in_the_end() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    bench.start(&mut worker.connection, vec![step("a", 0, &[], 1)]).await;
    worker.claim_one().await;
    deregister_worker(&mut worker.connection, worker.id).await.unwrap();
    assert!(
        reap(&mut worker.connection, LEASE, 3).await.unwrap().is_empty(),
        "it may be registering just now"
    );
    sqlx::query("update queue.lease set claimed_at = claimed_at - interval '1 hour'")
        .execute(&mut worker.connection)
        .await
        .unwrap();
    assert_eq!(reap(&mut worker.connection, LEASE, 3).await.unwrap().len(), 1);
}

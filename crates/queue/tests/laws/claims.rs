use std::collections::HashSet;

use sqlx::Connection;
use tale_queue::{NewStep, Priority, Retry, start_run};

use crate::bench::{Bench, step, success};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_task_is_given_twice_to_eight_workers_that_claim_at_once() {
    let bench = Bench::set_up().await;
    bench.start(&mut bench.connect().await, vec![step("a", 0, &[], 1000)]).await;
    let mut workers = Vec::new();
    for _ in 0..8 {
        let mut hand = bench.worker().await;
        workers.push(tokio::spawn(async move {
            let mut claimed = Vec::new();
            loop {
                let batch = hand.claim(7).await;
                if batch.is_empty() {
                    return claimed;
                }
                claimed.extend(batch.into_iter().map(|task| task.lease));
            }
        }));
    }
    let mut tasks = HashSet::new();
    let mut attempts = HashSet::new();
    for worker in workers {
        for lease in worker.await.unwrap() {
            assert!(tasks.insert(lease.task), "task {} was given twice", lease.task);
            assert!(attempts.insert(lease.attempt), "attempt {} was issued twice", lease.attempt);
        }
    }
    assert_eq!(tasks.len(), 1000);
    assert_eq!(bench.rows(&["ready"]).await, 0);
    assert_eq!(bench.rows(&["lease"]).await, 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_returns_every_task_that_it_leases_while_runs_are_being_started() {
    let bench = Bench::set_up().await;
    let runs: Vec<_> = (0..300).map(|_| bench.run_of(vec![step("a", 0, &[], 2)])).collect();
    let mut starter = bench.connect().await;
    let starting = tokio::spawn(async move {
        for run in runs {
            start_run(&mut starter, &run).await.unwrap();
        }
    });
    let mut worker = bench.worker().await;
    let mut returned = 0;
    while !starting.is_finished() || returned < 600 {
        let claimed = worker.claim(10).await.len();
        returned += claimed;
        if claimed == 0 && starting.is_finished() && bench.rows(&["ready"]).await == 0 {
            break;
        }
    }
    starting.await.unwrap();
    assert_eq!((returned, bench.rows(&["lease"]).await), (600, 600));
}

#[tokio::test]
async fn a_pool_that_nobody_has_mentioned_is_empty_and_exists_from_then_on() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker_of("quantum").await;
    assert!(worker.claim(10).await.is_empty());
    let steps = vec![NewStep { pool: "quantum".to_owned(), ..step("a", 0, &[], 2) }];
    bench.start(&mut worker.connection, steps).await;
    assert_eq!(worker.claim(10).await.len(), 2);
}

#[tokio::test]
async fn a_worker_is_given_the_tasks_of_its_own_pool_alone() {
    let bench = Bench::set_up().await;
    let steps = vec![step("a", 0, &[], 1), NewStep { pool: "gpu".to_owned(), ..step("b", 0, &[], 1) }];
    bench.start(&mut bench.connect().await, steps).await;
    assert_eq!(bench.worker_of("gpu").await.claim_one().await.step_name, "b");
    assert_eq!(bench.worker().await.claim_one().await.step_name, "a");
}

#[tokio::test]
async fn urgent_tasks_come_first_and_equals_in_the_order_of_their_arrival() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    for (name, priority) in [
        ("background", Priority::Background),
        ("first", Priority::Normal),
        ("second", Priority::Normal),
        ("urgent", Priority::Urgent),
    ] {
        let mut run = bench.run_of(vec![step(name, 0, &[], 2)]);
        run.priority = priority;
        start_run(&mut worker.connection, &run).await.unwrap();
    }
    // three claims: each looks through the priorities again, and one spans two of them
    let mut order = Vec::new();
    for count in [3, 3, 3] {
        order.extend(worker.claim(count).await.into_iter().map(|task| (task.step_name, task.index)));
    }
    let expected = ["urgent", "first", "second", "background"].map(|name| [(name, 0), (name, 1)]);
    let order: Vec<_> = order.iter().map(|(name, index)| (name.as_str(), *index)).collect();
    assert_eq!(order, expected.concat());
}

#[tokio::test]
async fn an_urgent_task_that_comes_later_is_seen_behind_the_watermark_of_another_priority() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    bench.start(&mut worker.connection, vec![step("bulk", 0, &[], 50)]).await;
    assert_eq!(worker.claim(20).await.len(), 20);
    let mut run = bench.run_of(vec![step("urgent", 0, &[], 1)]);
    run.priority = Priority::Urgent;
    start_run(&mut worker.connection, &run).await.unwrap();
    assert_eq!(worker.claim_one().await.step_name, "urgent");
}

#[tokio::test]
async fn the_watermark_does_not_hide_rows_that_commit_late() {
    let bench = Bench::set_up().await;
    let mut slow = bench.connect().await;
    let mut worker = bench.worker().await;
    // its rows take their numbers first, and commit after those of everybody else
    let late = bench.run_of(vec![step("late", 0, &[], 3)]);
    let mut transaction = slow.begin().await.unwrap();
    start_run(&mut transaction, &late).await.unwrap();
    bench.start(&mut worker.connection, vec![step("bulk", 0, &[], 15_000)]).await;
    let mut claimed = 0;
    while claimed < 15_000 {
        let batch = worker.claim(5000).await;
        assert!(!batch.is_empty(), "only {claimed} of the committed tasks were found");
        assert!(batch.iter().all(|task| task.step_name == "bulk"));
        claimed += batch.len();
    }
    transaction.commit().await.unwrap();
    // farther back than the slack: found when the watermark is reset, every second
    let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
    let mut found = 0;
    while found < 3 {
        assert!(std::time::Instant::now() < until, "{found} of 3 late rows were found");
        found += worker.claim(10).await.len();
    }
}

#[tokio::test]
async fn a_claim_that_is_rolled_back_leaves_its_tasks_ready() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    bench.start(&mut worker.connection, vec![step("a", 0, &[], 4)]).await;
    let mut connection = bench.connect().await;
    let mut transaction = connection.begin().await.unwrap();
    assert_eq!(worker.claimer.claim(&mut transaction, 4).await.unwrap().len(), 4);
    transaction.rollback().await.unwrap();
    assert_eq!(worker.claim(10).await.len(), 4);
}

#[tokio::test]
async fn a_claimed_task_carries_what_its_worker_needs() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let mut only = step("a", 0, &[], 1);
    only.timeout_ms = Some(1500);
    only.retry = Retry { attempts_max: 3, backoff_base_ms: 0, backoff_cap_ms: 0 };
    let run = bench.start(&mut worker.connection, vec![only]).await;
    let claimed = worker.claim_one().await;
    assert_eq!((claimed.run, claimed.pipeline.as_str(), claimed.version_id), (run, "law", bench.version_id));
    assert_eq!((claimed.step, claimed.step_name.as_str(), claimed.kind.as_str()), (0, "a", "test"));
    assert_eq!((claimed.index, claimed.attempt_number, claimed.attempts_max), (0, 1, 3));
    assert_eq!(claimed.timeout, Some(std::time::Duration::from_millis(1500)));
    assert_eq!(claimed.logical_date.to_string(), "2026-11-23");
    let won = tale_queue::complete(&mut worker.connection, &[success(claimed.lease)]).await.unwrap();
    assert_eq!(won.won, [claimed.lease.task]);
}

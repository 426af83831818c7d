use std::{collections::BTreeSet, time::Duration};

use sqlx::AssertSqlSafe;
use tale_queue::{
    Again, Gauges, Limit, LimitGauges, NewStep, NewTask, PoolGauges, Retry, RunState, complete, fail,
    fold_run_tallies, read_gauges, request_cancellation, retry_run, set_pipeline_limit, set_pipeline_paused,
    set_pool_limit, set_pool_paused, sweep_cancelled,
};

use crate::bench::{Bench, failure, final_failure, step, success};

async fn gauges(bench: &Bench) -> Gauges {
    read_gauges(&mut bench.connect().await, 3).await.unwrap()
}

fn pool<'a>(gauges: &'a Gauges, name: &str) -> &'a PoolGauges {
    gauges.pools.iter().find(|pool| pool.name == name).unwrap()
}

fn runs(gauges: &Gauges, state: RunState) -> i64 {
    gauges.runs.iter().find(|(counted, _)| *counted == state).map_or(0, |(_, runs)| *runs)
}

#[tokio::test]
async fn gauges_say_what_each_pool_holds() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let retry = Retry { attempts_max: 2, backoff_base_ms: 60_000, backoff_cap_ms: 60_000 };
    bench.start(&mut worker.connection, vec![NewStep { retry, ..step("a", 0, &[], 5) }]).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let claimed = worker.claim(2).await;
    set_pool_limit(&mut worker.connection, "cpu", Some(7)).await.unwrap();
    set_pool_paused(&mut worker.connection, "cpu", true).await.unwrap();

    let now = gauges(&bench).await;
    let cpu = pool(&now, "cpu");
    assert_eq!((cpu.ready, cpu.leases, cpu.workers, cpu.slots), (3, 2, 1, 1000));
    assert_eq!((cpu.is_paused, cpu.leases_max), (true, Some(7)));
    assert!(cpu.oldest_seconds.unwrap() >= 0.02, "{cpu:?}");
    let scheduler = pool(&now, tale_queue::SCHEDULER_POOL);
    assert_eq!((scheduler.ready, scheduler.oldest_seconds), (0, None));

    fail(&mut worker.connection, &[failure(claimed[0].lease)]).await.unwrap();
    let now = gauges(&bench).await;
    assert_eq!((pool(&now, "cpu").leases, now.delayed), (1, 1));
}

#[tokio::test]
async fn gauges_name_the_limits_with_the_most_waiting_tasks_and_count_all_that_wait() {
    let bench = Bench::set_up().await;
    let mut connection = bench.connect().await;
    // key-n is wanted by n + 1 tasks, and has one place
    let tasks = (0..5).flat_map(|key| std::iter::repeat_n(key, key + 1)).enumerate();
    let tasks = tasks.map(|(index, key)| NewTask {
        index: index as u32,
        arguments: serde_json::Value::Null,
        limit_key: Some(format!("key-{key}")),
        cache_key: None,
    });
    let limit = Limit { capacity: Some(1), rate: None };
    let limited = NewStep { limit, tasks: Some(tasks.collect()), ..step("limited", 0, &[], 0) };
    bench.start(&mut connection, vec![limited]).await;

    let now = gauges(&bench).await;
    assert_eq!(now.waiting, 1 + 2 + 3 + 4);
    let named: Vec<(&str, i64, i64, Option<i64>)> = now
        .limits
        .iter()
        .map(|LimitGauges { key, used, places, waiting }| (key.as_str(), *used, *waiting, *places))
        .collect();
    assert_eq!(
        named,
        [("key-4", 1, 4, Some(1)), ("key-3", 1, 3, Some(1)), ("key-2", 1, 2, Some(1))],
        "no more than were asked for"
    );
}

#[tokio::test]
async fn runs_are_counted_by_state_through_every_change_of_state_and_fold() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let one = || vec![step("a", 0, &[], 1)];
    let counts = |now: &Gauges| {
        use RunState::{Cancelled, Failed, Queued, Running, Succeeded};
        [Queued, Running, Succeeded, Failed, Cancelled].map(|state| runs(now, state))
    };

    set_pipeline_limit(&mut worker.connection, "law", Some(1)).await.unwrap();
    let first = bench.start(&mut worker.connection, one()).await;
    bench.start(&mut worker.connection, one()).await;
    let now = gauges(&bench).await;
    assert_eq!(counts(&now), [1, 1, 0, 0, 0]);
    let place = LimitGauges { key: "law".to_owned(), used: 1, places: Some(1), waiting: 1 };
    assert_eq!(now.pipelines, [place]);

    let task = worker.claim_one().await;
    fail(&mut worker.connection, &[final_failure(task.lease)]).await.unwrap();
    assert_eq!(counts(&gauges(&bench).await), [0, 1, 0, 1, 0], "an end lets the next one in");
    let task = worker.claim_one().await;
    complete(&mut worker.connection, &[success(task.lease)]).await.unwrap();
    set_pipeline_paused(&mut worker.connection, "law", true).await.unwrap();
    retry_run(&mut worker.connection, first, &Again { from: vec![], only_failed: false }).await.unwrap();
    let waits = "an end stays counted when it is retried, and the run waits for its paused pipeline";
    assert_eq!(counts(&gauges(&bench).await), [1, 0, 1, 1, 0], "{waits}");
    request_cancellation(&mut worker.connection, first).await.unwrap();
    sweep_cancelled(&mut worker.connection).await.unwrap();
    assert_eq!(counts(&gauges(&bench).await), [0, 0, 1, 1, 1]);

    // folding changes the rows and not their sums; few rows are left alone
    let rows = bench.rows(&["run_tally"]).await;
    fold_run_tallies(&mut worker.connection).await.unwrap();
    assert_eq!(bench.rows(&["run_tally"]).await, rows);
    sqlx::query("insert into queue.run_tally select 'succeeded', 1 from generate_series(1, 200)")
        .execute(&mut worker.connection)
        .await
        .unwrap();
    fold_run_tallies(&mut worker.connection).await.unwrap();
    assert_eq!(bench.rows(&["run_tally"]).await, 3, "a row for each state that has a count");
    assert_eq!(counts(&gauges(&bench).await), [0, 0, 201, 1, 1]);
}

#[tokio::test]
async fn reading_the_gauges_reads_no_history() {
    let bench = Bench::set_up().await;
    let mut connection = bench.connect().await;
    // sqlx's notes on types are none of PostgreSQL's business
    let query = include_str!("../../../../sql/queue/read_gauges.sql");
    let prepared = format!("prepare gauges (bigint) as {}", query.replace(": Json", " of Json"));
    sqlx::raw_sql(AssertSqlSafe(prepared)).execute(&mut connection).await.unwrap();
    let plan: Vec<String> = sqlx::query_scalar("explain (verbose) execute gauges (50)")
        .persistent(false)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let read: BTreeSet<&str> = plan.iter().filter_map(|line| line.split(" on queue.").nth(1)).collect();
    let read: BTreeSet<&str> = read.into_iter().filter_map(|rest| rest.split(' ').next()).collect();
    assert!(read.contains("ready") && read.contains("lease"), "{plan:#?}");
    for history in ["run", "step", "task", "attempt", "log", "audit", "pipeline_version"] {
        assert!(!read.contains(history), "{history} is read: {plan:#?}");
    }
}

use std::time::Duration;

use tale_queue::{
    Limit, NewRun, NewStep, NewTask, Rate, Retry, answer_knocks, complete, fail, reap, reconcile_gates,
    start_run,
};

use crate::bench::{Bench, Hand, LEASE, failure, final_failure, step, success};

/// A step whose tasks share keys in turn.
fn limited(tasks: u32, keys: u32, limit: Limit) -> NewStep {
    let tasks = (0..tasks)
        .map(|index| NewTask {
            index,
            arguments: serde_json::Value::Null,
            limit_key: Some(format!("key-{}", index % keys)),
            cache_key: None,
        })
        .collect();
    NewStep { limit, tasks: Some(tasks), ..step("limited", 0, &[], 0) }
}

fn at_a_time(capacity: u32) -> Limit {
    Limit { capacity: Some(capacity), rate: None }
}

#[tokio::test]
async fn no_more_tasks_of_one_key_run_at_a_time_than_its_capacity_whoever_claims() {
    let bench = Bench::set_up().await;
    let mut connection = bench.connect().await;
    bench.start(&mut connection, vec![limited(60, 3, at_a_time(2))]).await;
    let mut done = 0;
    while done < 60 {
        let mut workers: Vec<Hand> = vec![bench.worker().await, bench.worker().await, bench.worker().await];
        let mut held = Vec::new();
        for worker in &mut workers {
            held.extend(worker.claim(10).await);
        }
        assert_eq!(held.len(), 6.min(60 - done), "two of each of three keys");
        for key in 0..3 {
            assert!(held.iter().filter(|task| task.index % 3 == key).count() <= 2);
        }
        done += held.len();
        let successes: Vec<_> = held.iter().map(|task| success(task.lease)).collect();
        let completed = complete(&mut connection, &successes).await.unwrap();
        assert_eq!(completed.released as usize, 6.min(60 - done), "each end lets the next one in");
    }
    assert_eq!(bench.rows(&["admitted", "waiting"]).await, 0);
}

#[tokio::test]
async fn a_place_is_given_up_by_failure_retry_and_death_and_kept_by_a_task_that_is_handed_back() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let retry = Retry { attempts_max: 2, backoff_base_ms: 60_000, backoff_cap_ms: 60_000 };
    bench.start(&mut worker.connection, vec![NewStep { retry, ..limited(5, 1, at_a_time(1)) }]).await;

    let retried = worker.claim_one().await;
    assert!(worker.claim(10).await.is_empty());
    fail(&mut worker.connection, &[failure(retried.lease)]).await.unwrap();
    let failed = worker.claim_one().await;
    assert_eq!(failed.index, 1, "a task that waits for its retry holds nobody up");
    fail(&mut worker.connection, &[final_failure(failed.lease)]).await.unwrap();

    let handed_back = worker.claim_one().await;
    tale_queue::release(&mut worker.connection, &[handed_back.lease]).await.unwrap();
    let again = worker.claim(10).await;
    assert_eq!(again.iter().map(|task| task.index).collect::<Vec<_>>(), [2], "it kept its place");

    let mut other = bench.worker().await;
    bench.silence(worker.id).await;
    let reaped = reap(&mut other.connection, LEASE, 1).await.unwrap();
    assert!(reaped[0].is_dead);
    assert_eq!(other.claim(10).await.iter().map(|task| task.index).collect::<Vec<_>>(), [3]);
}

#[tokio::test]
async fn pain_3_no_slot_leaks_a_place_whose_task_is_gone_is_found_and_freed() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    bench.start(&mut worker.connection, vec![limited(2, 1, at_a_time(1))]).await;
    let lost = worker.claim_one().await;
    // what a fault of ours would look like: the task ends and its place does not
    sqlx::query("delete from queue.lease").execute(&mut worker.connection).await.unwrap();
    sqlx::query("update queue.task set state = 'cancelled', finished_at = now() where id = $1")
        .bind(lost.lease.task.raw())
        .execute(&mut worker.connection)
        .await
        .unwrap();
    assert!(worker.claim(10).await.is_empty());
    assert!(reconcile_gates(&mut worker.connection, true).await.unwrap());
    assert_eq!(worker.claim(10).await.len(), 1);
}

#[tokio::test]
async fn a_rate_lets_its_count_through_at_once_and_the_rest_as_time_goes_by() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let limit = Limit { capacity: None, rate: Some(Rate { count: 4, per_ms: 400 }) };
    bench.start(&mut worker.connection, vec![limited(8, 1, limit)]).await;
    assert_eq!(worker.claim(10).await.len(), 4);
    let began = std::time::Instant::now();
    let mut later = 0;
    while later < 4 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        reconcile_gates(&mut worker.connection, false).await.unwrap();
        later += worker.claim(10).await.len();
        // a token comes back every 100 ms; the bucket was filled before the clock of this test started
        let tokens = began.elapsed().as_secs_f64() / 0.1 + 2.0;
        assert!(later as f64 <= tokens, "{later} after {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_tenant_with_few_tasks_does_not_wait_behind_one_with_many() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let of = |tenant: &str, tasks: u32| NewRun {
        tenant: Some(tenant.to_owned()),
        ..bench.run_of(vec![step("a", 0, &[], tasks)])
    };
    let many = start_run(&mut worker.connection, &of("many", 200)).await.unwrap().unwrap().run;
    worker.claim(20).await;
    let few = start_run(&mut worker.connection, &of("few", 10)).await.unwrap().unwrap().run;
    let claimed = worker.claim(20).await;
    let count = |run| claimed.iter().filter(|task| task.run == run).count();
    assert!(count(few) >= 9, "{} of few, {} of many", count(few), count(many));
    assert!(count(many) >= 9, "{} of few, {} of many", count(few), count(many));
}

#[tokio::test]
async fn tenants_share_by_their_weights_whether_their_tasks_come_at_once_or_one_by_one() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    tale_queue::set_tenant_weight(&mut worker.connection, "heavy", 3).await.unwrap();
    let of = |tenant: &str, tasks: u32| NewRun {
        tenant: Some(tenant.to_owned()),
        ..bench.run_of(vec![step(tenant, 0, &[], tasks)])
    };
    start_run(&mut worker.connection, &of("light", 60)).await.unwrap();
    start_run(&mut worker.connection, &of("heavy", 60)).await.unwrap();
    let mut share = async |claims: usize| {
        let claimed = worker.claim(claims as u32).await;
        claimed.iter().filter(|task| task.step_name == "heavy").count()
    };
    let heavy = share(40).await;
    assert!((29..=31).contains(&heavy), "{heavy} of 40");
    for _ in 0..30 {
        start_run(&mut bench.connect().await, &of("heavy", 1)).await.unwrap();
    }
    let heavy = share(40).await;
    assert!((29..=31).contains(&heavy), "{heavy} of the next 40");
    let tenants = tale_queue::list_tenants(&mut bench.connect().await).await.unwrap();
    let seen: Vec<_> = tenants.iter().map(|tenant| (tenant.name.as_str(), tenant.weight)).collect();
    assert_eq!(seen, [("heavy", 3), ("light", 1)]);
    assert_eq!(tenants[0].ready + tenants[1].ready, 70);
}

#[tokio::test]
async fn nothing_starves_background_work_that_waits_for_long_comes_before_fresh_urgent_work() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let with = |priority| NewRun { priority, ..bench.run_of(vec![step("a", 0, &[], 1)]) };
    let background = start_run(&mut worker.connection, &with(tale_queue::Priority::Background))
        .await
        .unwrap()
        .unwrap()
        .run;
    start_run(&mut worker.connection, &with(tale_queue::Priority::Urgent)).await.unwrap();
    sqlx::query(
        "update queue.ready set entered_at = now() - interval '3 minutes 1 second' where priority = 2",
    )
    .execute(&mut worker.connection)
    .await
    .unwrap();
    assert_eq!(worker.claim_one().await.run, background);
}

#[tokio::test]
async fn many_limited_tasks_that_end_at_once_do_not_wait_for_each_other_and_their_gate_opens_all_the_same() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    bench.start(&mut worker.connection, vec![limited(300, 1, at_a_time(100))]).await;
    let claimed = worker.claim(200).await;
    assert_eq!(claimed.len(), 100);
    let halves: Vec<Vec<_>> =
        claimed.chunks(50).map(|half| half.iter().map(|task| success(task.lease)).collect()).collect();
    // the first acknowledgement is on its way to the disk while the second comes, and is not in its way
    let mut slow = bench.connect().await;
    let mut transaction = sqlx::Connection::begin(&mut slow).await.unwrap();
    complete(&mut transaction, &halves[0]).await.unwrap();
    sqlx::query("set lock_timeout = '100ms'").execute(&mut worker.connection).await.unwrap();
    complete(&mut worker.connection, &halves[1]).await.expect("it waits for nobody");
    transaction.commit().await.unwrap();
    assert!(answer_knocks(&mut worker.connection).await.unwrap());
    assert!(!answer_knocks(&mut worker.connection).await.unwrap());
    assert_eq!(worker.claim(200).await.len(), 100);
}

/// Works off a run in batches of 25; returns how many transactions that took and how many rows they wrote.
async fn cost_of(step: NewStep) -> (u32, i64) {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let mut transaction = sqlx::Connection::begin(&mut worker.connection).await.unwrap();
    start_run(&mut transaction, &bench.run_of(vec![step])).await.unwrap();
    let mut transactions = 1;
    loop {
        let claimed = worker.claimer.claim(&mut transaction, 25).await.unwrap();
        transactions += 2;
        if claimed.is_empty() {
            break;
        }
        let successes: Vec<_> = claimed.iter().map(|task| success(task.lease)).collect();
        complete(&mut transaction, &successes).await.unwrap();
    }
    // all of it is one transaction here, because the server counts exactly what the current one has written
    let written = sqlx::query_scalar(
        "select sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint from pg_stat_xact_user_tables
         where schemaname = 'queue'",
    );
    (transactions, written.fetch_one(&mut *transaction).await.unwrap())
}

#[tokio::test]
async fn pain_9_a_limit_that_holds_nobody_up_costs_no_transaction_and_two_rows() {
    let (transactions, rows) = cost_of(step("free", 0, &[], 400)).await;
    for keys in [1, 8] {
        let (limited_transactions, limited_rows) = cost_of(limited(400, keys, at_a_time(400))).await;
        assert_eq!(limited_transactions, transactions, "{keys} keys");
        let ratio = limited_rows as f64 / rows as f64;
        println!("{keys} keys: {limited_rows} rows instead of {rows}, {ratio:.2} times");
        // the place that each task holds comes and goes
        assert!(ratio <= 1.3, "{limited_rows} rows instead of {rows}");
    }
}

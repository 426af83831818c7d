//! Two things that meet: each alone has its law elsewhere.

use std::time::Duration;

use serde_json::json;
use sqlx::{Connection, PgConnection};
use tale_queue::{
    Again, JoinRule, Limit, NewStep, NewTask, Part, PartArguments, Question, RunState, await_approval,
    break_deadlock, complete, decide, expand_part, fail, fold_tallies, open_questions, park_paused,
    pause_run, promote_due, reap, release, request_cancellation, resume_run, retry_run, set_pipeline_limit,
    set_pool_limit, sweep_cancelled,
};

use crate::bench::{Bench, LEASE, failure, final_failure, step, sub_run, success, unplanned};

/// Waits until another session of this database waits for a lock.
async fn until_somebody_waits(connection: &mut PgConnection) {
    loop {
        let waits: bool = sqlx::query_scalar(
            "select exists (select from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock')",
        )
        .fetch_one(&mut *connection)
        .await
        .unwrap();
        if waits {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_task_that_comes_back_just_as_its_run_is_resumed_is_in_one_place_and_not_forgotten_there() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let run = bench.start(&mut worker.connection, vec![step("a", 0, &[], 1)]).await;
    let lease = worker.claim_one().await.lease;
    let (mut operator, mut blocker) = (bench.connect().await, bench.connect().await);
    pause_run(&mut operator, run).await.unwrap();
    // whoever parks this task has to wait, and in the meantime its run goes on
    let mut block = blocker.begin().await.unwrap();
    sqlx::query("insert into queue.parked (task_id) values ($1)")
        .bind(lease.task.raw())
        .execute(&mut *block)
        .await
        .unwrap();
    let comes_back = tokio::spawn(async move {
        assert_eq!(release(&mut worker.connection, &[lease]).await.unwrap(), 1);
        worker
    });
    until_somebody_waits(&mut operator).await;
    assert!(resume_run(&mut operator, run).await.unwrap());
    block.rollback().await.unwrap();
    let mut worker = comes_back.await.unwrap();
    assert_eq!(bench.rows(&["ready", "parked"]).await, 1);
    park_paused(&mut operator).await.unwrap();
    assert_eq!(worker.work_off().await, [(0, 0)]);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

#[tokio::test]
async fn a_worker_that_was_given_up_for_dead_gets_nothing_beyond_its_pools_limit() {
    let bench = Bench::set_up().await;
    let (mut zombie, mut living) = (bench.worker().await, bench.worker().await);
    bench.start(&mut zombie.connection, vec![step("a", 0, &[], 5)]).await;
    set_pool_limit(&mut living.connection, "cpu", Some(1)).await.unwrap();
    bench.silence(zombie.id).await;
    reap(&mut living.connection, LEASE, 3).await.unwrap();
    // its leases would be counted nowhere
    assert!(zombie.claim(5).await.is_empty());
    assert_eq!(living.claim(5).await.len(), 1);
    assert!(living.claim(5).await.is_empty());
}

#[tokio::test]
async fn ends_that_were_not_counted_before_a_run_was_stopped_do_not_count_when_it_runs_again() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let run = bench.start(&mut worker.connection, vec![step("many", 0, &[], 300)]).await;
    let successes = |claimed: Vec<tale_queue::ClaimedTask>| -> Vec<_> {
        claimed.iter().map(|task| success(task.lease)).collect()
    };
    let first = successes(worker.claim(10).await);
    complete(&mut worker.connection, &first).await.unwrap();
    assert!(request_cancellation(&mut worker.connection, run).await.unwrap());
    assert!(sweep_cancelled(&mut worker.connection).await.unwrap());
    let again = Again { only_failed: true, ..Again::default() };
    retry_run(&mut worker.connection, run, &again).await.unwrap();
    let most = successes(worker.claim(285).await);
    assert_eq!(most.len(), 285);
    complete(&mut worker.connection, &most).await.unwrap();
    while fold_tallies(&mut worker.connection, 1000).await.unwrap() {}
    assert_eq!(bench.state(run).await, RunState::Running, "five are left");
    assert_eq!(worker.work_off().await.len(), 5);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

#[tokio::test]
async fn a_run_that_runs_again_waits_for_its_pipeline_like_a_new_one() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    set_pipeline_limit(&mut worker.connection, "law", Some(1)).await.unwrap();
    let steps = || vec![step("a", 0, &[1], 2), step("b", 1, &[], 1)];
    let first = bench.start(&mut worker.connection, steps()).await;
    let claimed = worker.claim(2).await;
    complete(&mut worker.connection, &[success(claimed[0].lease)]).await.unwrap();
    fail(&mut worker.connection, &[final_failure(claimed[1].lease)]).await.unwrap();
    let second = bench.start(&mut worker.connection, steps()).await;
    let again = Again { only_failed: true, ..Again::default() };
    retry_run(&mut worker.connection, first, &again).await.unwrap();
    assert_eq!((bench.state(first).await, bench.state(second).await), (RunState::Queued, RunState::Running));
    assert_eq!(worker.work_off().await.len(), 3 + 2, "the second, then what the first had left");
    assert_eq!(bench.state(first).await, RunState::Succeeded);
    assert_eq!(bench.rows(&["place"]).await, 0);
}

/// One task for each of these keys, which let `capacity` tasks in.
fn limited(step: NewStep, keys: &[&str], capacity: u32) -> NewStep {
    let tasks = (0..).zip(keys).map(|(index, key)| NewTask {
        index,
        arguments: serde_json::Value::Null,
        limit_key: Some((*key).to_owned()),
        cache_key: None,
    });
    NewStep { limit: Limit { capacity: Some(capacity), rate: None }, tasks: Some(tasks.collect()), ..step }
}

#[tokio::test]
async fn a_sub_run_that_waits_for_what_the_step_above_it_holds_fails_and_names_both() {
    let bench = Bench::set_up().await;
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    let outer = limited(sub_run("outer", 0, &[]), &["licence \"a\"", "licence \"a\""], 2);
    let run = bench.start(&mut scheduler.connection, vec![outer]).await;
    let inner = || limited(step("inner", 0, &[], 1), &["licence \"a\""], 2);
    let first = scheduler.claim_one().await;
    let middle =
        bench.start_below(&mut scheduler.connection, first.lease, vec![sub_run("middle", 0, &[])]).await;
    let waiting = scheduler.claim(10).await;
    assert_eq!(waiting.len(), 2, "the other outer task, and the middle one");
    let (second, below) = match &waiting[..] {
        [a, b] if a.run == middle => (b, a),
        [a, b] => (a, b),
        _ => unreachable!("there are two"),
    };
    bench.start_below(&mut scheduler.connection, below.lease, vec![inner()]).await;
    assert!(worker.claim(10).await.is_empty(), "both places are taken");
    assert!(
        break_deadlock(&mut scheduler.connection).await.unwrap().is_none(),
        "one of them may be given up"
    );

    bench.start_below(&mut scheduler.connection, second.lease, vec![inner()]).await;
    assert!(worker.claim(10).await.is_empty());
    let broken = break_deadlock(&mut scheduler.connection).await.unwrap().expect("nobody gives a place up");
    let again = break_deadlock(&mut scheduler.connection).await.unwrap();
    assert_eq!(again, None, "the place that this frees is enough for the other");
    let error: String = sqlx::query_scalar("select error from queue.task where id = $1")
        .bind(broken.raw())
        .fetch_one(&mut worker.connection)
        .await
        .unwrap();
    let named =
        format!(r#"the limit "licence \"a\"": step outer of run {run}, which waits for this run, holds it"#);
    assert!(error.contains(&named), "{error}");
    assert!(
        tale_queue::answer_knocks(&mut scheduler.connection).await.unwrap(),
        "the step above gave its place up"
    );
    assert_eq!(worker.work_off().await.len(), 1);
    assert_eq!(bench.state(run).await, RunState::Failed);
    assert_eq!(bench.rows(&["admitted", "waiting", "ready", "lease"]).await, 0);
}

#[tokio::test]
async fn a_task_that_waited_for_a_sub_run_or_an_answer_gives_up_its_place_when_it_ends() {
    let bench = Bench::set_up().await;
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    let limited = |task| limited(task, &["one", "one"], 1);
    bench.start(&mut scheduler.connection, vec![limited(sub_run("children", 0, &[]))]).await;
    for _ in 0..2 {
        let waiting = scheduler.claim_one().await;
        assert!(scheduler.claim(10).await.is_empty(), "it keeps its place while it waits");
        bench.start_below(&mut scheduler.connection, waiting.lease, vec![step("inner", 0, &[], 1)]).await;
        worker.work_off().await;
        tale_queue::answer_knocks(&mut scheduler.connection).await.unwrap();
    }
    bench.start(&mut scheduler.connection, vec![limited(sub_run("questions", 0, &[]))]).await;
    for _ in 0..2 {
        let asks = scheduler.claim_one().await;
        let question =
            Question { prompt: None, timeout_ms: None, on_timeout: tale_queue::Decision::Rejected };
        assert!(await_approval(&mut scheduler.connection, asks.lease, &question).await.unwrap());
        let open = open_questions(&mut scheduler.connection, None).await.unwrap();
        let decision = tale_queue::Decision::Approved;
        decide(&mut scheduler.connection, &open, decision, "a test", None).await.unwrap();
    }
    assert_eq!(bench.rows(&["admitted", "waiting", "ready"]).await, 0);
}

#[tokio::test]
async fn a_failure_that_is_told_twice_at_once_is_one_failure() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let retry = tale_queue::Retry { attempts_max: 3, backoff_base_ms: 60_000, backoff_cap_ms: 60_000 };
    bench.start(&mut worker.connection, vec![NewStep { retry, ..step("a", 0, &[], 1) }]).await;
    let lease = worker.claim_one().await.lease;
    assert_eq!(fail(&mut worker.connection, &[failure(lease), failure(lease)]).await.unwrap().len(), 1);
    bench.make_due().await;
    assert_eq!(promote_due(&mut worker.connection, 10).await.unwrap(), 1);
    assert_eq!(worker.claim(10).await.len(), 1);
}

#[tokio::test]
async fn a_sub_run_that_a_finally_step_waits_for_goes_on_in_a_run_that_was_stopped() {
    let bench = Bench::set_up().await;
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    let tidy = NewStep { is_finally: true, join: JoinRule::AllDone, ..sub_run("tidy", 1, &[]) };
    let run = bench.start(&mut worker.connection, vec![step("a", 0, &[1], 1), tidy]).await;
    assert!(request_cancellation(&mut worker.connection, run).await.unwrap());
    assert!(sweep_cancelled(&mut worker.connection).await.unwrap());
    let waiting = scheduler.claim_one().await;
    let child =
        bench.start_below(&mut scheduler.connection, waiting.lease, vec![step("inner", 0, &[], 2)]).await;
    // the wish to stop is looked at again for a while, so that nothing slips through
    sweep_cancelled(&mut worker.connection).await.unwrap();
    assert_eq!(bench.state(child).await, RunState::Running);
    assert_eq!(worker.work_off().await.len(), 2);
    assert_eq!(
        (bench.state(child).await, bench.state(run).await),
        (RunState::Succeeded, RunState::Cancelled)
    );
    assert_eq!(bench.steps(run).await, ["cancelled", "succeeded"]);
}

#[tokio::test]
async fn a_step_that_any_success_opens_opens_again_by_the_one_that_does_not_run_again() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let join = NewStep { join: JoinRule::AnySuccess, ..step("join", 2, &[], 1) };
    let run = bench
        .start(&mut worker.connection, vec![step("good", 0, &[2], 1), step("bad", 0, &[2], 1), join])
        .await;
    let mut work = async || {
        loop {
            let claimed = worker.claim(10).await;
            if claimed.is_empty() {
                return;
            }
            for task in claimed {
                if task.step == 1 {
                    fail(&mut worker.connection, &[final_failure(task.lease)]).await.unwrap();
                } else {
                    complete(&mut worker.connection, &[success(task.lease)]).await.unwrap();
                }
            }
        }
    };
    work().await;
    assert_eq!(bench.steps(run).await, ["succeeded", "failed", "succeeded"]);
    retry_run(&mut bench.connect().await, run, &Again::default()).await.unwrap();
    work().await;
    assert_eq!(bench.steps(run).await, ["succeeded", "failed", "succeeded"]);
    assert_eq!(bench.state(run).await, RunState::Failed);
}

#[tokio::test]
async fn tasks_end_well_while_the_next_part_of_their_step_is_inserted() {
    let bench = Bench::set_up().await;
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    let run = bench.start(&mut worker.connection, vec![unplanned("each", 0, &[])]).await;
    let expansion = scheduler.claim_one().await.lease;
    let arguments = json!({});
    let first = Part {
        first: 0,
        count: 2,
        arguments: PartArguments::Shared(&arguments),
        limit_keys: None,
        cache_keys: None,
        is_last: false,
    };
    assert!(expand_part(&mut scheduler.connection, expansion, first).await.unwrap());
    let successes: Vec<_> = worker.claim(2).await.iter().map(|task| success(task.lease)).collect();
    let mut part = scheduler.connection.begin().await.unwrap();
    let last = Part { first: 2, count: 5, is_last: true, ..first };
    assert!(expand_part(&mut part, expansion, last).await.unwrap());
    // when it begins, the step has two tasks; when it has waited, seven
    let ends = tokio::spawn(async move {
        assert_eq!(complete(&mut worker.connection, &successes).await.unwrap().won.len(), 2);
        worker
    });
    until_somebody_waits(&mut bench.connect().await).await;
    part.commit().await.unwrap();
    let mut worker = ends.await.unwrap();
    assert_eq!(bench.report(run).await.steps[0].tasks_open, 5);
    assert_eq!(worker.work_off().await.len(), 5);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

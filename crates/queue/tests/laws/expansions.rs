use serde_json::json;
use tale_queue::{
    ClaimedTask, NewStep, NewTask, RunState, complete, expand_step, fail, fail_expansion, publish_outputs,
    reap, sequence_state, step_outputs,
};

use crate::bench::{Bench, Hand, LEASE, failure, final_failure, new_tasks, step, success, unplanned};

fn sequence(tolerate_ppm: u32) -> NewStep {
    NewStep { sequence: true, tolerate_ppm, ..unplanned("items", 0, &[1]) }
}

/// Expands the next item of a sequence of `total`.
async fn expand_next(scheduler: &mut Hand, expected: u32, total: u32) -> ClaimedTask {
    let expansion = scheduler.claim_one().await;
    let state = sequence_state(&mut scheduler.connection, expansion.run, expansion.step).await.unwrap();
    assert_eq!(state.next_index, expected);
    assert_eq!(state.previous.is_null(), expected == 0);
    let next = [NewTask {
        index: expected,
        arguments: json!({ "previous": state.previous }),
        limit_key: None,
        cache_key: None,
    }];
    assert!(expand_step(&mut scheduler.connection, expansion.lease, Some((total, &next))).await.unwrap());
    expansion
}

#[tokio::test]
async fn a_sequence_runs_one_item_at_a_time_and_hands_on_the_outputs_of_the_one_before() {
    let bench = Bench::set_up().await;
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    let run = bench.start(&mut worker.connection, vec![sequence(0), step("after", 1, &[], 1)]).await;
    let mut before = None;
    for item in 0..4 {
        expand_next(&mut scheduler, item, 4).await;
        assert!(scheduler.claim(1).await.is_empty(), "the next item waits for this one");
        let mut claimed = worker.claim(10).await;
        assert_eq!(claimed.len(), 1, "one item at a time");
        let task = claimed.pop().unwrap();
        assert_eq!(task.index, item as i32);
        assert_eq!(task.arguments["previous"], before.take().unwrap_or_default());
        before = Some(json!({ "task": task.lease.task.raw() }));
        complete(&mut worker.connection, &[success(task.lease)]).await.unwrap();
    }
    assert!(scheduler.claim(1).await.is_empty());
    assert_eq!(worker.work_off().await, [(1, 0)]);
    let report = bench.report(run).await;
    assert_eq!(report.state, RunState::Succeeded);
    assert_eq!(report.steps[0].tasks_total, 4);
    assert_eq!(bench.rows(&["ready", "lease", "delayed"]).await, 0);
}

#[tokio::test]
async fn a_sequence_stops_at_its_first_failure_whatever_share_it_tolerates() {
    let bench = Bench::set_up().await;
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    let run = bench.start(&mut worker.connection, vec![sequence(900_000), step("after", 1, &[], 1)]).await;
    expand_next(&mut scheduler, 0, 10).await;
    let first = worker.claim_one().await;
    complete(&mut worker.connection, &[success(first.lease)]).await.unwrap();
    expand_next(&mut scheduler, 1, 10).await;
    let second = worker.claim_one().await;
    fail(&mut worker.connection, &[final_failure(second.lease)]).await.unwrap();
    let report = bench.report(run).await;
    assert_eq!(report.state, RunState::Failed);
    assert_eq!(bench.steps(run).await, ["failed", "upstream_failed"]);
    assert_eq!((report.steps[0].tasks_total, report.steps[0].tasks_failed), (10, 1));
    assert_eq!(bench.rows(&["ready", "lease", "delayed"]).await, 0);
}

#[tokio::test]
async fn a_sequence_survives_the_death_of_its_scheduler_between_two_items() {
    let bench = Bench::set_up().await;
    let (mut worker, mut dying) = (bench.worker().await, bench.scheduler().await);
    let run = bench.start(&mut worker.connection, vec![sequence(0), step("after", 1, &[], 1)]).await;
    expand_next(&mut dying, 0, 2).await;
    let first = worker.claim_one().await;
    complete(&mut worker.connection, &[success(first.lease)]).await.unwrap();
    let lost = dying.claim_one().await;
    bench.silence(dying.id).await;
    reap(&mut worker.connection, LEASE, 3).await.unwrap();
    let mut successor = bench.scheduler().await;
    expand_next(&mut successor, 1, 2).await;
    // the zombie wakes up: neither outcome of its expansion counts
    let late = [NewTask { index: 1, arguments: json!({}), limit_key: None, cache_key: None }];
    assert!(!expand_step(&mut dying.connection, lost.lease, Some((2, &late))).await.unwrap());
    assert!(!fail_expansion(&mut dying.connection, lost.lease, "late").await.unwrap());
    assert_eq!(worker.work_off().await, [(0, 1), (1, 0)]);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

#[tokio::test]
async fn an_expansion_that_kills_its_schedulers_fails_its_step() {
    let bench = Bench::set_up().await;
    let mut connection = bench.connect().await;
    let run = bench.start(&mut connection, vec![unplanned("a", 0, &[1]), step("b", 1, &[], 1)]).await;
    for _ in 0..2 {
        let mut dying = bench.scheduler().await;
        dying.claim_one().await;
        bench.silence(dying.id).await;
        reap(&mut connection, LEASE, 2).await.unwrap();
    }
    let report = bench.report(run).await;
    assert_eq!(report.state, RunState::Failed);
    assert_eq!(report.steps[0].error.as_deref(), Some("the scheduler died while expanding this step"));
    assert_eq!(report.steps[1].state, "upstream_failed");
}

#[tokio::test]
async fn an_expansion_that_cannot_be_evaluated_fails_its_step_with_the_reason() {
    let bench = Bench::set_up().await;
    let mut scheduler = bench.scheduler().await;
    let run =
        bench.start(&mut scheduler.connection, vec![unplanned("a", 0, &[1]), unplanned("b", 1, &[])]).await;
    let expansion = scheduler.claim_one().await;
    assert!(fail_expansion(&mut scheduler.connection, expansion.lease, "no such key").await.unwrap());
    assert!(!fail_expansion(&mut scheduler.connection, expansion.lease, "no such key").await.unwrap());
    let report = bench.report(run).await;
    assert_eq!(report.steps[0].error.as_deref(), Some("no such key"));
    assert_eq!(report.state, RunState::Failed);
    assert!(scheduler.claim(1).await.is_empty(), "what is barred is not expanded");
}

#[tokio::test]
async fn two_acknowledgements_of_one_expansion_insert_its_tasks_once() {
    let bench = Bench::set_up().await;
    let mut scheduler = bench.scheduler().await;
    let run = bench.start(&mut scheduler.connection, vec![unplanned("a", 0, &[])]).await;
    let expansion = scheduler.claim_one().await;
    let mut other = bench.connect().await;
    let tasks = new_tasks(5);
    let (one, two) = tokio::join!(
        expand_step(&mut scheduler.connection, expansion.lease, Some((5, &tasks))),
        expand_step(&mut other, expansion.lease, Some((5, &tasks)))
    );
    assert_eq!(u8::from(one.unwrap()) + u8::from(two.unwrap()), 1);
    assert_eq!(bench.report(run).await.tasks.len(), 5);
}

#[tokio::test]
async fn outputs_are_listed_by_index_with_null_for_failures_and_null_for_a_skipped_step() {
    let bench = Bench::set_up().await;
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    let steps = vec![
        NewStep { tolerate_ppm: 1_000_000, ..step("list", 0, &[], 3) },
        unplanned("skipped", 0, &[]),
        step("empty", 0, &[], 0),
    ];
    let run = bench.start(&mut worker.connection, steps).await;
    let claimed = worker.claim(3).await;
    // acknowledged in another order than that of their indexes
    complete(&mut worker.connection, &[success(claimed[2].lease)]).await.unwrap();
    fail(&mut worker.connection, &[failure(claimed[1].lease)]).await.unwrap();
    complete(&mut worker.connection, &[success(claimed[0].lease)]).await.unwrap();
    let expansion = scheduler.claim_one().await;
    expand_step(&mut scheduler.connection, expansion.lease, None).await.unwrap();
    let names = ["list", "skipped", "empty", "unknown"].map(str::to_owned);
    let outputs = step_outputs(&mut worker.connection, run, &names).await.unwrap();
    let output = |task: usize| json!({ "task": claimed[task].lease.task.raw() });
    assert_eq!(outputs["list"], json!([output(0), null, output(2)]));
    assert_eq!(outputs["skipped"], json!(null));
    assert_eq!(outputs["empty"], json!([]));
    assert_eq!(outputs.len(), 3);
}

#[tokio::test]
async fn the_outputs_step_ends_the_run_with_its_outputs() {
    let bench = Bench::set_up().await;
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    let steps = vec![step("a", 0, &[1], 1), unplanned("@outputs", 1, &[])];
    let run = bench.start(&mut worker.connection, steps).await;
    worker.work_off().await;
    let expansion = scheduler.claim_one().await;
    let outputs = json!({ "answer": 42 });
    assert!(publish_outputs(&mut scheduler.connection, expansion.lease, &outputs).await.unwrap());
    assert!(!publish_outputs(&mut scheduler.connection, expansion.lease, &json!({})).await.unwrap());
    let report = bench.report(run).await;
    assert_eq!((report.state, report.outputs), (RunState::Succeeded, Some(outputs)));
}

//! Fan-outs that are inserted part by part.

use futures::TryStreamExt;
use serde_json::{Value, json};
use tale_primitives::RunId;
use tale_queue::{
    Again, Completed, Lease, Limit, NewStep, Part, PartArguments, RunState, StoredList, Success, complete,
    expand_part, expand_step, fail_expansion, parts_inserted, reap, request_cancellation, retry_run,
    stored_length, stream_items, sweep_cancelled,
};

use crate::bench::{Bench, Hand, LEASE, new_tasks, step, success, unplanned};

/// Tasks from `first` on whose arguments are their index.
async fn insert(scheduler: &mut Hand, lease: Lease, first: u32, count: u32, is_last: bool) -> bool {
    let arguments: Vec<Value> = (first..first + count).map(|index| json!({ "item": index })).collect();
    let part = Part {
        first,
        count,
        arguments: PartArguments::Each(&arguments),
        limit_keys: None,
        cache_keys: None,
        is_last,
    };
    expand_part(&mut scheduler.connection, lease, part).await.unwrap()
}

async fn set_up() -> (Bench, Hand, Hand, RunId, Lease) {
    let bench = Bench::set_up().await;
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    let steps = vec![unplanned("each", 0, &[1]), step("after", 1, &[], 1)];
    let run = bench.start(&mut worker.connection, steps).await;
    let lease = scheduler.claim_one().await.lease;
    (bench, worker, scheduler, run, lease)
}

#[tokio::test]
async fn tasks_of_early_parts_run_while_the_step_cannot_end_before_its_last_part() {
    let (bench, mut worker, mut scheduler, run, lease) = set_up().await;
    assert!(insert(&mut scheduler, lease, 0, 3, false).await);
    assert_eq!(worker.work_off().await, [(0, 0), (0, 1), (0, 2)]);
    assert_eq!(bench.steps(run).await, ["expanding", "waiting"]);
    assert!(insert(&mut scheduler, lease, 3, 2, true).await);
    assert_eq!(bench.steps(run).await, ["running", "waiting"]);
    let claimed = worker.claim(2).await;
    assert_eq!(claimed[1].arguments, json!({ "item": 4 }));
    let successes: Vec<_> = claimed.iter().map(|task| success(task.lease)).collect();
    complete(&mut worker.connection, &successes).await.unwrap();
    assert_eq!(worker.work_off().await, [(1, 0)]);
    let report = bench.report(run).await;
    assert_eq!((report.state, report.steps[0].tasks_total), (RunState::Succeeded, 5));
    assert!(!insert(&mut scheduler, lease, 5, 1, true).await, "the last part has given the lease back");
}

#[tokio::test]
async fn a_step_whose_tasks_have_all_ended_ends_with_its_last_part_even_an_empty_one() {
    let (bench, mut worker, mut scheduler, run, lease) = set_up().await;
    insert(&mut scheduler, lease, 0, 300, false).await;
    assert_eq!(worker.work_off().await.len(), 300, "counted by tallies, as of any large step");
    assert_eq!(bench.steps(run).await, ["expanding", "waiting"]);
    assert!(insert(&mut scheduler, lease, 300, 0, true).await);
    assert_eq!(worker.work_off().await, [(1, 0)]);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

#[tokio::test]
async fn a_part_of_a_scheduler_that_was_given_up_is_refused_and_the_next_goes_on_behind_the_last() {
    let (bench, mut worker, mut dying, run, lost) = set_up().await;
    insert(&mut dying, lost, 0, 4, false).await;
    bench.silence(dying.id).await;
    reap(&mut worker.connection, LEASE, 3).await.unwrap();
    let mut successor = bench.scheduler().await;
    let expansion = successor.claim_one().await;
    assert_eq!(parts_inserted(&mut successor.connection, run, expansion.step).await.unwrap(), 4);
    assert!(!insert(&mut dying, lost, 4, 4, true).await);
    assert!(insert(&mut successor, expansion.lease, 4, 3, true).await);
    let done = worker.work_off().await;
    assert_eq!(done.len(), 7 + 1, "every index once: {done:?}");
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

#[tokio::test]
async fn an_expansion_of_the_release_before_goes_on_behind_the_parts_that_are_there() {
    let (bench, mut worker, mut scheduler, run, lease) = set_up().await;
    insert(&mut scheduler, lease, 0, 2, false).await;
    assert_eq!(worker.work_off().await.len(), 2);
    assert!(expand_step(&mut scheduler.connection, lease, Some((5, &new_tasks(5)))).await.unwrap());
    assert_eq!(worker.work_off().await, [(0, 2), (0, 3), (0, 4), (1, 0)]);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

#[tokio::test]
async fn when_an_expansion_fails_in_the_middle_what_runs_comes_to_its_end_and_what_has_not_begun_never_does()
{
    let (bench, mut worker, mut scheduler, run, lease) = set_up().await;
    insert(&mut scheduler, lease, 0, 5, false).await;
    let running = worker.claim(2).await;
    assert!(fail_expansion(&mut scheduler.connection, lease, "no such key").await.unwrap());
    assert_eq!(bench.steps(run).await, ["running", "waiting"]);
    assert!(worker.claim(10).await.is_empty());
    let successes: Vec<_> = running.iter().map(|task| success(task.lease)).collect();
    complete(&mut worker.connection, &successes).await.unwrap();
    let report = bench.report(run).await;
    assert_eq!(report.state, RunState::Failed);
    assert_eq!(report.steps[0].error.as_deref(), Some("no such key"));
    assert_eq!(bench.steps(run).await, ["failed", "upstream_failed"]);
    let states = report.tasks.iter().map(|task| task.state.as_str()).collect::<Vec<_>>();
    assert_eq!(states, ["succeeded", "succeeded", "cancelled", "cancelled", "cancelled", "cancelled"]);
    assert_eq!(bench.rows(&["ready", "lease", "delayed"]).await, 0);
}

#[tokio::test]
async fn a_cancelled_run_gets_no_further_part() {
    let (bench, mut worker, mut scheduler, run, lease) = set_up().await;
    insert(&mut scheduler, lease, 0, 3, false).await;
    assert!(request_cancellation(&mut worker.connection, run).await.unwrap());
    while sweep_cancelled(&mut worker.connection).await.unwrap() {}
    assert!(!insert(&mut scheduler, lease, 3, 3, true).await);
    assert_eq!(bench.state(run).await, RunState::Cancelled);
    assert_eq!(bench.rows(&["ready", "lease", "delayed"]).await, 0);

    // what was not expanded to its end is expanded anew, even when only failed tasks are to run again
    let again = Again { only_failed: true, ..Again::default() };
    retry_run(&mut worker.connection, run, &again).await.unwrap();
    assert_eq!(bench.steps(run).await, ["expanding", "waiting"]);
    let lease = scheduler.claim_one().await.lease;
    assert!(insert(&mut scheduler, lease, 0, 4, true).await);
    assert_eq!(worker.work_off().await.len(), 4 + 1);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

#[tokio::test]
async fn arguments_that_all_tasks_share_are_stored_once_and_found_by_every_claim() {
    let (bench, mut worker, mut scheduler, run, lease) = set_up().await;
    let shared = json!({ "argv": ["true"] });
    for (first, is_last) in [(0, false), (3, true)] {
        let part = Part {
            first,
            count: 3,
            arguments: PartArguments::Shared(&shared),
            limit_keys: None,
            cache_keys: None,
            is_last,
        };
        assert!(expand_part(&mut scheduler.connection, lease, part).await.unwrap());
    }
    let claimed = worker.claim(10).await;
    assert_eq!(claimed.iter().map(|task| task.index).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    assert!(claimed.iter().all(|task| task.arguments == shared));
    let counted: i64 =
        sqlx::query_scalar("select count(arguments) from queue.task where run_id = $1 and step = 0")
            .bind(run.raw())
            .fetch_one(&mut worker.connection)
            .await
            .unwrap();
    assert_eq!(counted, 0);
    drop(bench);
}

#[tokio::test]
async fn tasks_of_a_part_wait_at_the_gates_of_their_keys() {
    let bench = Bench::set_up().await;
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    let limit = Limit { capacity: Some(2), rate: None };
    bench.start(&mut worker.connection, vec![NewStep { limit, ..unplanned("each", 0, &[]) }]).await;
    let lease = scheduler.claim_one().await.lease;
    let keys: Vec<String> = (0..6).map(|index| format!("parts-{}", index % 2)).collect();
    let shared = json!({});
    let part = Part {
        first: 0,
        count: 6,
        arguments: PartArguments::Shared(&shared),
        limit_keys: Some(&keys),
        cache_keys: None,
        is_last: true,
    };
    assert!(expand_part(&mut scheduler.connection, lease, part).await.unwrap());
    assert_eq!(worker.claim(10).await.len(), 4, "two of each key");
    assert_eq!(bench.rows(&["waiting"]).await, 2);
}

#[tokio::test]
async fn stored_lists_are_read_from_any_place_on() {
    let bench = Bench::set_up().await;
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    let steps = vec![step("list", 0, &[], 1), step("each", 0, &[], 4), unplanned("skipped", 0, &[])];
    let run = bench.start(&mut worker.connection, steps).await;
    let mut claimed = worker.claim(10).await;
    claimed.sort_by_key(|task| (task.step, task.index));
    let outputs = |lease, outputs| Success { lease, outputs };
    let list = json!({ "deep": { "items": [10, "b", null, { "c": 1 }] }, "no": 1 });
    let mut successes = vec![outputs(claimed[0].lease, list)];
    successes.extend(claimed[1..].iter().map(|task| outputs(task.lease, json!(task.index * 10))));
    let Completed { won, .. } = complete(&mut worker.connection, &successes).await.unwrap();
    assert_eq!(won.len(), 5);
    let skipped = scheduler.claim_one().await;
    expand_step(&mut scheduler.connection, skipped.lease, None).await.unwrap();

    let named = |step: &str, keys: Option<&[&str]>| StoredList {
        run,
        step: step.to_owned(),
        keys: keys.map(|keys| keys.iter().map(|key| (*key).to_owned()).collect()),
    };
    for (list, length, from, expected) in [
        (named("list", Some(&["deep", "items"])), Some(4), 0, json!([10, "b", null, { "c": 1 }])),
        (named("list", Some(&["deep", "items"])), Some(4), 3, json!([{ "c": 1 }])),
        (named("list", Some(&["no"])), None, 0, Value::Null),
        (named("list", Some(&["missing"])), None, 0, Value::Null),
        (named("each", None), Some(4), 0, json!([0, 10, 20, 30])),
        (named("each", None), Some(4), 2, json!([20, 30])),
        (named("skipped", None), None, 0, json!([])),
    ] {
        assert_eq!(stored_length(&mut worker.connection, &list).await.unwrap(), length, "{list:?}");
        if length.is_some() {
            let stream = stream_items(&mut worker.connection, &list, from);
            assert_eq!(Value::Array(stream.try_collect().await.unwrap()), expected, "{list:?}");
        }
    }
}

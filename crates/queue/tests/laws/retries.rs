use tale_queue::{Again, RunState, complete, expand_step, fail, retry_run};

use crate::bench::{Bench, final_failure, new_tasks, step, success, unplanned};

/// A run whose dynamic step has three tasks, of which the second failed, and a step after it.
async fn failed_fan_out(bench: &Bench) -> (crate::bench::Hand, tale_primitives::RunId) {
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    let steps = vec![step("list", 0, &[1], 1), unplanned("each", 1, &[2]), step("sum", 1, &[], 1)];
    let run = bench.start(&mut worker.connection, steps).await;
    worker.work_off().await;
    let expansion = scheduler.claim_one().await;
    expand_step(&mut scheduler.connection, expansion.lease, Some((3, &new_tasks(3)))).await.unwrap();
    for task in worker.claim(3).await {
        if task.index == 1 {
            fail(&mut worker.connection, &[final_failure(task.lease)]).await.unwrap();
        } else {
            complete(&mut worker.connection, &[success(task.lease)]).await.unwrap();
        }
    }
    assert_eq!(bench.state(run).await, RunState::Failed);
    assert_eq!(bench.steps(run).await, ["succeeded", "failed", "upstream_failed"]);
    (worker, run)
}

/// Pain 6 of the field: systems that skip dynamic steps when a run is retried, and lose their data without a word.
#[tokio::test]
async fn pain_6_a_retry_from_failure_finds_dynamic_steps_anew_and_skips_none_of_their_tasks() {
    let bench = Bench::set_up().await;
    let (mut worker, run) = failed_fan_out(&bench).await;
    assert_eq!(retry_run(&mut worker.connection, run, &Again::default()).await.unwrap(), 2);
    assert_eq!(bench.steps(run).await, ["succeeded", "expanding", "waiting"]);
    let mut scheduler = bench.scheduler().await;
    let expansion = scheduler.claim_one().await;
    // the list is another one now
    expand_step(&mut scheduler.connection, expansion.lease, Some((5, &new_tasks(5)))).await.unwrap();
    assert_eq!(worker.work_off().await, [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (2, 0)]);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

#[tokio::test]
async fn a_retry_of_only_what_failed_keeps_the_other_tasks_and_their_outputs() {
    let bench = Bench::set_up().await;
    let (mut worker, run) = failed_fan_out(&bench).await;
    let before = bench.report(run).await;
    let again = Again { only_failed: true, ..Again::default() };
    assert_eq!(retry_run(&mut worker.connection, run, &again).await.unwrap(), 2);
    assert_eq!(worker.work_off().await, [(1, 1), (2, 0)]);
    let after = bench.report(run).await;
    assert_eq!(after.state, RunState::Succeeded);
    let outputs = |report: &tale_queue::RunReport, index: i32| {
        report
            .tasks
            .iter()
            .find(|task| task.step == 1 && task.index == index)
            .map(|task| task.outputs.clone())
    };
    for kept in [0, 2] {
        assert_eq!(outputs(&before, kept), outputs(&after, kept));
    }
    assert!(outputs(&after, 1).flatten().is_some());
}

#[tokio::test]
async fn a_retry_from_a_step_that_ended_well_runs_it_and_everything_after_it() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let steps =
        vec![step("a", 0, &[1, 2], 1), step("b", 1, &[3], 2), step("c", 1, &[3], 1), step("d", 2, &[], 1)];
    let run = bench.start(&mut worker.connection, steps).await;
    worker.work_off().await;
    assert_eq!(retry_run(&mut worker.connection, run, &Again::default()).await.unwrap(), 0);
    let again = Again { from: vec!["b".to_owned()], only_failed: false };
    assert_eq!(retry_run(&mut worker.connection, run, &again).await.unwrap(), 2);
    assert_eq!(retry_run(&mut worker.connection, run, &again).await.unwrap(), 0, "it goes on already");
    assert_eq!(worker.work_off().await, [(1, 0), (1, 1), (3, 0)]);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
    let unknown = Again { from: vec!["nonsense".to_owned()], only_failed: false };
    assert!(retry_run(&mut worker.connection, run, &unknown).await.is_err());
}

#[tokio::test]
async fn a_cancelled_run_can_be_run_again() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let run = bench.start(&mut worker.connection, vec![step("a", 0, &[1], 3), step("b", 1, &[], 1)]).await;
    let first = worker.claim_one().await;
    complete(&mut worker.connection, &[success(first.lease)]).await.unwrap();
    tale_queue::request_cancellation(&mut worker.connection, run).await.unwrap();
    tale_queue::sweep_cancelled(&mut worker.connection).await.unwrap();
    assert_eq!(bench.state(run).await, RunState::Cancelled);
    let again = Again { only_failed: true, ..Again::default() };
    assert_eq!(retry_run(&mut worker.connection, run, &again).await.unwrap(), 2);
    assert_eq!(worker.work_off().await, [(0, 1), (0, 2), (1, 0)]);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

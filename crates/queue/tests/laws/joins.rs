use tale_queue::{JoinRule, NewStep, RunState, complete, fail};

use crate::bench::{Bench, final_failure, step, success};

fn joining(name: &str, needs: u32, join: JoinRule) -> NewStep {
    NewStep { join, ..step(name, needs, &[], 1) }
}

/// Two steps of one task each, and a third that joins them; the tasks end as given, in order.
async fn joined(join: JoinRule, ends: [bool; 2]) -> (Bench, tale_primitives::RunId, Vec<(usize, String)>) {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let steps = vec![step("a", 0, &[2], 1), step("b", 0, &[2], 1), joining("c", 2, join)];
    let run = bench.start(&mut worker.connection, steps).await;
    let claimed = worker.claim(2).await;
    let mut states = Vec::new();
    for (task, ends_well) in claimed.iter().zip(ends) {
        match ends_well {
            true => drop(complete(&mut worker.connection, &[success(task.lease)]).await.unwrap()),
            false => drop(fail(&mut worker.connection, &[final_failure(task.lease)]).await.unwrap()),
        }
        states.push((states.len() + 1, bench.steps(run).await[2].clone()));
    }
    worker.work_off().await;
    (bench, run, states)
}

#[tokio::test]
async fn a_step_that_joins_all_done_runs_after_failures_and_the_run_fails_all_the_same() {
    let (bench, run, states) = joined(JoinRule::AllDone, [false, true]).await;
    assert_eq!(states, [(1, "waiting".to_owned()), (2, "running".to_owned())]);
    assert_eq!(bench.steps(run).await, ["failed", "succeeded", "succeeded"]);
    assert_eq!(bench.state(run).await, RunState::Failed);
}

#[tokio::test]
async fn a_step_that_joins_any_success_opens_with_the_first_and_is_not_opened_again() {
    let (bench, run, states) = joined(JoinRule::AnySuccess, [true, false]).await;
    assert_eq!(states, [(1, "running".to_owned()), (2, "running".to_owned())]);
    assert_eq!(bench.steps(run).await, ["succeeded", "failed", "succeeded"]);
    assert_eq!(bench.report(run).await.attempts.len(), 3);
}

#[tokio::test]
async fn a_step_that_joins_any_success_is_barred_only_when_nothing_succeeded() {
    let (bench, run, states) = joined(JoinRule::AnySuccess, [false, true]).await;
    assert_eq!(states, [(1, "waiting".to_owned()), (2, "running".to_owned())]);
    assert_eq!(bench.steps(run).await[2], "succeeded");
    let (bench, run, states) = joined(JoinRule::AnySuccess, [false, false]).await;
    assert_eq!(states[1], (2, "upstream_failed".to_owned()));
    assert_eq!(bench.state(run).await, RunState::Failed);
}

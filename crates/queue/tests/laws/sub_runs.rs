use serde_json::json;
use tale_queue::{
    NewStep, Parent, RunState, child_runs, complete, fail, publish_outputs, reap, run_context, start_run,
};

use crate::bench::{Bench, Hand, LEASE, final_failure, step, sub_run, success, unplanned};

/// Lets the scheduler's stand-in start the sub-run of the next task that waits for one.
async fn start_next(bench: &Bench, scheduler: &mut Hand, steps: Vec<NewStep>) -> tale_primitives::RunId {
    let task = scheduler.claim_one().await;
    bench.start_below(&mut scheduler.connection, task.lease, steps).await
}

#[tokio::test]
async fn a_sub_run_that_succeeds_answers_its_parents_task_with_its_outputs() {
    let bench = Bench::set_up().await;
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    let run =
        bench.start(&mut worker.connection, vec![sub_run("child", 0, &[1]), step("after", 1, &[], 1)]).await;
    let child =
        start_next(&bench, &mut scheduler, vec![step("inner", 0, &[1], 2), unplanned("@outputs", 1, &[])])
            .await;
    assert_eq!(bench.rows(&["lease"]).await, 0, "a task that waits holds no worker");
    assert_eq!(worker.work_off().await.len(), 2);
    assert_eq!(bench.steps(run).await, ["running", "waiting"]);
    let outputs = scheduler.claim_one().await;
    publish_outputs(&mut scheduler.connection, outputs.lease, &json!({ "n": 1 })).await.unwrap();
    assert_eq!(bench.steps(run).await, ["succeeded", "running"]);
    let report = bench.report(run).await;
    assert_eq!(report.tasks[0].outputs, Some(json!({ "n": 1 })));
    assert_eq!(report.tasks[0].child_run, Some(child));
    assert_eq!(bench.report(child).await.parent_run, Some(run));
    assert_eq!(worker.work_off().await, [(1, 0)]);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

#[tokio::test]
async fn a_sub_run_that_fails_fails_its_parents_task() {
    let bench = Bench::set_up().await;
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    let run =
        bench.start(&mut worker.connection, vec![sub_run("child", 0, &[1]), step("after", 1, &[], 1)]).await;
    let child = start_next(&bench, &mut scheduler, vec![step("inner", 0, &[], 1)]).await;
    let inner = worker.claim_one().await;
    fail(&mut worker.connection, &[final_failure(inner.lease)]).await.unwrap();
    let report = bench.report(run).await;
    assert_eq!(report.state, RunState::Failed);
    assert_eq!(bench.steps(run).await, ["failed", "upstream_failed"]);
    let expected = format!("run {child} of pipeline law failed");
    assert_eq!(report.tasks[0].error.as_deref(), Some(expected.as_str()));
}

#[tokio::test]
async fn the_end_of_the_innermost_of_nested_runs_ends_all_of_them() {
    let bench = Bench::set_up().await;
    for fails in [false, true] {
        let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
        let mut runs = vec![bench.start(&mut worker.connection, vec![sub_run("deeper", 0, &[])]).await];
        for depth in 1..=4 {
            let below = if depth < 4 { sub_run("deeper", 0, &[]) } else { step("core", 0, &[], 1) };
            runs.push(start_next(&bench, &mut scheduler, vec![below]).await);
            let context = run_context(&mut worker.connection, runs[depth]).await.unwrap();
            assert_eq!((context.depth as usize, context.parent_run), (depth + 1, Some(runs[depth - 1])));
        }
        let core = worker.claim_one().await;
        if fails {
            fail(&mut worker.connection, &[final_failure(core.lease)]).await.unwrap();
        } else {
            complete(&mut worker.connection, &[success(core.lease)]).await.unwrap();
        }
        let expected = if fails { RunState::Failed } else { RunState::Succeeded };
        for run in runs {
            assert_eq!(bench.state(run).await, expected);
        }
    }
    assert_eq!(bench.rows(&["ready", "lease", "delayed"]).await, 0);
}

#[tokio::test]
async fn a_sub_run_without_work_answers_as_it_starts() {
    let bench = Bench::set_up().await;
    let mut scheduler = bench.scheduler().await;
    let run = bench.start(&mut scheduler.connection, vec![sub_run("child", 0, &[])]).await;
    start_next(&bench, &mut scheduler, vec![step("nothing", 0, &[], 0)]).await;
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

#[tokio::test]
async fn a_zombie_scheduler_starts_no_second_sub_run() {
    let bench = Bench::set_up().await;
    let (mut worker, mut zombie) = (bench.worker().await, bench.scheduler().await);
    let run = bench.start(&mut worker.connection, vec![sub_run("child", 0, &[])]).await;
    let lost = zombie.claim_one().await.lease;
    bench.silence(zombie.id).await;
    reap(&mut worker.connection, LEASE, 3).await.unwrap();
    let mut successor = bench.scheduler().await;
    start_next(&bench, &mut successor, vec![step("inner", 0, &[], 1)]).await;
    let mut late = bench.run_of(vec![step("inner", 0, &[], 1)]);
    late.parent = Some(Parent { task: lost.task, attempt: lost.attempt });
    assert_eq!(start_run(&mut zombie.connection, &late).await.unwrap(), None);
    let children = child_runs(&mut worker.connection, run, "child").await.unwrap();
    assert_eq!(children.len(), 1);
    assert_eq!(worker.work_off().await, [(0, 0)]);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sub_runs_of_one_step_that_end_at_once_are_all_counted() {
    let bench = Bench::set_up().await;
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    let wide = NewStep { tasks: Some(crate::bench::new_tasks(12)), ..sub_run("children", 0, &[1]) };
    let run = bench.start(&mut worker.connection, vec![wide, step("after", 1, &[], 1)]).await;
    for _ in 0..12 {
        start_next(&bench, &mut scheduler, vec![step("inner", 0, &[], 1)]).await;
    }
    let mut ends = Vec::new();
    for task in worker.claim(12).await {
        let mut connection = bench.connect().await;
        ends.push(tokio::spawn(async move {
            assert_eq!(complete(&mut connection, &[success(task.lease)]).await.unwrap().won.len(), 1);
        }));
    }
    for end in ends {
        end.await.unwrap();
    }
    assert_eq!(worker.work_off().await, [(1, 0)]);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

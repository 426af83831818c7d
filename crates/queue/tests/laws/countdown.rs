use sqlx::Connection;
use tale_queue::{NewStep, RunState, Success, complete, expand_step, fail, fold_tallies};

use crate::bench::{Bench, final_failure, new_tasks, step, success, unplanned};

#[tokio::test]
async fn a_diamond_runs_its_sides_after_its_top_and_its_bottom_once_after_both() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let steps = vec![
        step("top", 0, &[1, 2], 1),
        step("left", 1, &[3], 2),
        step("right", 1, &[3], 1),
        step("bottom", 2, &[], 1),
    ];
    let run = bench.start(&mut worker.connection, steps).await;
    let order = worker.work_off().await;
    assert_eq!(order, [(0, 0), (1, 0), (1, 1), (2, 0), (3, 0)]);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

#[tokio::test]
async fn a_step_waits_for_the_last_task_of_every_need() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let steps = vec![step("a", 0, &[2], 2), step("b", 0, &[2], 1), step("c", 2, &[], 1)];
    let run = bench.start(&mut worker.connection, steps).await;
    let claimed = worker.claim(10).await;
    assert_eq!(claimed.len(), 3);
    for (done, task) in claimed.iter().enumerate() {
        assert_eq!(bench.steps(run).await[2], "waiting", "{done} of 3 tasks are done");
        complete(&mut worker.connection, &[success(task.lease)]).await.unwrap();
    }
    assert_eq!(bench.steps(run).await[2], "running");
    assert_eq!(worker.claim_one().await.step, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_decrement_is_lost_when_many_connections_complete_one_step_at_once() {
    let bench = Bench::set_up().await;
    let mut claimer = bench.worker().await;
    for round in 0..5 {
        let steps = vec![step("wide", 0, &[1], 120), step("join", 1, &[], 1)];
        let run = bench.start(&mut claimer.connection, steps).await;
        let leases: Vec<_> = claimer.claim(120).await.into_iter().map(|task| task.lease).collect();
        let mut batches = Vec::new();
        for batch in leases.chunks(10) {
            let batch: Vec<Success> = batch.iter().copied().map(success).collect();
            let mut connection = bench.connect().await;
            batches.push(tokio::spawn(
                async move { complete(&mut connection, &batch).await.unwrap().won.len() },
            ));
        }
        let mut won = 0;
        for batch in batches {
            won += batch.await.unwrap();
        }
        assert_eq!(won, 120);
        assert_eq!(bench.steps(run).await, ["succeeded", "running"], "round {round}");
        assert_eq!(claimer.work_off().await, [(1, 0)]);
        assert_eq!(bench.state(run).await, RunState::Succeeded);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_decrement_is_lost_when_the_needs_of_one_step_end_at_once() {
    let bench = Bench::set_up().await;
    let mut claimer = bench.worker().await;
    let mut steps: Vec<NewStep> = (0..12).map(|index| step(&format!("need{index}"), 0, &[12], 1)).collect();
    steps.push(step("join", 12, &[], 1));
    let run = bench.start(&mut claimer.connection, steps).await;
    let mut completions = Vec::new();
    for task in claimer.claim(12).await {
        let mut connection = bench.connect().await;
        completions.push(tokio::spawn(async move {
            complete(&mut connection, &[success(task.lease)]).await.unwrap();
        }));
    }
    for completion in completions {
        completion.await.unwrap();
    }
    assert_eq!(claimer.work_off().await, [(12, 0)]);
    let report = bench.report(run).await;
    assert_eq!(report.state, RunState::Succeeded);
    assert!(report.steps.iter().all(|step| step.state == "succeeded" && step.finished_at.is_some()));
}

#[tokio::test]
async fn needs_that_end_in_one_batch_are_all_counted() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let steps =
        vec![step("a", 0, &[3], 1), step("b", 0, &[3], 2), step("c", 0, &[3], 1), step("join", 3, &[], 1)];
    let run = bench.start(&mut worker.connection, steps).await;
    let batch: Vec<Success> = worker.claim(10).await.iter().map(|task| success(task.lease)).collect();
    assert_eq!(complete(&mut worker.connection, &batch).await.unwrap().won.len(), 4);
    assert_eq!(worker.work_off().await, [(3, 0)]);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

#[tokio::test]
async fn one_becomes_a_thousand_and_one_again() {
    let bench = Bench::set_up().await;
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    let steps = vec![step("one", 0, &[1], 1), unplanned("thousand", 1, &[2]), step("again", 1, &[], 1)];
    let run = bench.start(&mut worker.connection, steps).await;
    assert_eq!(worker.work_off().await, [(0, 0)]);
    let expansion = scheduler.claim_one().await;
    assert_eq!((expansion.step, expansion.index), (1, -1));
    let tasks = new_tasks(1000);
    assert!(expand_step(&mut scheduler.connection, expansion.lease, Some((1000, &tasks))).await.unwrap());
    let done = worker.work_off().await;
    assert_eq!(done.len(), 1001);
    assert_eq!(done.last(), Some(&(2, 0)));
    let report = bench.report(run).await;
    assert_eq!(report.state, RunState::Succeeded);
    assert_eq!((report.steps[1].tasks_total, report.steps[1].tasks_open), (1000, 0));
    assert_eq!(bench.rows(&["ready", "lease", "delayed"]).await, 0);
}

#[tokio::test]
async fn steps_without_tasks_end_at_once_and_free_what_follows_them() {
    let bench = Bench::set_up().await;
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    // empty at the root, in a chain, and when the scheduler finds it empty
    let steps = vec![
        step("root", 0, &[1], 0),
        step("chained", 1, &[2], 0),
        unplanned("found", 1, &[3]),
        step("last", 1, &[], 1),
    ];
    let run = bench.start(&mut worker.connection, steps).await;
    assert_eq!(bench.steps(run).await, ["succeeded", "succeeded", "expanding", "waiting"]);
    let expansion = scheduler.claim_one().await;
    expand_step(&mut scheduler.connection, expansion.lease, Some((0, &[]))).await.unwrap();
    assert_eq!(worker.work_off().await, [(3, 0)]);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

#[tokio::test]
async fn a_run_of_empty_steps_ends_as_it_starts() {
    let bench = Bench::set_up().await;
    let mut connection = bench.connect().await;
    let run = bench.start(&mut connection, vec![step("a", 0, &[1], 0), step("b", 1, &[], 0)]).await;
    let report = bench.report(run).await;
    assert_eq!(report.state, RunState::Succeeded);
    assert!(report.finished_at.is_some());
}

#[tokio::test]
async fn a_skipped_step_satisfies_its_dependents() {
    let bench = Bench::set_up().await;
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    let run = bench
        .start(&mut worker.connection, vec![unplanned("maybe", 0, &[1]), step("after", 1, &[], 1)])
        .await;
    let expansion = scheduler.claim_one().await;
    assert!(expand_step(&mut scheduler.connection, expansion.lease, None).await.unwrap());
    assert_eq!(bench.steps(run).await, ["skipped", "running"]);
    assert_eq!(worker.work_off().await, [(1, 0)]);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

#[tokio::test]
async fn a_failure_bars_everything_downstream_and_lets_the_rest_finish_before_the_run_ends() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    // bad → barred → deeply; bad and good → both; good → beside
    let steps = vec![
        step("bad", 0, &[2, 4], 2),
        step("good", 0, &[4, 5], 1),
        step("barred", 1, &[3], 3),
        unplanned("deeply", 1, &[]),
        step("both", 2, &[], 1),
        step("beside", 1, &[], 1),
    ];
    let run = bench.start(&mut worker.connection, steps).await;
    let claimed = worker.claim(10).await;
    let lease = |step: u16, index: i32| {
        claimed.iter().find(|task| (task.step, task.index) == (step, index)).expect("claimed").lease
    };
    fail(&mut worker.connection, &[final_failure(lease(0, 1))]).await.unwrap();
    assert_eq!(bench.steps(run).await[2], "waiting", "the failed step's other task goes on");
    complete(&mut worker.connection, &[success(lease(0, 0))]).await.unwrap();
    let states = bench.steps(run).await;
    assert_eq!(states[..5], ["failed", "running", "upstream_failed", "upstream_failed", "upstream_failed"]);
    assert_eq!(bench.state(run).await, RunState::Running);
    complete(&mut worker.connection, &[success(lease(1, 0))]).await.unwrap();
    assert_eq!(worker.work_off().await, [(5, 0)]);
    let report = bench.report(run).await;
    assert_eq!(report.state, RunState::Failed);
    assert!(report.finished_at.is_some());
    let barred = report.tasks.iter().filter(|task| task.step == 2 || task.step == 4);
    assert!(barred.clone().count() == 4 && barred.clone().all(|task| task.state == "cancelled"));
    assert_eq!(bench.rows(&["ready", "lease", "delayed"]).await, 0);
}

#[tokio::test]
async fn a_failure_and_a_success_that_end_together_bar_what_needs_both() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let steps =
        vec![step("a", 0, &[2], 1), step("b", 0, &[2], 1), step("both", 2, &[3], 1), step("c", 1, &[], 1)];
    let run = bench.start(&mut worker.connection, steps).await;
    let claimed = worker.claim(2).await;
    let mut other = bench.connect().await;
    let failures = [final_failure(claimed[0].lease)];
    let successes = [success(claimed[1].lease)];
    let (failed, completed) =
        tokio::join!(fail(&mut other, &failures), complete(&mut worker.connection, &successes));
    assert_eq!((failed.unwrap().len(), completed.unwrap().won.len()), (1, 1));
    assert_eq!(bench.steps(run).await, ["failed", "succeeded", "upstream_failed", "upstream_failed"]);
    assert_eq!(bench.state(run).await, RunState::Failed);
}

#[tokio::test]
async fn a_step_tolerates_its_share_of_failures_and_not_one_more() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    for (failures, expected) in [(1, "succeeded"), (2, "failed")] {
        let tolerant = NewStep { tolerate_ppm: 250_000, ..step("tolerant", 0, &[1], 4) };
        let run = bench.start(&mut worker.connection, vec![tolerant, step("after", 1, &[], 1)]).await;
        let leases: Vec<_> = worker.claim(4).await.into_iter().map(|task| task.lease).collect();
        let (bad, good) = leases.split_at(failures);
        let bad: Vec<_> = bad.iter().copied().map(final_failure).collect();
        let good: Vec<_> = good.iter().copied().map(success).collect();
        fail(&mut worker.connection, &bad).await.unwrap();
        complete(&mut worker.connection, &good).await.unwrap();
        assert_eq!(bench.steps(run).await[0], expected);
        worker.work_off().await;
        let state = if expected == "failed" { RunState::Failed } else { RunState::Succeeded };
        assert_eq!(bench.state(run).await, state);
    }
}

#[tokio::test]
async fn open_and_failed_steps_are_counted_as_they_end() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let steps = vec![step("a", 0, &[], 1), step("b", 0, &[2], 1), step("c", 1, &[], 1)];
    let run = bench.start(&mut worker.connection, steps).await;
    let claimed = worker.claim(2).await;
    let counts = async || {
        let filter = tale_queue::RunFilter { limit: 10, ..Default::default() };
        let runs = tale_queue::list_runs(&mut bench.connect().await, &filter).await.unwrap();
        let summary = runs.into_iter().find(|summary| summary.id == run).expect("listed");
        (summary.open_steps, summary.failed_steps, summary.state)
    };
    assert_eq!(counts().await, (3, 0, RunState::Running));
    complete(&mut worker.connection, &[success(claimed[0].lease)]).await.unwrap();
    assert_eq!(counts().await, (2, 0, RunState::Running));
    fail(&mut worker.connection, &[final_failure(claimed[1].lease)]).await.unwrap();
    assert_eq!(counts().await, (0, 2, RunState::Failed));
}

#[tokio::test]
async fn acknowledgements_of_a_large_step_do_not_wait_for_each_other() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let run =
        bench.start(&mut worker.connection, vec![step("many", 0, &[1], 300), step("join", 1, &[], 1)]).await;
    let leases: Vec<_> = worker.claim(300).await.into_iter().map(|task| task.lease).collect();
    let (one, rest): (Vec<_>, Vec<_>) =
        leases.into_iter().map(success).partition(|it| it.lease.task.raw() % 2 == 0);

    // the first acknowledgement is on its way to the disk while the second comes, and is not in its way
    let mut slow = bench.connect().await;
    let mut transaction = slow.begin().await.unwrap();
    complete(&mut transaction, &one).await.unwrap();
    sqlx::query("set lock_timeout = '100ms'").execute(&mut worker.connection).await.unwrap();
    complete(&mut worker.connection, &rest).await.expect("it waits for nobody");
    transaction.commit().await.unwrap();

    assert_eq!(worker.work_off().await, [(1, 0)]);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

#[tokio::test]
async fn tallies_are_counted_once_by_schedulers_that_meet_and_shown_before_that() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let run = bench.start(&mut worker.connection, vec![step("many", 0, &[], 300)]).await;
    for _ in 0..30 {
        let successes: Vec<_> = worker.claim(10).await.into_iter().map(|task| success(task.lease)).collect();
        complete(&mut worker.connection, &successes).await.unwrap();
    }
    assert_eq!(bench.report(run).await.steps[0].tasks_open, 0, "what is not counted yet is shown");
    assert_eq!(bench.state(run).await, RunState::Running);

    let mut folding = Vec::new();
    for _ in 0..4 {
        let mut connection = bench.connect().await;
        folding.push(tokio::spawn(async move { while fold_tallies(&mut connection, 3).await.unwrap() {} }));
    }
    for fold in folding {
        fold.await.unwrap();
    }
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

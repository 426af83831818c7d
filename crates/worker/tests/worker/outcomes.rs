use serde_json::json;
use tale_queue::{NewStep, Retry, RunState};
use tale_worker::KindRegistry;

use crate::{
    kinds::Echo,
    plant::{Plant, settings, step},
};

fn retrying(kind: &str, arguments: serde_json::Value) -> NewStep {
    let retry = Retry { attempts_max: 3, backoff_base_ms: 0, backoff_cap_ms: 0 };
    NewStep { kind: kind.to_owned(), retry, ..step(vec![arguments]) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_of_tasks_come_back_typed_and_in_order() {
    let plant = Plant::set_up().await;
    let worker = plant.work(settings());
    let arguments: Vec<_> = (0..200).map(|number| json!({ "word": format!("w{number}") })).collect();
    let run = plant.start("test.echo", arguments.clone()).await;
    let report = plant.end_of(run).await;
    assert_eq!(report.state, RunState::Succeeded);
    let outputs: Vec<_> = report.tasks.into_iter().map(|task| task.outputs.unwrap()).collect();
    assert_eq!(outputs, arguments);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_that_do_not_fit_fail_for_good_at_once() {
    let plant = Plant::set_up().await;
    let worker = plant.work(settings());
    let run = plant.start_step(retrying("test.echo", json!({ "wrod": "typo" }))).await;
    let report = plant.end_of(run).await;
    assert_eq!((report.state, report.tasks[0].attempts), (RunState::Failed, 1));
    let error = report.tasks[0].error.as_deref().unwrap();
    assert!(error.starts_with("the arguments do not fit test.echo: unknown field `wrod`"), "{error}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_attempt_is_tried_again() {
    let plant = Plant::set_up().await;
    let worker = plant.work(settings());
    let run = plant.start_step(retrying("test.fails", json!({}))).await;
    let report = plant.end_of(run).await;
    assert_eq!((report.state, report.tasks[0].attempts), (RunState::Succeeded, 1));
    assert_eq!(report.tasks[0].outputs, Some(json!(2)));
    assert_eq!(report.attempts[0].error.as_deref(), Some("not yet"));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_a_failed_attempt_with_its_message() {
    let plant = Plant::set_up().await;
    let worker = plant.work(settings());
    for away in [false, true] {
        let run = plant.start_step(retrying("test.panics", json!({ "away": away }))).await;
        let report = plant.end_of(run).await;
        assert_eq!((report.state, report.tasks[0].attempts), (RunState::Failed, 3));
        let error = report.tasks[0].error.as_deref().unwrap();
        assert!(error.contains("out of cheese"), "{error}");
    }
    // and the worker works on
    let run = plant.start("test.echo", vec![json!({ "word": "still here" })]).await;
    assert_eq!(plant.end_of(run).await.state, RunState::Succeeded);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_takes_too_long_is_stopped_and_fails() {
    let plant = Plant::set_up().await;
    let worker = plant.work(settings());
    let slow = NewStep {
        kind: "test.sleeps".to_owned(),
        timeout_ms: Some(150),
        ..step(vec![json!({ "milliseconds": 60_000 })])
    };
    let report = plant.end_of(plant.start_step(slow).await).await;
    assert_eq!(report.state, RunState::Failed);
    let error = report.tasks[0].error.as_deref();
    assert_eq!(error, Some("the attempt took longer than its time-out of 0.15 s"));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kind_that_a_worker_does_not_know_is_left_to_one_that_does() {
    let plant = Plant::set_up().await;
    let run = plant.start_step(retrying("test.echo", json!({ "word": "new" }))).await;
    let old = plant.work_with(settings(), KindRegistry::default());
    plant.until("the old worker has tried", async || plant.report(run).await.tasks[0].attempts == 1).await;
    old.stop().await;
    let new = plant.work_with(settings(), KindRegistry::default().with::<Echo>());
    let report = plant.end_of(run).await;
    assert_eq!((report.state, report.tasks[0].attempts), (RunState::Succeeded, 1));
    let error = report.attempts[0].error.as_deref().unwrap();
    assert!(error.contains("does not know the task kind \"test.echo\""), "{error}");
    new.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_runs_no_more_tasks_than_it_has_slots() {
    let plant = Plant::set_up().await;
    let worker = plant.work(settings());
    let run = plant.start("test.sleeps", vec![json!({ "milliseconds": 150 }); 10]).await;
    let mut most = 0;
    plant
        .until("the run ends", async || {
            let report = plant.report(run).await;
            most = most.max(report.tasks.iter().filter(|task| task.state == "running").count());
            report.state != RunState::Running
        })
        .await;
    assert!((1..=4).contains(&most), "{most} tasks ran at a time");
    worker.stop().await;
}

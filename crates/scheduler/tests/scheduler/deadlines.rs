//! Runs that go on past their deadlines.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tale_queue::{AlertReport, RunFilter, RunState, list_alerts, list_runs};

use crate::engine::Engine;

const HELP: &str = "
    pipeline: help
    params: { run: { type: string }, about: { type: string } }
    steps:
      call: { uses: test.echo, with: { value: '${params.about}' } }
    outputs: { said: '${steps.call.outputs.value}' }
    ";

fn late(deadline: &str) -> String {
    // nobody works in that pool, so that it never ends by itself
    format!(
        "
        pipeline: late
        deadline: {deadline}
        steps:
          wait: {{ uses: test.echo, pool: nowhere, with: {{ value: 1 }} }}
        "
    )
}

async fn alerts(engine: &Engine, count: usize) -> Vec<AlertReport> {
    let started = Instant::now();
    loop {
        let alerts = list_alerts(&mut engine.connection().await, None, None, 100).await.unwrap();
        if alerts.len() >= count {
            return alerts;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{alerts:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_schedulers_raise_one_alert_and_start_one_hook_for_each_late_run() {
    let engine = Engine::set_up(5).await;
    engine.apply(HELP).await;
    engine
        .apply(&late(
            "{ after: 300ms, run: help, params: { run: '${event.run}', about: '${event.pipeline} is ${event.state}' } }",
        ))
        .await;
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(engine.start("late", json!({})).await);
    }
    let raised = alerts(&engine, 4).await;
    // time for a second one, were there any
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(alerts(&engine, 4).await.len(), 4);
    for alert in &raised {
        assert!(runs.contains(&alert.run));
        assert_eq!((alert.state, alert.cancelled, &alert.hook_error), (RunState::Running, false, &None));
        let help = engine.end_of(alert.hook_run.unwrap()).await;
        assert_eq!(help.outputs, Some(json!({ "said": "late is running" })));
        assert_eq!(help.params["run"], Value::from(alert.run.to_string()));
        assert_eq!(help.trigger, format!("deadline of run {}", alert.run));
    }
    let filter = RunFilter { pipeline: Some("help".to_owned()), limit: 100, ..RunFilter::default() };
    assert_eq!(list_runs(&mut engine.connection().await, &filter).await.unwrap().len(), 4);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_may_cancel_its_run_and_a_hook_that_cannot_start_is_told_with_the_alert() {
    let engine = Engine::set_up(2).await;
    engine.apply(HELP).await;
    engine.apply(&late("{ after: 200ms, policy: cancel, run: help, params: { wrong: 1 } }")).await;
    let run = engine.start("late", json!({})).await;
    assert_eq!(engine.end_of(run).await.state, RunState::Cancelled);
    let raised = alerts(&engine, 1).await;
    assert!(raised[0].cancelled);
    let error = raised[0].hook_error.as_deref().unwrap();
    assert!(error.contains("wrong") && error.contains("help"), "{error}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_ends_in_time_raises_no_alert() {
    let engine = Engine::set_up(1).await;
    engine
        .apply(
            "
            pipeline: timely
            deadline: 1s
            steps:
              a: { uses: test.echo, with: { value: 1 } }
            ",
        )
        .await;
    let run = engine.start("timely", json!({})).await;
    assert_eq!(engine.end_of(run).await.state, RunState::Succeeded);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(list_alerts(&mut engine.connection().await, None, None, 100).await.unwrap().is_empty());
    engine.stop().await;
}

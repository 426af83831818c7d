//! Pipelines from YAML to their end: scheduler, queue and worker together.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod backfills;
mod deadlines;
mod engine;
mod fan_outs;
mod schedules;
mod simulator;
mod triggers;

use serde_json::json;
use tale_queue::{RunFilter, RunState, list_runs};
use tale_scheduler::SchedulerSettings;

use crate::engine::{Engine, SHORT_LEASE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_flow_from_step_to_step_through_a_fan_out_and_past_a_skipped_step() {
    let engine = Engine::set_up(1).await;
    engine
        .apply(
            "
            pipeline: small
            params:
              count: { type: integer, default: 3 }
            steps:
              list: { uses: test.range, with: { count: '${params.count}' } }
              each:
                uses: test.echo
                for_each: '${steps.list.outputs.items}'
                with: { value: '${item * 10 + index}' }
              skipped: { uses: test.echo, when: '${params.count > 5}', with: { value: 1 } }
              late: { uses: test.echo, when: '${size(steps.list.outputs.items) > 5}', with: { value: 2 } }
              after:
                uses: test.echo
                needs: [skipped, late]
                with: { value: '${steps.each.outputs.map(output, output.value)}' }
            outputs:
              values: '${steps.after.outputs.value}'
              skipped: '${steps.skipped.outputs}'
            ",
        )
        .await;
    let run = engine.start("small", json!({})).await;
    let report = engine.end_of(run).await;
    assert_eq!(report.state, RunState::Succeeded, "{report:#?}");
    assert_eq!(report.outputs, Some(json!({ "values": [0, 11, 22], "skipped": null })));
    let states: Vec<_> = report.steps.iter().map(|step| (step.name.as_str(), step.state.as_str())).collect();
    assert_eq!(states[2..4], [("skipped", "skipped"), ("late", "skipped")]);
    let longer = engine.end_of(engine.start("small", json!({ "count": 6 })).await).await;
    assert_eq!(longer.outputs.unwrap()["skipped"], json!({ "value": 1 }));
    let none = engine.end_of(engine.start("small", json!({ "count": 0 })).await).await;
    assert_eq!(none.outputs, Some(json!({ "values": [], "skipped": null })));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_item_of_a_sequence_sees_the_outputs_of_the_one_before() {
    let engine = Engine::set_up(1).await;
    engine
        .apply(
            "
            pipeline: chain
            steps:
              chain:
                uses: test.echo
                for_each: [1, 2, 3, 4]
                sequence: true
                with: { value: '${previous == null ? item : previous.value * 10 + item}' }
            outputs:
              all: '${steps.chain.outputs.map(output, output.value)}'
            ",
        )
        .await;
    let report = engine.end_of(engine.start("chain", json!({})).await).await;
    assert_eq!(report.outputs, Some(json!({ "all": [1, 12, 123, 1234] })), "{report:#?}");
    engine.stop().await;
}

const DOUBLE: &str = "
    pipeline: double
    params:
      n: { type: integer }
    steps:
      work: { uses: test.echo, with: { value: '${params.n}' } }
    outputs:
      double: '${params.n * 2}'
      parent: '${run.parent}'
    ";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_uses_another_and_reads_its_outputs() {
    let engine = Engine::set_up(1).await;
    engine.apply(DOUBLE).await;
    engine
        .apply(
            "
            pipeline: outer
            steps:
              children:
                uses: pipeline
                for_each: [1, 2, 3]
                with: { pipeline: double, params: { n: '${item}' } }
              one:
                uses: pipeline
                with: { pipeline: double, params: { n: '${steps.children.outputs[2].double}' } }
            outputs:
              doubles: '${steps.children.outputs.map(output, output.double)}'
              one: '${steps.one.outputs.double}'
              parent: '${steps.one.outputs.parent}'
            ",
        )
        .await;
    let run = engine.start("outer", json!({})).await;
    let report = engine.end_of(run).await;
    let expected = json!({ "doubles": [2, 4, 6], "one": 12, "parent": run.to_string() });
    assert_eq!(report.outputs, Some(expected), "{report:#?}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rounds_are_a_sequence_of_sub_runs_that_hand_on_their_outputs() {
    let engine = Engine::set_up(1).await;
    engine.apply(DOUBLE).await;
    engine
        .apply(
            "
            pipeline: rounds
            params:
              rounds: { type: integer, default: 4 }
            steps:
              rounds:
                uses: pipeline
                for_each: '${range(params.rounds)}'
                sequence: true
                with: { pipeline: double, params: { n: '${previous == null ? 1 : previous.double}' } }
            outputs:
              last: '${steps.rounds.outputs[params.rounds - 1].double}'
            ",
        )
        .await;
    let report = engine.end_of(engine.start("rounds", json!({})).await).await;
    assert_eq!(report.outputs, Some(json!({ "last": 16 })), "{report:#?}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expression_that_cannot_be_evaluated_fails_its_step_and_says_why() {
    let engine = Engine::set_up(1).await;
    engine
        .apply(
            "
            pipeline: wrong
            steps:
              list: { uses: test.range, with: { count: 2 } }
              beyond: { uses: test.echo, with: { value: '${steps.list.outputs.items[99]}' } }
              after: { uses: test.echo, needs: [beyond], with: { value: 1 } }
            ",
        )
        .await;
    let report = engine.end_of(engine.start("wrong", json!({})).await).await;
    assert_eq!(report.state, RunState::Failed);
    let error = report.steps[1].error.as_deref().unwrap();
    assert!(error.contains("beyond") && error.contains("99"), "{error}");
    assert_eq!(report.steps[2].state, "upstream_failed");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sub_run_of_a_pipeline_that_is_missing_or_given_wrong_params_fails_its_task() {
    let engine = Engine::set_up(1).await;
    engine.apply(DOUBLE).await;
    for (name, given, expected) in
        [("missing", "pipeline: nowhere", "nowhere"), ("mistaken", "pipeline: double, params: { n: x }", "n")]
    {
        let text = format!(
            "
            pipeline: {name}
            steps:
              child: {{ uses: pipeline, with: {{ {given} }} }}
            "
        );
        engine.apply(&text).await;
        let report = engine.end_of(engine.start(name, json!({})).await).await;
        assert_eq!(report.state, RunState::Failed);
        let error = report.tasks[0].error.as_deref().unwrap();
        assert!(error.contains(expected), "{error}");
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sub_run_that_would_wait_for_ever_for_what_its_parent_holds_fails_and_says_so() {
    let engine = Engine::set_up(0).await;
    engine.scheduler_with(SchedulerSettings { lease: SHORT_LEASE, ..SchedulerSettings::default() });
    for (name, uses) in
        [("inner", "test.echo, with: { value: 1 }"), ("outer", "pipeline, with: { pipeline: inner }")]
    {
        let text = format!(
            "
            pipeline: {name}
            steps:
              only: {{ uses: {uses}, limit: {{ key: licence, concurrency: 1 }} }}
            "
        );
        engine.apply(&text).await;
    }
    let outer = engine.start("outer", json!({})).await;
    assert_eq!(engine.end_of(outer).await.state, RunState::Failed);
    let filter = RunFilter { with_sub_runs: true, limit: 100, ..RunFilter::default() };
    let runs = list_runs(&mut engine.connection().await, &filter).await.unwrap();
    let inner = runs.iter().find(|run| run.id != outer).expect("a sub-run");
    let inner = engine.end_of(inner.id).await;
    let error = inner.tasks[0].error.as_deref().unwrap();
    assert!(error.contains(&format!(r#"the limit "licence": step only of run {outer}"#)), "{error}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelines_that_use_each_other_stop_sixteen_runs_deep() {
    let engine = Engine::set_up(1).await;
    for (name, other) in [("ping", "pong"), ("pong", "ping")] {
        let text = format!(
            "
            pipeline: {name}
            steps:
              again: {{ uses: pipeline, with: {{ pipeline: {other} }} }}
            "
        );
        engine.apply(&text).await;
    }
    let report = engine.end_of(engine.start("ping", json!({})).await).await;
    assert_eq!(report.state, RunState::Failed);
    let filter = RunFilter { with_sub_runs: true, limit: 100, ..RunFilter::default() };
    let runs = list_runs(&mut engine.connection().await, &filter).await.unwrap();
    assert_eq!(runs.len(), 16);
    assert!(runs.iter().all(|run| run.state == RunState::Failed));
    let innermost = engine.end_of(runs[0].id).await;
    let error = innermost.tasks[0].error.as_deref();
    assert_eq!(error, Some("16 runs are nested in each other, which is as deep as they may be"));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_schedulers_at_once_expand_every_step_once() {
    let engine = Engine::set_up(2).await;
    engine.apply(DOUBLE).await;
    engine
        .apply(
            "
            pipeline: wide
            steps:
              list: { uses: test.range, with: { count: 8 } }
              a: { uses: test.echo, for_each: '${steps.list.outputs.items}', with: { value: '${item}' } }
              b: { uses: test.echo, for_each: '${steps.list.outputs.items}', with: { value: '${item}' } }
              c: { uses: test.echo, for_each: '${steps.list.outputs.items}', with: { value: '${item}' } }
              children:
                uses: pipeline
                for_each: '${steps.list.outputs.items}'
                with: { pipeline: double, params: { n: '${item}' } }
              chain:
                uses: test.echo
                for_each: '${steps.a.outputs}'
                sequence: true
                with: { value: '${index}' }
            ",
        )
        .await;
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(engine.start("wide", json!({})).await);
    }
    for run in runs {
        let report = engine.end_of(run).await;
        assert_eq!(report.state, RunState::Succeeded, "{report:#?}");
        assert_eq!(report.tasks.len(), 1 + 5 * 8);
        assert!(report.tasks.iter().all(|task| task.attempts == 0 && task.crashes == 0));
    }
    let filter = RunFilter { with_sub_runs: true, limit: 100, ..RunFilter::default() };
    assert_eq!(list_runs(&mut engine.connection().await, &filter).await.unwrap().len(), 4 + 4 * 8);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_attempt_is_tried_again_when_its_time_has_come() {
    let engine = Engine::set_up(1).await;
    engine
        .apply(
            "
            pipeline: patient
            steps:
              flaky: { uses: test.flaky, retry: { attempts: 3, backoff: { base: 10ms, cap: 50ms } } }
            ",
        )
        .await;
    let report = engine.end_of(engine.start("patient", json!({})).await).await;
    assert_eq!((report.state, report.tasks[0].attempts), (RunState::Succeeded, 2));
    engine.stop().await;
}

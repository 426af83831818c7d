//! Fan-outs that are larger than one transaction.

use std::time::Duration;

use serde_json::json;
use sqlx::Row;
use tale_queue::{RunState, run_report};
use tale_scheduler::SchedulerSettings;

use crate::engine::{Engine, SHORT_LEASE};

fn small_parts() -> SchedulerSettings {
    SchedulerSettings { part: 50, ..SchedulerSettings::default() }
}

const WIDE: &str = "
    pipeline: wide
    params:
      count: { type: integer }
    steps:
      list: { uses: test.range, with: { count: '${params.count}' } }
      each:
        uses: test.echo
        for_each: '${steps.list.outputs.items}'
        with: { value: '${item * 2 + index}' }
      again:
        uses: test.echo
        for_each: '${steps.each.outputs}'
        with: { value: '${item.value}' }
    outputs:
      count: '${size(steps.again.outputs)}'
      last: '${steps.again.outputs[params.count - 1].value}'
    ";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_out_of_many_parts_runs_every_item_once_and_so_does_one_over_its_outputs() {
    let engine = Engine::set_up(0).await;
    engine.scheduler_with(small_parts());
    engine.apply(WIDE).await;
    let run = engine.start("wide", json!({ "count": 512 })).await;
    let report = engine.end_of(run).await;
    assert_eq!(report.state, RunState::Succeeded, "{:?}", report.steps);
    assert_eq!(report.outputs, Some(json!({ "count": 512, "last": 511 * 3 })));
    assert_eq!(report.steps[1].tasks_total, 512);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_out_survives_schedulers_that_are_killed_in_the_middle() {
    let engine = Engine::set_up(0).await;
    // more schedulers may be lost than are killed here: on a busy machine one that lives may seem dead
    let settings = || SchedulerSettings {
        part: 10,
        lease: SHORT_LEASE,
        crashes_max: 100,
        ..SchedulerSettings::default()
    };
    let maintenance = engine.scheduler_with(settings());
    engine.apply(WIDE).await;
    let run = engine.start("wide", json!({ "count": 600 })).await;
    drop(maintenance);
    let mut killed = 0;
    for place in 0..3 {
        let scheduler = engine.scheduler_with(settings());
        let wanted = place * 150 + 40;
        loop {
            let report = run_report(&mut engine.connection().await, run).await.unwrap();
            if report.steps[1].tasks_total >= wanted || report.state != RunState::Running {
                killed += i32::from(report.steps[1].state == "expanding");
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        scheduler.abort();
    }
    engine.scheduler_with(settings());
    let report = engine.end_of(run).await;
    println!("{killed} schedulers were killed while the step was expanding");
    assert_eq!(report.state, RunState::Succeeded, "{:?}", report.steps);
    assert_eq!(report.outputs, Some(json!({ "count": 600, "last": 599 * 3 })));
    let row = sqlx::query(
        "select count(*), count(distinct index), max(attempts) from queue.task where run_id = $1 and step = 1 and index >= 0",
    )
    .bind(run.raw())
    .fetch_one(&mut engine.connection().await)
    .await
    .unwrap();
    assert_eq!((row.get::<i64, _>(0), row.get::<i64, _>(1), row.get::<i16, _>(2)), (600, 600, 0));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_that_is_too_large_for_a_plan_is_expanded_by_the_scheduler() {
    let engine = Engine::set_up(0).await;
    engine
        .apply(
            "
            pipeline: numbers
            steps:
              each: { uses: test.echo, for_each: '${range(5001)}', with: { value: 1 } }
            ",
        )
        .await;
    let run = engine.start("numbers", json!({})).await;
    let report = run_report(&mut engine.connection().await, run).await.unwrap();
    assert_eq!((report.steps[0].state.as_str(), report.steps[0].tasks_total), ("expanding", 0));
    engine.scheduler_with(SchedulerSettings::default());
    let report = engine.end_of(run).await;
    assert_eq!((report.state, report.steps[0].tasks_total), (RunState::Succeeded, 5001));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_that_cannot_be_evaluated_fails_the_step_in_whichever_part_it_is() {
    let engine = Engine::set_up(0).await;
    engine.scheduler_with(small_parts());
    engine
        .apply(
            "
            pipeline: wrong
            steps:
              list: { uses: test.range, with: { count: 400 } }
              each:
                uses: test.echo
                for_each: '${steps.list.outputs.items}'
                with: { value: '${100 / (item - 330)}' }
              after: { uses: test.echo, needs: [each], with: { value: 1 } }
            ",
        )
        .await;
    let report = engine.end_of(engine.start("wrong", json!({})).await).await;
    assert_eq!(report.state, RunState::Failed);
    let error = report.steps[1].error.as_deref().unwrap();
    assert!(error.contains("each") && error.contains("item - 330"), "{error}");
    assert_eq!(report.steps[2].state, "upstream_failed");
    let open = report.tasks.iter().filter(|task| task.finished_at.is_none()).count();
    assert_eq!(open, 0, "{:#?}", report.tasks);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_list_fails_its_fan_out_and_says_what_it_is() {
    let engine = Engine::set_up(1).await;
    engine
        .apply(
            "
            pipeline: listless
            steps:
              one: { uses: test.echo, with: { value: 1 } }
              each: { uses: test.echo, for_each: '${steps.one.outputs.value}', with: { value: 1 } }
              none: { uses: test.echo, for_each: '${steps.one.outputs.nothing}', with: { value: 1 } }
            ",
        )
        .await;
    let report = engine.end_of(engine.start("listless", json!({})).await).await;
    let errors: Vec<_> = report.steps[1..].iter().map(|step| step.error.clone().unwrap()).collect();
    assert!(errors[0].contains("a fan-out needs a list, not a number"), "{errors:?}");
    assert!(errors[1].contains("there is no \"nothing\""), "{errors:?}");
    engine.stop().await;
}

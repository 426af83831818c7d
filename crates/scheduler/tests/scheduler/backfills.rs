//! Back-fills over a real database.

use std::time::{Duration, Instant};

use tale_primitives::UtcDay;
use tale_queue::{RunState, run_report};
use tale_scheduler::{
    BackfillReport, SchedulerError, backfill_report, backfill_runs, plan_backfill, start_backfill,
};

use crate::{
    engine::Engine,
    schedules::{fires, ticking},
};

const HOURLY: &str = "{ cron: '0 * * * *', timezone: Europe/Berlin }";

fn day(text: &str) -> UtcDay {
    text.parse().unwrap()
}

/// Asks for a back-fill; gives its number and whether it is new.
async fn ask(engine: &Engine, first: &str, last: &str, concurrency: u32) -> (i64, bool) {
    let mut connection = engine.connection().await;
    let plan = plan_backfill(&mut connection, "hourly", day(first), day(last)).await.unwrap();
    start_backfill(&mut connection, &plan, concurrency).await.unwrap().unwrap()
}

/// Waits for the end, watching that no more runs are open than may be.
async fn end(engine: &Engine, id: i64) -> BackfillReport {
    let started = Instant::now();
    loop {
        let mut connection = engine.connection().await;
        let report = backfill_report(&mut connection, id).await.unwrap();
        assert!(report.open <= report.concurrency, "{report:#?}");
        let open: i64 = sqlx::query_scalar(
            "select count(*) from queue.run r join schedule.fire f on f.run_id = r.id
             where f.backfill_id = $1 and r.state = 'running'",
        )
        .bind(id)
        .fetch_one(&mut connection)
        .await
        .unwrap();
        assert!(open <= i64::from(report.concurrency), "{open} runs are open");
        if report.finished_at.is_some() {
            return report;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "it does not end: {report:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_back_fill_starts_each_fire_of_its_days_once_and_again_changes_nothing() {
    let engine = Engine::set_up(0).await;
    engine.apply(&ticking("hourly", HOURLY)).await;
    // asked for while nobody is there; the day on which clocks are put back has 25 hours
    let (id, is_new) = ask(&engine, "2024-10-26", "2024-10-27", 7).await;
    assert!(is_new);
    assert_eq!(
        ask(&engine, "2024-10-26", "2024-10-27", 3).await,
        (id, false),
        "the same days, the same back-fill"
    );
    for _ in 0..3 {
        engine.scheduler();
    }
    let report = end(&engine, id).await;
    assert_eq!((report.total, report.started, report.known, report.failed), (49, 49, 0, 0));
    let runs = backfill_runs(&mut engine.connection().await, id).await.unwrap();
    assert!(runs.len() == 49 && runs.iter().all(|run| run.state == RunState::Succeeded), "{runs:#?}");
    let first = run_report(&mut engine.connection().await, runs[0].run).await.unwrap();
    assert_eq!(first.logical_date, day("2024-10-26"));
    assert_eq!(
        (first.fire_time, first.trigger),
        (Some(fires(&engine, "hourly").await[0].at), format!("backfill {id}"))
    );

    // overlapping days: what has its run keeps it
    let before = fires(&engine, "hourly").await.len();
    let (second, is_new) = ask(&engine, "2024-10-27", "2024-10-28", 100).await;
    assert!(is_new);
    let report = end(&engine, second).await;
    assert_eq!((report.total, report.started, report.known), (49, 24, 25));
    assert_eq!(fires(&engine, "hourly").await.len(), before + 24);
    let (third, _) = ask(&engine, "2024-10-26", "2024-10-28", 1).await;
    let report = end(&engine, third).await;
    assert_eq!((report.started, report.known), (0, 73));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_back_fill_makes_up_for_fires_whose_run_could_not_start() {
    let engine = Engine::set_up(1).await;
    let broken = "
        pipeline: hourly
        params: { list: { type: list, default: [1] } }
        schedule: { cron: '0 * * * *' }
        steps: { work: { uses: test.echo, with: { value: '${params.list[7]}' } } }
        ";
    engine.apply(broken).await;
    let (id, _) = ask(&engine, "2024-01-01", "2024-01-01", 4).await;
    let report = end(&engine, id).await;
    assert_eq!((report.total, report.started, report.failed), (24, 0, 24));
    engine.apply(&broken.replace("[7]", "[0]")).await;
    let (id, _) = ask(&engine, "2024-01-01", "2024-01-01", 4).await;
    let report = end(&engine, id).await;
    assert_eq!((report.total, report.started, report.failed), (24, 24, 0));
    assert!(fires(&engine, "hourly").await.iter().all(|fire| fire.run.is_some() && fire.error.is_none()));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_lists_fires_up_to_now_and_starts_nothing() {
    let engine = Engine::set_up(0).await;
    let mut connection = engine.connection().await;
    engine.apply(&ticking("hourly", HOURLY)).await;
    let plan = plan_backfill(&mut connection, "hourly", day("2024-03-31"), day("2024-03-31")).await.unwrap();
    assert_eq!(plan.fires.len(), 23, "an hour of this day is left out");
    assert!(plan.fires.iter().all(|fire| fire.run.is_none() && fire.date == day("2024-03-31")));
    assert!(fires(&engine, "hourly").await.is_empty());
    let future =
        plan_backfill(&mut connection, "hourly", day("2090-01-01"), day("2090-01-02")).await.unwrap();
    assert!(future.fires.is_empty());
    assert_eq!(start_backfill(&mut connection, &future, 1).await.unwrap(), None);
    let endless = plan_backfill(&mut connection, "hourly", day("1990-01-01"), day("2024-01-02")).await;
    assert!(matches!(endless, Err(SchedulerError::TooManyFires { .. })), "{endless:?}");
    engine.apply("{ pipeline: plain, steps: { work: { uses: test.echo, with: { value: 1 } } } }").await;
    let unscheduled = plan_backfill(&mut connection, "plain", day("2024-01-01"), day("2024-01-01")).await;
    assert!(matches!(unscheduled, Err(SchedulerError::NotScheduled { .. })), "{unscheduled:?}");
    engine.stop().await;
}

//! Schedules over a real database: fires, missed fires, pauses, what apply does.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tale_queue::{RunFilter, RunState, list_runs};
use tale_scheduler::{
    RecordedFire, ScheduleReport, SchedulerError, find_schedule, list_schedules, pause_schedule,
    recorded_fires, resume_schedule,
};

use crate::engine::Engine;

/// Long enough for a busy machine, short enough for a test that hangs.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn ticking(name: &str, schedule: &str) -> String {
    format!(
        "
        pipeline: {name}
        schedule: {schedule}
        steps:
          work: {{ uses: test.echo, with: {{ value: '${{run.date}}' }} }}
        outputs: {{ date: '${{run.date}}', fired: '${{run.fire_time}}' }}
        "
    )
}

pub async fn clock(engine: &Engine) -> DateTime<Utc> {
    sqlx::query_scalar("select clock_timestamp()").fetch_one(&mut engine.connection().await).await.unwrap()
}

/// Lets the schedule wait for a fire of the past, as if no scheduler had been there since; gives the instant.
pub async fn set_back(engine: &Engine, pipeline: &str, by: TimeDelta) -> DateTime<Utc> {
    let at = clock(engine).await - by;
    let at = DateTime::from_timestamp(at.timestamp(), 0).unwrap();
    let sql = "update schedule.schedule set next_fire = $2 where pipeline = $1";
    sqlx::query(sql).bind(pipeline).bind(at).execute(&mut engine.connection().await).await.unwrap();
    at
}

pub async fn fires(engine: &Engine, pipeline: &str) -> Vec<RecordedFire> {
    let (first, last) = (DateTime::UNIX_EPOCH, "2100-01-01T00:00:00Z".parse().unwrap());
    recorded_fires(&mut engine.connection().await, pipeline, first, last).await.unwrap()
}

async fn schedule(engine: &Engine, pipeline: &str) -> ScheduleReport {
    find_schedule(&mut engine.connection().await, pipeline).await.unwrap()
}

/// Waits until something holds.
pub async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "{what} never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Pain 7 of the field: cron that fires twice, is surprised by summer time, or loses what it missed. (Summer time has its
/// laws in the crate of timetables.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pain_7_cron_fires_once_with_many_schedulers_and_misses_nothing() {
    let engine = Engine::set_up(0).await;
    engine.apply(&ticking("tick", "{ cron: '* * * * * *', missed: { all: 1000 } }")).await;
    let first = set_back(&engine, "tick", TimeDelta::seconds(150)).await;
    let mut schedulers: Vec<_> = (0..5).map(|_| engine.scheduler()).collect();
    until("a part of the backlog", async || fires(&engine, "tick").await.len() > 20).await;
    // two die in the middle of it
    schedulers.drain(..2).for_each(|scheduler| scheduler.abort());
    let soon = clock(&engine).await + TimeDelta::seconds(3);
    until("the fires of the next seconds", async || {
        schedule(&engine, "tick").await.last_fire.is_some_and(|last| last >= soon)
    })
    .await;
    pause_schedule(&mut engine.connection().await, "tick").await.unwrap();

    let fires = fires(&engine, "tick").await;
    let expected: Vec<_> = (0..).map(|second| first + TimeDelta::seconds(second)).take(fires.len()).collect();
    assert_eq!(fires.iter().map(|fire| fire.at).collect::<Vec<_>>(), expected, "each second has its fire");
    assert!(fires.last().unwrap().at >= soon);
    let filter = RunFilter { limit: 10_000, ..RunFilter::default() };
    let mut runs: Vec<_> = list_runs(&mut engine.connection().await, &filter)
        .await
        .unwrap()
        .into_iter()
        .map(|run| run.id)
        .collect();
    let mut of_fires: Vec<_> = fires.iter().map(|fire| fire.run.unwrap()).collect();
    runs.sort();
    of_fires.sort();
    assert_eq!(runs, of_fires, "each fire has one run, and no run is without its fire");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_knows_its_day_and_its_fire_and_so_does_its_sub_run() {
    let engine = Engine::set_up(1).await;
    engine
        .apply(
            "
            pipeline: inner
            steps: { work: { uses: test.echo, with: { value: 1 } } }
            outputs: { date: '${run.date}', fired: '${run.fire_time}' }
            ",
        )
        .await;
    engine
        .apply(
            "
            pipeline: outer
            schedule: { cron: '10 0 * * *', timezone: Pacific/Auckland, date: previous_day }
            steps: { child: { uses: pipeline, with: { pipeline: inner } } }
            outputs: { own: '${run.fire_time}', child: '${steps.child.outputs}' }
            ",
        )
        .await;
    let waiting_for = schedule(&engine, "outer").await.next_fire.unwrap();
    set_back(&engine, "outer", TimeDelta::days(1)).await;
    until("the fire", async || !fires(&engine, "outer").await.is_empty()).await;
    let fire = fires(&engine, "outer").await.remove(0);
    let report = engine.end_of(fire.run.unwrap()).await;
    let at = json!(fire.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    // ten past midnight in Auckland is noon or eleven of the day before in UTC: the day that has just ended there
    let date = fire.at.date_naive().to_string();
    assert_eq!(report.outputs, Some(json!({ "own": at, "child": { "date": date, "fired": at } })));
    assert_eq!((report.fire_time, report.trigger.as_str()), (Some(fire.at), "schedule"));
    assert_eq!(schedule(&engine, "outer").await.next_fire, Some(waiting_for));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missed_fires_run_as_the_policy_says_and_no_other() {
    let engine = Engine::set_up(0).await;
    for (name, missed) in [("none", "skip"), ("last", "latest"), ("two", "{ all: 2 }")] {
        engine.apply(&ticking(name, &format!("{{ cron: '30 12 * * *', missed: {missed} }}"))).await;
        set_back(&engine, name, TimeDelta::days(5)).await;
    }
    engine.scheduler();
    engine.scheduler();
    let now = clock(&engine).await;
    for (name, count) in [("none", 0), ("last", 1), ("two", 2)] {
        until("the fires", async || schedule(&engine, name).await.next_fire.is_some_and(|next| next > now))
            .await;
        let fires = fires(&engine, name).await;
        assert_eq!(fires.len(), count, "{name}: {fires:#?}");
        assert!(fires.iter().all(|fire| fire.at > now - TimeDelta::days(count as i64)), "{fires:#?}");
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_fires_while_paused_and_resuming_starts_from_now() {
    let engine = Engine::set_up(2).await;
    engine.apply(&ticking("tick", "{ cron: '* * * * * *', missed: { all: 1000 } }")).await;
    until("a fire", async || !fires(&engine, "tick").await.is_empty()).await;
    pause_schedule(&mut engine.connection().await, "tick").await.unwrap();
    let before = fires(&engine, "tick").await;
    // neither time nor another apply lets it go on
    engine.apply(&ticking("tick", "{ cron: '* * * * * *', missed: skip }")).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(fires(&engine, "tick").await.len(), before.len());
    let paused = schedule(&engine, "tick").await;
    assert!(paused.paused_at.is_some() && paused.next_fire.is_none(), "{paused:#?}");

    let resumed_at = clock(&engine).await;
    resume_schedule(&mut engine.connection().await, "tick").await.unwrap();
    until("a fire", async || fires(&engine, "tick").await.len() > before.len()).await;
    let next = &fires(&engine, "tick").await[before.len()];
    assert!(next.at > resumed_at, "{next:?} was passed over while paused at {resumed_at}");
    for outcome in [
        pause_schedule(&mut engine.connection().await, "nowhere").await,
        resume_schedule(&mut engine.connection().await, "nowhere").await,
    ] {
        assert!(matches!(outcome, Err(SchedulerError::NotScheduled { .. })), "{outcome:?}");
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_whose_run_cannot_start_says_so_and_stops_no_other() {
    let engine = Engine::set_up(1).await;
    let broken = "
        pipeline: a-broken
        params: { list: { type: list, default: [1] } }
        schedule: { cron: '* * * * * *' }
        steps: { work: { uses: test.echo, with: { value: '${params.list[7]}' } } }
        ";
    engine.apply(broken).await;
    engine.apply(&ticking("sound", "{ cron: '* * * * * *' }")).await;
    until("fires of both", async || {
        fires(&engine, "a-broken").await.len() >= 2 && fires(&engine, "sound").await.len() >= 2
    })
    .await;
    let report = schedule(&engine, "a-broken").await;
    assert!(report.error.is_some_and(|error| error.contains("step work")), "the row says why");
    assert!(fires(&engine, "a-broken").await.iter().all(|fire| fire.run.is_none() && fire.error.is_some()));
    assert!(fires(&engine, "sound").await.iter().all(|fire| fire.run.is_some()));
    engine.apply(&broken.replace("[7]", "[0]")).await;
    until("a run", async || fires(&engine, "a-broken").await.iter().any(|fire| fire.run.is_some())).await;
    assert_eq!(schedule(&engine, "a-broken").await.error, None);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_only_a_newer_release_can_read_stops_no_other() {
    let engine = Engine::set_up(1).await;
    engine.apply(&ticking("newer", "{ cron: '* * * * * *' }")).await;
    let sql = "update schedule.schedule set definition = definition || '{\"moon\": \"full\"}'";
    sqlx::query(sql).execute(&mut engine.connection().await).await.unwrap();
    engine.apply(&ticking("sound", "{ cron: '* * * * * *' }")).await;
    let known = fires(&engine, "newer").await.len();
    until("fires", async || fires(&engine, "sound").await.len() >= 2).await;
    assert!(fires(&engine, "newer").await.len() <= known + 1, "it is left to whoever can read it");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applying_makes_changes_and_removes_schedules_and_keeps_what_is_the_same() {
    let engine = Engine::set_up(0).await;
    engine.apply(&ticking("daily", "{ cron: '0 3 * * *' }")).await;
    let first = schedule(&engine, "daily").await;
    let now = clock(&engine).await;
    assert!(first.next_fire.is_some_and(|next| next > now && next < now + TimeDelta::days(1)));
    // what it waits for stays, even if that is past
    let past = set_back(&engine, "daily", TimeDelta::days(3)).await;
    engine.apply(&ticking("daily", "{ cron: '0 3 * * *', missed: { all: 9 } }")).await;
    assert_eq!(schedule(&engine, "daily").await.next_fire, Some(past));
    // another time or zone starts from now
    engine.apply(&ticking("daily", "{ cron: '0 3 * * *', timezone: Asia/Tokyo }")).await;
    assert!(schedule(&engine, "daily").await.next_fire.is_some_and(|next| next > now));
    engine.apply("{ pipeline: daily, steps: { work: { uses: test.echo, with: { value: 1 } } } }").await;
    assert!(list_schedules(&mut engine.connection().await).await.unwrap().is_empty());
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_schedule_fires_within_its_second_although_everybody_sleeps() {
    let engine = Engine::set_up(1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    engine.apply(&ticking("tick", "{ cron: '* * * * * *' }")).await;
    until("a fire", async || !fires(&engine, "tick").await.is_empty()).await;
    let late: Option<f64> = sqlx::query_scalar(
        "select max(extract(epoch from created_at - fire_at))::double precision from schedule.fire",
    )
    .fetch_one(&mut engine.connection().await)
    .await
    .unwrap();
    assert!(late.is_some_and(|late| (0.0..0.9).contains(&late)), "it was {late:?} s late");
    let fire = fires(&engine, "tick").await.remove(0);
    assert_eq!(engine.end_of(fire.run.unwrap()).await.state, RunState::Succeeded);
    engine.stop().await;
}

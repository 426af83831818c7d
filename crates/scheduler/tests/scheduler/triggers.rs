//! Triggers over a real database: ended runs, and objects of a folder that the test holds in its hand.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};
use tale_queue::{RunFilter, RunReport, RunState, list_runs};
use tale_scheduler::{Folders, FoundObject, SchedulerError, refuse_trigger_circles};

use crate::{engine::Engine, schedules::until};

/// Objects by key, with size and version; `None` for a store that does not answer.
#[derive(Default)]
struct Inbox(Mutex<Option<BTreeMap<String, (u64, String)>>>);

impl Inbox {
    fn with(objects: &[(&str, &str)]) -> Arc<Self> {
        let inbox = Arc::new(Self::default());
        inbox.set(objects);
        inbox
    }

    fn set(&self, objects: &[(&str, &str)]) {
        let objects = objects.iter().map(|(path, version)| ((*path).to_owned(), (7, (*version).to_owned())));
        *self.0.lock().unwrap() = Some(objects.collect());
    }

    fn is_gone(&self) {
        *self.0.lock().unwrap() = None;
    }
}

#[async_trait]
impl Folders for Inbox {
    async fn list(
        &self,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<FoundObject>, Box<dyn Error + Send + Sync>> {
        let objects = self.0.lock().unwrap().clone().ok_or("the store is away")?;
        let below = objects.into_iter().filter(|(path, _)| path.starts_with(prefix)).take(limit);
        Ok(below.map(|(path, (size, version))| FoundObject { path, size, version }).collect())
    }
}

/// The reports of a pipeline's runs, oldest first, once they have all ended.
async fn runs(engine: &Engine, pipeline: &str) -> Vec<RunReport> {
    let filter = RunFilter { pipeline: Some(pipeline.to_owned()), limit: 1000, ..RunFilter::default() };
    let listed = list_runs(&mut engine.connection().await, &filter).await.unwrap();
    let mut reports = vec![];
    for run in listed.iter().rev() {
        reports.push(engine.end_of(run.id).await);
    }
    reports
}

async fn count(engine: &Engine, pipeline: &str) -> usize {
    runs(engine, pipeline).await.len()
}

async fn error_of(engine: &Engine, pipeline: &str) -> Option<String> {
    sqlx::query_scalar("select error from schedule.trigger where pipeline = $1")
        .bind(pipeline)
        .fetch_one(&mut engine.connection().await)
        .await
        .unwrap()
}

const SOURCE: &str = "
    pipeline: source
    params: { list: { type: list, default: [1, 2] } }
    steps:
      fetch: { uses: test.range, with: { count: 2 } }
      work: { uses: test.echo, with: { value: '${steps.fetch.outputs.items[params.list[0]]}' } }
    outputs: { value: '${steps.work.outputs.value}' }
    ";

fn after(name: &str, state: &str, params: &str) -> String {
    format!(
        "
        pipeline: {name}
        params: {{ about: {{ type: string }}, value: {{ type: integer, default: 0 }} }}
        triggers:
          - run: {{ pipeline: source, state: {state} }}
            params: {params}
        steps: {{ work: {{ uses: test.echo, with: {{ value: '${{params.value + 1}}' }} }} }}
        outputs: {{ about: '${{params.about}}', date: '${{run.date}}', value: '${{steps.work.outputs.value}}' }}
        "
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_run_that_ends_starts_each_run_that_waits_for_it_once() {
    let engine = Engine::set_up(3).await;
    engine.apply(SOURCE).await;
    engine
        .apply(&after("well", "succeeded", "{ about: '${event.run}', value: '${event.outputs.value}' }"))
        .await;
    engine.apply(&after("badly", "failed", "{ about: '${event.state} ${event.date}' }")).await;
    engine.apply(&after("always", "any", "{ about: '${event.pipeline}' }")).await;
    let mut sources = vec![];
    for _ in 0..10 {
        sources.push(engine.start("source", json!({ "list": [1] })).await);
    }
    sources.push(engine.start("source", json!({ "list": [99] })).await);
    for source in &sources {
        engine.end_of(*source).await;
    }
    for (name, expected) in [("well", 10), ("badly", 1), ("always", 11)] {
        until(name, async || count(&engine, name).await >= expected).await;
    }
    // long enough for a second start of any of them
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((count(&engine, "badly").await, count(&engine, "always").await), (1, 11));
    let mut about: Vec<Value> = vec![];
    for run in runs(&engine, "well").await {
        let outputs = run.outputs.unwrap();
        assert_eq!((&outputs["value"], &outputs["date"]), (&json!(2), &json!("2026-11-23")));
        assert_eq!(run.trigger, format!("run {}", outputs["about"].as_str().unwrap()));
        about.push(outputs["about"].clone());
    }
    about.sort_by_key(Value::to_string);
    let mut expected: Vec<Value> = sources[..10].iter().map(|run| json!(run.to_string())).collect();
    expected.sort_by_key(Value::to_string);
    assert_eq!(about, expected);
    assert_eq!(runs(&engine, "badly").await[0].outputs.as_ref().unwrap()["about"], "failed 2026-11-23");
    let left: i64 = sqlx::query_scalar("select count(*) from schedule.ended_run")
        .fetch_one(&mut engine.connection().await)
        .await
        .unwrap();
    assert_eq!(left, 0);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_no_scheduler_saw_is_followed_later_and_one_that_cannot_be_followed_is_told() {
    let engine = Engine::set_up(1).await;
    engine.apply(SOURCE).await;
    engine.apply(&after("wrong", "succeeded", "{ about: '${event.outputs.missing}' }")).await;
    engine.apply(&after("right", "succeeded", "{ about: x }")).await;
    let source = engine.start("source", json!({})).await;
    engine.end_of(source).await;
    until("a run", async || count(&engine, "right").await == 1).await;
    let error = error_of(&engine, "wrong").await.unwrap();
    assert!(error.contains("missing"), "{error}");
    assert_eq!((count(&engine, "wrong").await, error_of(&engine, "right").await), (0, None));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn triggers_that_would_start_runs_without_end_are_refused() {
    let engine = Engine::set_up(0).await;
    let waits = |name: &str, other: &str| {
        format!(
            "{{ pipeline: {name}, triggers: [{{ run: {{ pipeline: {other} }} }}],
                steps: {{ work: {{ uses: test.echo, with: {{ value: 1 }} }} }} }}"
        )
    };
    engine.apply(&waits("a", "b")).await;
    engine.apply(&waits("b", "c")).await;
    refuse_trigger_circles(&mut engine.connection().await).await.unwrap();
    engine.apply(&waits("c", "a")).await;
    let refused = refuse_trigger_circles(&mut engine.connection().await).await;
    assert!(
        matches!(&refused, Err(SchedulerError::TriggerCircle { pipeline }) if pipeline == "a"),
        "{refused:?}"
    );
    engine.stop().await;
}

const INBOX: &str = "
    pipeline: inbox
    params: { source: { type: string }, size: { type: integer } }
    triggers:
      - object: { prefix: inbox/, every: 20ms }
        params: { source: '${event.path}', size: '${event.size}' }
    steps: { work: { uses: test.echo, with: { value: '${params.size}' } } }
    outputs: { source: '${params.source}' }
    ";

async fn sources(engine: &Engine) -> Vec<String> {
    let runs = runs(engine, "inbox").await;
    assert!(runs.iter().all(|run| run.state == RunState::Succeeded));
    let mut sources: Vec<String> =
        runs.into_iter().map(|run| run.outputs.unwrap()["source"].as_str().unwrap().to_owned()).collect();
    sources.sort();
    sources
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_version_of_an_object_starts_one_run_with_many_schedulers_and_across_restarts() {
    let engine = Engine::set_up(0).await;
    let inbox = Inbox::with(&[("inbox/a", "1"), ("inbox/b", "1"), ("outbox/c", "1")]);
    engine.apply(INBOX).await;
    let first: Vec<_> = (0..3).map(|_| engine.looking(inbox.clone())).collect();
    until("two runs", async || count(&engine, "inbox").await >= 2).await;
    inbox.set(&[("inbox/a", "1"), ("inbox/b", "2"), ("inbox/new", "1")]);
    until("two more", async || count(&engine, "inbox").await >= 4).await;
    // a store that is away for a while is told of, and forgets nothing
    inbox.is_gone();
    until("the error", async || error_of(&engine, "inbox").await.is_some()).await;
    assert!(error_of(&engine, "inbox").await.unwrap().contains("the store is away"));
    inbox.set(&[("inbox/a", "1"), ("inbox/b", "2"), ("inbox/new", "1")]);
    until("the store", async || error_of(&engine, "inbox").await.is_none()).await;
    first.into_iter().for_each(|scheduler| scheduler.abort());
    // applied again by another process
    engine.apply(INBOX).await;
    engine.looking(inbox.clone());
    engine.looking(inbox.clone());
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(sources(&engine).await, ["inbox/a", "inbox/b", "inbox/b", "inbox/new"]);

    // what has gone is forgotten, and is new when it comes again
    inbox.set(&[("inbox/b", "2")]);
    until("the memory of b alone", async || {
        let seen: i64 = sqlx::query_scalar("select count(*) from schedule.seen_object")
            .fetch_one(&mut engine.connection().await)
            .await
            .unwrap();
        seen == 1
    })
    .await;
    inbox.set(&[("inbox/b", "2"), ("inbox/a", "1")]);
    until("a again", async || count(&engine, "inbox").await == 5).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_whose_run_cannot_start_is_told_of_and_stops_no_other() {
    let engine = Engine::set_up(0).await;
    let inbox = Inbox::with(&[("inbox/a", "1"), ("inbox/bad", "x"), ("inbox/c", "1")]);
    engine
        .apply(&INBOX.replace("'${event.size}'", "'${event.version == \"x\" ? event.version : event.size}'"))
        .await;
    engine.looking(inbox.clone());
    until("two runs", async || count(&engine, "inbox").await == 2).await;
    until("the error", async || error_of(&engine, "inbox").await.is_some_and(|error| error.contains("size")))
        .await;
    assert_eq!(sources(&engine).await, ["inbox/a", "inbox/c"]);
    // a version that can take it does
    engine.apply(INBOX).await;
    until("the third run", async || count(&engine, "inbox").await == 3).await;
    until("no error", async || error_of(&engine, "inbox").await.is_none()).await;
    assert_eq!(sources(&engine).await, ["inbox/a", "inbox/bad", "inbox/c"]);
    engine.stop().await;
}

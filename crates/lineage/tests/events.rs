//! Events as receivers see them.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::Value;
use tale_lineage::{EventFile, Namespaces, Refusal, Telling, Transport, events};
use tale_primitives::{AttemptId, Digest, RunId, TaskId};
use tale_queue::{News, RunNews, keep_run_news};
use tale_storage::{LineageObject, ObjectRole, Production};
use tale_testkit::TestDatabase;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// The committed events, which infra/check-openlineage.py holds against the reference client too.
const COMMITTED: &str = include_str!("events.jsonl");

fn names() -> Namespaces {
    Namespaces { jobs: "taleworks".to_owned(), data: "s3://tale/objects".to_owned() }
}

fn object(role: ObjectRole, seed: &str, name: Option<&str>, source: Option<&str>) -> LineageObject {
    LineageObject {
        digest: Some(Digest::of(seed)),
        name: name.map(str::to_owned),
        artifact: source.map(|_| 7),
        media_type: None,
        source: source.map(str::to_owned),
        size_bytes: Some(seed.len() as i64),
        role,
    }
}

fn production(
    attempt: i64,
    step: &str,
    inputs: Vec<LineageObject>,
    outputs: Vec<LineageObject>,
) -> Production {
    Production {
        attempt: AttemptId::from_raw(attempt),
        task: TaskId::from_raw(attempt),
        run: run(1),
        pipeline: "round".to_owned(),
        step: step.to_owned(),
        index: 0,
        kind: "learning.train".to_owned(),
        started_at: "2026-11-23T00:00:01Z".parse().unwrap(),
        produced_at: "2026-11-23T00:00:02.5Z".parse().unwrap(),
        is_cut: false,
        inputs,
        outputs,
    }
}

fn run(number: u8) -> RunId {
    format!("0193a000-0000-7000-8000-0000000000{number:02}").parse().unwrap()
}

fn news(news: News) -> RunNews {
    RunNews {
        id: 1,
        run: run(1),
        pipeline: "round".to_owned(),
        news,
        at: "2026-11-23T00:00:03Z".parse().unwrap(),
        started_at: "2026-11-23T00:00:00Z".parse().unwrap(),
        fire_time: Some("2026-11-23T00:00:00Z".parse().unwrap()),
        parent: Some((run(2), "training".to_owned())),
        error: (news == News::Failed).then(|| "it broke".to_owned()),
    }
}

/// Every kind of event there is.
fn all() -> Vec<Value> {
    let (read, written) = (ObjectRole::Read, ObjectRole::Written);
    let path =
        LineageObject { digest: None, size_bytes: None, ..object(read, "", Some("inbox/day.parquet"), None) };
    let productions = [
        production(
            4,
            "train",
            vec![object(read, "images", Some("fashion"), None), path],
            vec![object(written, "update", None, None)],
        ),
        production(
            5,
            "publish",
            vec![object(ObjectRole::Argument, "update", None, None)],
            vec![object(written, "model", Some("model"), Some("round.publish"))],
        ),
    ];
    [
        events(&names(), &news(News::Started), &[]),
        events(&names(), &news(News::Succeeded), &productions),
        events(&names(), &news(News::Failed), &[]),
        events(&names(), &news(News::Cancelled), &[]),
    ]
    .concat()
}

#[test]
fn every_event_is_as_the_specification_requires() {
    let schema: Value = serde_json::from_str(include_str!("OpenLineage.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    for event in all() {
        let errors: Vec<String> = schema.iter_errors(&event).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?} in {event:#}");
    }
}

#[test]
fn the_committed_events_are_those_that_are_told() {
    let told: String = all().iter().map(|event| format!("{event}\n")).collect();
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        told == COMMITTED.replace("VERSION", version),
        "crates/lineage/tests/events.jsonl should be:\n{}",
        told.replace(version, "VERSION")
    );
}

#[test]
fn a_run_tells_what_came_from_outside_and_what_it_published() {
    let events = all();
    let types: Vec<&str> = events.iter().map(|event| event["eventType"].as_str().unwrap()).collect();
    // its tasks' in between, before its end
    assert_eq!(types, ["START", "START", "COMPLETE", "START", "COMPLETE", "COMPLETE", "FAIL", "ABORT"]);
    let end = &events[5];
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|data| data["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&end["inputs"]), ["fashion", "inbox/day.parquet"]);
    assert_eq!(names(&end["outputs"]), ["round.publish.model"]);
    assert_eq!(end["run"]["runId"], run(1).to_string());
    assert_eq!(events[1]["run"]["facets"]["parent"]["run"]["runId"], run(1).to_string());
    assert_eq!(events[1]["run"]["runId"], events[2]["run"]["runId"]);
    assert_ne!(events[1]["run"]["runId"], events[3]["run"]["runId"]);
}

/// A receiver that does not take every third event at once, and never the kind that it dislikes.
#[derive(Default)]
struct Moody {
    asked: Mutex<u32>,
    taken: Mutex<Vec<(String, String)>>,
}

#[async_trait]
impl Transport for Moody {
    async fn tell(&self, event: &Value) -> Result<(), Refusal> {
        let mut asked = self.asked.lock().await;
        *asked += 1;
        if *asked % 3 == 0 {
            return Err(Refusal::Later("not now".to_owned()));
        }
        if event["eventType"] == "ABORT" {
            return Err(Refusal::Never("400".to_owned()));
        }
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        self.taken.lock().await.push((word(&event["run"]["runId"]), word(&event["eventType"])));
        Ok(())
    }
}

const RUN: &str = "
    with version as (
        insert into queue.pipeline_version (name, digest, spec) values ('p', sha256('p'), '{}')
        on conflict (name, digest) do update set name = excluded.name returning id
    )
    insert into queue.run (id, version_id, pipeline, params, logical_date, trigger, open_steps)
    select $1::uuid, v.id, 'p', '{}', '2026-11-23', 'a test', 0 from version v";
const END: &str = "update queue.run set state = $2::queue.run_state, finished_at = clock_timestamp(), failed_steps = ($2 = 'failed')::int where id = $1";

#[tokio::test]
async fn news_are_kept_with_their_change_told_in_order_at_least_once_and_only_where_somebody_wants_them() {
    let database = TestDatabase::create().await;
    let mut connection = database.connection().await;
    let count = "select count(*) from queue.run_news";
    // nobody wants to know
    sqlx::query(RUN).bind(run(9).raw()).execute(&mut connection).await.unwrap();
    assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&mut connection).await.unwrap(), 0);
    assert!(keep_run_news(&mut connection, true).await.unwrap());
    assert!(!keep_run_news(&mut connection, true).await.unwrap());
    // what is rolled back did not happen
    sqlx::query("begin").execute(&mut connection).await.unwrap();
    sqlx::query(RUN).bind(run(8).raw()).execute(&mut connection).await.unwrap();
    sqlx::query("rollback").execute(&mut connection).await.unwrap();
    for (number, state) in [(1, "succeeded"), (2, "failed"), (3, "cancelled")] {
        sqlx::query(RUN).bind(run(number).raw()).execute(&mut connection).await.unwrap();
        sqlx::query(END).bind(run(number).raw()).bind(state).execute(&mut connection).await.unwrap();
    }
    assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&mut connection).await.unwrap(), 6);

    let receiver = Arc::new(Moody::default());
    let stop = CancellationToken::new();
    // two processes
    let telling: Vec<_> = (0..2)
        .map(|_| {
            let transport: Arc<dyn Transport> = receiver.clone();
            let telling = Telling { database: database.pool().clone(), names: names(), transport };
            tokio::spawn(telling.run(stop.clone()))
        })
        .collect();
    for _ in 0..600 {
        if sqlx::query_scalar::<_, i64>(count).fetch_one(&mut connection).await.unwrap() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    for telling in telling {
        telling.await.unwrap();
    }
    let mut told: HashMap<String, Vec<String>> = HashMap::new();
    for (run, event) in receiver.taken.lock().await.drain(..) {
        told.entry(run).or_default().push(event);
    }
    let expected = [(1, vec!["START", "COMPLETE"]), (2, vec!["START", "FAIL"]), (3, vec!["START"])];
    for (number, events) in expected {
        assert_eq!(told.remove(&run(number).to_string()).unwrap(), events);
    }
    assert!(told.is_empty(), "{told:?}");
    assert!(keep_run_news(&mut connection, false).await.unwrap());
}

#[tokio::test]
async fn a_file_gets_a_line_for_each_event() {
    let directory = tale_testkit::tempdir();
    let path = directory.path().join("events.jsonl");
    let file = EventFile(path.clone());
    for event in all() {
        file.tell(&event).await.unwrap();
    }
    let lines = std::fs::read_to_string(path).unwrap();
    let read: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, all());
}

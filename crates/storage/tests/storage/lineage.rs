//! Lineage: what was read and written, and the way from one to the other.

use sqlx::{Connection, PgConnection};
use tale_primitives::{AttemptId, Digest, RunId, TaskId};
use tale_storage::{
    Direction, NewArtifact, NewProduction, ObjectRef, ObjectRole, Store, Touched, Touches, Traffic,
    find_objects, publish_artifacts, record_production, run_productions, walk_lineage,
};
use tale_testkit::TestDatabase;

fn digest(text: &str) -> Digest {
    Digest::of(text)
}

fn touched(role: ObjectRole, text: &str) -> Touched {
    Touched { role, digest: Some(digest(text)), name: None, size_bytes: Some(1) }
}

async fn produce(conn: &mut PgConnection, number: i64, inputs: &[&str], outputs: &[&str]) -> RunId {
    let run = RunId::generate();
    let inputs = inputs.iter().map(|text| touched(ObjectRole::Read, text));
    let outputs = outputs.iter().map(|text| touched(ObjectRole::Written, text));
    let production = NewProduction {
        run,
        task: TaskId::from_raw(number),
        attempt: AttemptId::from_raw(number),
        pipeline: "p".to_owned(),
        step: format!("s{number}"),
        index: 0,
        kind: "test".to_owned(),
        took_seconds: 1.5,
        touches: Touches { objects: inputs.chain(outputs).collect(), is_cut: false },
    };
    record_production(conn, &production).await.unwrap();
    run
}

#[tokio::test]
async fn what_is_done_through_an_observed_store_is_remembered_once_and_reading_back_is_no_input() {
    let directory = tale_testkit::tempdir();
    let store = Store::open(&format!("file://{}", directory.path().display())).unwrap();
    let before = store.put("before".into()).await.unwrap();
    let traffic = Traffic::default();
    let observed = store.observed(&traffic);
    assert!(traffic.is_quiet());
    for _ in 0..2 {
        observed.get(&before).await.unwrap();
        let own = observed.put("own".into()).await.unwrap();
        observed.get(&own).await.unwrap();
    }
    drop(observed.reader(&["inbox/a.parquet".to_owned(), ObjectRef::of(b"x").key()]));
    store.get(&before).await.unwrap();
    let touches = traffic.touches();
    assert!(!touches.is_cut);
    let mut found: Vec<_> = touches
        .objects
        .iter()
        .map(|touched| (touched.role, touched.digest, touched.name.as_deref()))
        .collect();
    let mut expected = vec![
        (ObjectRole::Read, Some(digest("before")), None),
        (ObjectRole::Read, Some(digest("x")), None),
        (ObjectRole::Written, Some(digest("own")), None),
        (ObjectRole::Read, None, Some("inbox/a.parquet")),
    ];
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert!(observed.get(&ObjectRef::of(b"missing")).await.is_err());
    assert_eq!(traffic.touches(), touches, "what could not be read was not read");
}

#[tokio::test]
async fn a_walk_goes_up_and_down_as_far_as_it_may_and_a_circle_ends_it() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    produce(&mut conn, 1, &["raw"], &["clean"]).await;
    produce(&mut conn, 2, &["clean", "base"], &["model"]).await;
    let run = produce(&mut conn, 3, &["model"], &["report", "base"]).await;
    let steps = async |conn: &mut PgConnection, object: &str, direction, depth| {
        let walk = walk_lineage(conn, digest(object), direction, depth).await.unwrap();
        let mut steps: Vec<String> = walk.productions.into_iter().map(|production| production.step).collect();
        steps.sort();
        (steps, walk.is_cut)
    };
    let names = |steps: &[&str]| steps.iter().map(|step| (*step).to_owned()).collect::<Vec<_>>();
    // base is made from model, and model from base
    assert_eq!(steps(&mut conn, "report", Direction::Up, 10).await, (names(&["s1", "s2", "s3"]), false));
    assert_eq!(steps(&mut conn, "raw", Direction::Down, 10).await, (names(&["s1", "s2", "s3"]), false));
    assert_eq!(steps(&mut conn, "report", Direction::Up, 1).await, (names(&["s3"]), true));
    assert_eq!(steps(&mut conn, "raw", Direction::Up, 5).await, (vec![], false));
    let productions = run_productions(&mut conn, run, 10).await.unwrap();
    assert_eq!((productions.len(), productions[0].inputs.len(), productions[0].outputs.len()), (1, 1, 2));
    let took = productions[0].produced_at - productions[0].started_at;
    assert_eq!(took.num_milliseconds(), 1500);
}

#[tokio::test]
async fn an_object_is_found_by_its_artifacts_number_its_name_or_the_beginning_of_its_digest() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    for (task, bytes) in [(1, "old"), (2, "new")] {
        let artifact = NewArtifact {
            name: "model".to_owned(),
            media_type: "text/plain".to_owned(),
            object: ObjectRef::of(bytes.as_bytes()),
        };
        publish_artifacts(
            &mut conn,
            RunId::generate(),
            TaskId::from_raw(task),
            AttemptId::from_raw(task),
            &[artifact],
        )
        .await
        .unwrap();
    }
    let (old, new) = (digest("old"), digest("new"));
    assert_eq!(find_objects(&mut conn, "model").await.unwrap(), [(new, "artifact 2".to_owned())]);
    assert_eq!(find_objects(&mut conn, "1").await.unwrap(), [(old, "artifact 1".to_owned())]);
    for text in [old.to_string(), old.to_string()[..6].to_owned(), old.to_string()[..9].to_uppercase()] {
        assert_eq!(find_objects(&mut conn, &text).await.unwrap()[0].0, old);
    }
    for text in ["", "nothing", &old.to_string()[..5], "%", "ffffff'"] {
        assert!(find_objects(&mut conn, text).await.unwrap().is_empty(), "{text:?}");
    }
}

#[tokio::test]
async fn what_a_loser_touched_goes_with_its_transaction() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    let mut loser = conn.begin().await.unwrap();
    produce(&mut loser, 1, &["raw"], &["clean"]).await;
    loser.rollback().await.unwrap();
    let walk = walk_lineage(&mut conn, digest("clean"), Direction::Up, 10).await.unwrap();
    assert!(walk.productions.is_empty());
}

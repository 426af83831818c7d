//! Artifacts exist through the acknowledgement that won, and through nothing else.

use sqlx::Connection;
use tale_primitives::{AttemptId, RunId, TaskId};
use tale_storage::{NewArtifact, ObjectRef, StorageError, list_artifacts, publish_artifacts};
use tale_testkit::TestDatabase;

fn artifact(name: &str) -> NewArtifact {
    NewArtifact {
        name: name.to_owned(),
        media_type: "application/octet-stream".to_owned(),
        object: ObjectRef::of(name.as_bytes()),
    }
}

#[tokio::test]
async fn what_a_winner_publishes_is_listed_by_task_and_name() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    let (run, other) = (RunId::generate(), RunId::generate());
    let (later, earlier) = (TaskId::from_raw(2), TaskId::from_raw(1));
    publish_artifacts(&mut conn, run, later, AttemptId::from_raw(-5), &[artifact("b"), artifact("a")])
        .await
        .unwrap();
    publish_artifacts(&mut conn, run, earlier, AttemptId::from_raw(9), &[artifact("c")]).await.unwrap();
    publish_artifacts(&mut conn, other, TaskId::from_raw(3), AttemptId::from_raw(1), &[artifact("d")])
        .await
        .unwrap();
    publish_artifacts(&mut conn, run, TaskId::from_raw(4), AttemptId::from_raw(1), &[]).await.unwrap();

    let listed = list_artifacts(&mut conn, run).await.unwrap();
    let names: Vec<_> = listed.iter().map(|artifact| (artifact.task.raw(), artifact.name.as_str())).collect();
    assert_eq!(names, [(1, "c"), (2, "a"), (2, "b")]);
    assert_eq!(listed[1].object, ObjectRef::of(b"a"));
    assert_eq!(listed[1].attempt, AttemptId::from_raw(-5));
    assert_eq!(listed[1].media_type, "application/octet-stream");
}

#[tokio::test]
async fn what_a_loser_publishes_goes_with_its_transaction() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    let run = RunId::generate();
    let mut loser = conn.begin().await.unwrap();
    publish_artifacts(&mut loser, run, TaskId::from_raw(1), AttemptId::from_raw(1), &[artifact("model")])
        .await
        .unwrap();
    loser.rollback().await.unwrap();
    assert_eq!(list_artifacts(&mut conn, run).await.unwrap(), []);
}

#[tokio::test]
async fn a_task_publishes_a_name_once() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    let (run, task) = (RunId::generate(), TaskId::from_raw(1));
    publish_artifacts(&mut conn, run, task, AttemptId::from_raw(1), &[artifact("model")]).await.unwrap();
    let again = publish_artifacts(&mut conn, run, task, AttemptId::from_raw(2), &[artifact("model")]).await;
    assert!(
        matches!(again, Err(StorageError::ArtifactExists { task: refused }) if refused == task),
        "{again:?}"
    );
    let twice = [artifact("loss"), artifact("loss")];
    let twice = publish_artifacts(&mut conn, run, TaskId::from_raw(2), AttemptId::from_raw(2), &twice).await;
    assert!(matches!(twice, Err(StorageError::ArtifactExists { .. })), "{twice:?}");
}

#[tokio::test]
async fn a_name_or_a_media_type_out_of_form_is_refused() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    let nameless = artifact("");
    let typeless = NewArtifact { media_type: "anything".to_owned(), ..artifact("model") };
    for refused in [nameless, typeless] {
        let run = RunId::generate();
        let outcome =
            publish_artifacts(&mut conn, run, TaskId::from_raw(1), AttemptId::from_raw(1), &[refused]).await;
        assert!(matches!(outcome, Err(StorageError::InvalidArtifact { .. })), "{outcome:?}");
    }
}

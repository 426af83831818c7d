//! What attempts read and wrote.

use serde_json::json;
use tale_primitives::Digest;
use tale_queue::{NewStep, RunState};
use tale_storage::{Direction, walk_lineage};

use crate::plant::{Plant, settings, step};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_winning_acknowledgement_records_what_its_attempt_read_and_wrote() {
    let plant = Plant::set_up().await;
    let worker = plant.work(settings());
    let raw = plant.store.put("raw".into()).await.unwrap();
    let run = plant.start("test.copies", vec![json!({ "from": raw, "more": "+" })]).await;
    assert_eq!(plant.end_of(run).await.state, RunState::Succeeded);
    let mut conn = plant.pool.acquire().await.unwrap();
    let walk = walk_lineage(&mut conn, Digest::of("raw+"), Direction::Up, 3).await.unwrap();
    assert_eq!(walk.productions.len(), 1);
    let made = &walk.productions[0];
    assert_eq!((made.run, made.step.as_str(), made.kind.as_str()), (run, "only", "test.copies"));
    // the arguments name what it read, and it is listed once
    assert_eq!(made.inputs.iter().map(|input| input.digest).collect::<Vec<_>>(), [Some(raw.digest)]);
    assert_eq!(made.outputs[0].name.as_deref(), Some("copy"));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_touch_no_object_record_nothing_and_neither_do_attempts_that_fail() {
    let plant = Plant::set_up().await;
    let worker = plant.work(settings());
    let quiet = plant.start("test.echo", vec![json!({ "word": "hush" }); 5]).await;
    let missing = json!({ "digest": Digest::of("missing"), "size_bytes": 7 });
    let failing =
        NewStep { kind: "test.copies".to_owned(), ..step(vec![json!({ "from": missing, "more": "" })]) };
    let failing = plant.start_step(failing).await;
    plant.end_of(quiet).await;
    assert_eq!(plant.end_of(failing).await.state, RunState::Failed);
    let count: i64 =
        sqlx::query_scalar("select count(*) from storage.production").fetch_one(&plant.pool).await.unwrap();
    assert_eq!(count, 0);
    worker.stop().await;
}

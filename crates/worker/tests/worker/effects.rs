use serde_json::json;
use tale_queue::{NewStep, Retry, RunState};
use tale_storage::list_artifacts;

use crate::plant::{Plant, settings, step};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn effects_commit_with_the_acknowledgement() {
    let plant = Plant::set_up().await;
    let worker = plant.work(settings());
    let run = plant.start("test.changes", vec![json!({}); 20]).await;
    assert_eq!(plant.end_of(run).await.state, RunState::Succeeded);
    assert_eq!(plant.effects().await, 20);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn effects_of_a_lost_attempt_roll_back() {
    let plant = Plant::set_up().await;
    let worker = plant.work(settings());
    let run = plant.start("test.changes", vec![json!({ "milliseconds": 1500 })]).await;
    plant.until_running(run).await;
    // the next heartbeat is seconds away: the attempt ends without having heard of its loss
    plant.steal_leases().await;
    tokio::time::sleep(std::time::Duration::from_millis(2000)).await;
    assert_eq!(plant.effects().await, 0);
    let report = plant.report(run).await;
    assert_eq!((report.state, report.tasks[0].state.as_str()), (RunState::Running, "queued"));
    assert_eq!(report.tasks[0].crashes, 1);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_effect_that_refuses_fails_its_task_and_leaves_nothing() {
    let plant = Plant::set_up().await;
    let worker = plant.work(settings());
    let retry = Retry { attempts_max: 3, backoff_base_ms: 0, backoff_cap_ms: 0 };
    let refused =
        NewStep { kind: "test.changes".to_owned(), retry, ..step(vec![json!({ "refuses": true })]) };
    let report = plant.end_of(plant.start_step(refused).await).await;
    assert_eq!((report.state, report.tasks[0].attempts), (RunState::Failed, 1));
    assert_eq!(report.tasks[0].error.as_deref(), Some("the books are closed"));
    assert_eq!(plant.effects().await, 0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn artifacts_appear_with_the_acknowledgement_and_not_before() {
    let plant = Plant::set_up().await;
    let worker = plant.work(settings());
    let run = plant.start("test.makes", vec![json!({ "milliseconds": 500 })]).await;
    plant.until_running(run).await;
    let mut connection = plant.pool.acquire().await.unwrap();
    assert!(list_artifacts(&mut connection, run).await.unwrap().is_empty());
    plant.end_of(run).await;
    let artifacts = list_artifacts(&mut connection, run).await.unwrap();
    assert_eq!((artifacts.len(), artifacts[0].name.as_str()), (1, "thing"));
    assert_eq!(plant.store.get(&artifacts[0].object).await.unwrap(), "made");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn artifacts_of_a_lost_attempt_never_appear() {
    let plant = Plant::set_up().await;
    let worker = plant.work(settings());
    let run = plant.start("test.makes", vec![json!({ "milliseconds": 1000 })]).await;
    plant.until_running(run).await;
    plant.steal_leases().await;
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    let mut connection = plant.pool.acquire().await.unwrap();
    assert!(list_artifacts(&mut connection, run).await.unwrap().is_empty());
    worker.stop().await;
}

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use serde_json::json;
use tale_database::{DataDirectory, EmbeddedCluster};
use tale_queue::{RunState, list_workers, reap};
use tale_worker::WorkerSettings;

use crate::{
    kinds::OBEDIENT,
    plant::{Plant, settings},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_was_lost_is_told_to_stop() {
    let plant = Plant::set_up().await;
    let worker = plant.work(WorkerSettings { lease: Duration::from_secs(1), ..settings() });
    let run = plant.start("test.obeys", vec![json!({})]).await;
    plant.until_running(run).await;
    plant.steal_leases().await;
    plant.until("the computation has noticed", async || OBEDIENT.load(Ordering::SeqCst) > 0).await;
    let report = plant.report(run).await;
    assert_eq!((report.tasks[0].attempts, report.tasks[0].crashes), (0, 1));
    let outcomes: Vec<&str> = report.attempts.iter().map(|attempt| attempt.outcome.as_str()).collect();
    assert_eq!(outcomes, ["lost"], "a lost attempt is not handed back as well");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_keep_a_task_that_outlives_several_leases() {
    let plant = Plant::set_up().await;
    let lease = Duration::from_secs(1);
    let worker = plant.work(WorkerSettings { lease, ..settings() });
    let run = plant.start("test.sleeps", vec![json!({ "milliseconds": 4000 })]).await;
    let report = tokio::select! {
        report = plant.end_of(run) => report,
        () = async {
            loop {
                let mut connection = plant.pool.acquire().await.unwrap();
                reap(&mut connection, lease, 3).await.unwrap();
                drop(connection);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        } => unreachable!("it reaps for ever"),
    };
    assert_eq!((report.state, report.attempts.len()), (RunState::Succeeded, 1));
    assert_eq!(report.tasks[0].crashes, 0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_worker_hands_back_what_does_not_finish_in_time() {
    let plant = Plant::set_up().await;
    let worker = plant.work(settings());
    let long = plant.start("test.sleeps", vec![json!({ "milliseconds": 60_000 })]).await;
    plant.until_running(long).await;
    let stopping = Instant::now();
    worker.stop().await;
    assert!(stopping.elapsed() < Duration::from_secs(5), "{:?}", stopping.elapsed());
    let report = plant.report(long).await;
    assert_eq!((report.tasks[0].state.as_str(), report.tasks[0].attempts), ("queued", 0));
    assert_eq!(report.attempts[0].outcome, "released");
    let mut connection = plant.pool.acquire().await.unwrap();
    assert!(list_workers(&mut connection).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_worker_finishes_what_it_can_and_claims_nothing_more() {
    let plant = Plant::set_up().await;
    let worker = plant.work(WorkerSettings { grace: Duration::from_secs(20), slots: 1, ..settings() });
    let run = plant.start("test.sleeps", vec![json!({ "milliseconds": 500 }); 2]).await;
    plant
        .until("one task runs", async || {
            plant.report(run).await.tasks.iter().any(|task| task.state == "running")
        })
        .await;
    let stopping = Instant::now();
    worker.stop().await;
    assert!(stopping.elapsed() < Duration::from_secs(10), "the grace period is not waited for in vain");
    let mut states: Vec<String> = plant.report(run).await.tasks.into_iter().map(|task| task.state).collect();
    states.sort();
    assert_eq!(states, ["queued", "succeeded"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_database_loses_nothing_and_repeats_nothing() {
    let home = tempfile::Builder::new().prefix("tale-test-").tempdir_in("/tmp").unwrap();
    let directory = DataDirectory::open(home.path()).unwrap();
    let mut cluster = EmbeddedCluster::start(&directory).await.unwrap();
    let pool = tale_database::connect(cluster.url(), 10).await.unwrap();
    tale_database::migrate(&pool).await.unwrap();
    let plant = Plant::over(pool).await;
    let worker = plant.work(settings());
    let run = plant.start("test.changes", vec![json!({ "milliseconds": 100 }); 60]).await;
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        cluster.restart().await.unwrap();
    }
    let report = plant.end_of(run).await;
    assert_eq!(report.state, RunState::Succeeded);
    assert!(report.tasks.iter().all(|task| task.attempts == 0), "an outage is nobody's failure");
    assert_eq!(plant.effects().await, 60);
    worker.stop().await;
    plant.pool.close().await;
    cluster.stop().await.unwrap();
}

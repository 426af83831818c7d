//! Pains of the field that are a worker's: the others are among the laws of the queue and the tests of schedules.

use std::time::Duration;

use serde_json::json;
use sqlx::Row;
use tale_queue::{RunState, reap};
use tale_worker::WorkerSettings;

use crate::plant::{Plant, settings};

/// Reaps as a scheduler does, for ever.
async fn reap_always(plant: &Plant, lease: Duration) {
    loop {
        let mut connection = plant.pool.acquire().await.unwrap();
        reap(&mut connection, lease, 3).await.unwrap();
        drop(connection);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pain_2_tasks_claimed_in_advance_that_turn_out_long_run_once_each_with_heartbeats_going_on() {
    let plant = Plant::set_up().await;
    let lease = Duration::from_secs(1);
    // short ones first, so that many are claimed in advance; then ones that outlive the lease while others wait
    let durations = [vec![0; 200], vec![700; 6]].concat();
    let arguments = durations.iter().map(|milliseconds| json!({ "milliseconds": milliseconds })).collect();
    let one = plant.work(WorkerSettings { lease, slots: 1, ..settings() });
    let other = plant.work(WorkerSettings { lease, slots: 1, ..settings() });
    let run = plant.start("test.sleeps", arguments).await;
    let report = tokio::select! {
        report = plant.end_of(run) => report,
        () = reap_always(&plant, lease) => unreachable!("it reaps for ever"),
    };
    assert_eq!(report.state, RunState::Succeeded);
    let ended = report.attempts.iter().filter(|attempt| attempt.outcome != "released").count();
    assert_eq!(
        ended, 206,
        "every task has one attempt that ended, beside those that were handed back unstarted"
    );
    assert!(report.tasks.iter().all(|task| task.crashes == 0));
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pain_8_idle_workers_hardly_touch_the_database() {
    let plant = Plant::set_up().await;
    let workers: Vec<_> = (0..5).map(|_| plant.work(settings())).collect();
    let transactions = async || {
        let counted =
            sqlx::query("select xact_commit from pg_stat_database where datname = current_database()");
        counted.fetch_one(&plant.pool).await.unwrap().get::<i64, _>(0)
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = transactions().await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let per_second = (transactions().await - before) / 4;
    // a look every quarter of a second and a heartbeat each, with room for a machine that is slow to count
    assert!(per_second < 75, "{per_second} transactions per second");
    for worker in workers {
        worker.stop().await;
    }
}

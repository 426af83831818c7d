use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tale_queue::{NewStep, Resources, RunState};
use tale_worker::{Completion, Kind, KindRegistry, TaskContext, TaskError, WorkerSettings};

use crate::plant::{Plant, settings, step};

static RUNNING: AtomicU32 = AtomicU32::new(0);
static MOST: AtomicU32 = AtomicU32::new(0);

#[derive(Deserialize, JsonSchema)]
struct Takes {
    milliseconds: u64,
}

/// Notes how many run at a time; each test has a process of its own.
struct Crowds;

impl Kind for Crowds {
    const NAME: &'static str = "test.crowds";
    const SUMMARY: &'static str = "Counts itself while it runs.";
    type Arguments = Takes;
    type Outputs = ();

    async fn run(_: TaskContext, arguments: Takes) -> Result<Completion<()>, TaskError> {
        MOST.fetch_max(RUNNING.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(arguments.milliseconds)).await;
        RUNNING.fetch_sub(1, Ordering::SeqCst);
        Ok(Completion::of(()))
    }
}

fn crowding(tasks: usize, milliseconds: u64, asks: Resources) -> NewStep {
    NewStep {
        kind: "test.crowds".to_owned(),
        asks,
        ..step(vec![json!({ "milliseconds": milliseconds }); tasks])
    }
}

fn has(cpu_millis: u32, gpus: u32) -> Option<Resources> {
    Some(Resources { cpu_millis, gpus, ..Resources::default() })
}

fn cpus(cpu_millis: u32) -> Resources {
    Resources { cpu_millis, ..Resources::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_runs_as_many_tasks_at_a_time_as_its_resources_allow_and_starts_the_next_as_one_ends() {
    let plant = Plant::set_up().await;
    let has = has(2_000, 0);
    // it looks for tasks by itself so seldom that the next one starts because the one before has ended
    let settings = WorkerSettings { slots: 8, has, poll: Duration::from_secs(60), ..settings() };
    let run = plant.start_step(crowding(12, 50, cpus(1_000))).await;
    let worker = plant.work_with(settings, KindRegistry::default().with::<Crowds>());
    assert_eq!(plant.end_of(run).await.state, RunState::Succeeded);
    assert_eq!(MOST.load(Ordering::SeqCst), 2);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_with_a_gpu_holds_nothing_in_advance_whatever_its_pool_is_called() {
    let plant = Plant::set_up().await;
    let settings = WorkerSettings { slots: 3, has: has(4_000, 1), ..settings() };
    let worker = plant.work_with(settings, KindRegistry::default().with::<Crowds>());
    // fewer than are counted by tallies, which a scheduler would fold
    let run = plant.start_step(crowding(200, 0, Resources::default())).await;
    let mut most = 0;
    plant
        .until("the run ends", async || {
            let held: i64 =
                sqlx::query_scalar("select count(*) from queue.lease").fetch_one(&plant.pool).await.unwrap();
            most = most.max(held);
            plant.report(run).await.state == RunState::Succeeded
        })
        .await;
    assert!(most <= 3, "{most} were held by a worker of 3 slots");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_ask_for_nothing_and_tasks_that_ask_share_a_worker() {
    let plant = Plant::set_up().await;
    let settings = WorkerSettings { slots: 4, has: has(1_000, 0), ..settings() };
    let worker = plant.work_with(settings, KindRegistry::default().with::<Crowds>());
    let free = plant.start_step(crowding(200, 1, Resources::default())).await;
    let asking = plant.start_step(crowding(10, 5, cpus(600))).await;
    for run in [free, asking] {
        assert_eq!(plant.end_of(run).await.state, RunState::Succeeded);
    }
    assert!(MOST.load(Ordering::SeqCst) <= 4);
    worker.stop().await;
}

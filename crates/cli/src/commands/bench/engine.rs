//! The product's own scheduler and workers, in this process.

use serde_json::{Map, Value};
use sqlx::PgPool;
use tale_pipeline::PipelineSpec;
use tale_primitives::UtcDay;
use tale_queue::{Priority, Wake};
use tale_scheduler::{Scheduler, SchedulerSettings, Trigger};
use tale_storage::Store;
use tale_worker::{KindRegistry, Worker, WorkerError, WorkerSettings};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::shape::POOL;
use crate::failure::Failure;

/// Connections of the measured process, beside those of more than one worker.
pub const CONNECTIONS: u32 = 16;

/// What runs while something is measured.
pub struct Engine {
    stop: CancellationToken,
    /// Wake-ups, for whoever starts runs in this process.
    pub wake: Wake,
    scheduler: JoinHandle<()>,
    workers: Vec<JoinHandle<Result<(), WorkerError>>>,
    _objects: tempfile::TempDir,
}

impl Engine {
    /// Starts a scheduler, and a worker for each of `slots`.
    pub fn start(database: &PgPool, kinds: KindRegistry, slots: &[u32]) -> Result<Self, Failure> {
        let objects = tempfile::tempdir()?;
        let url = url::Url::from_directory_path(objects.path())
            .map_err(|()| Failure::new("the temporary directory is not absolute"))?;
        let store = Store::open(url.as_str())?;
        let stop = CancellationToken::new();
        let wake = Wake::start(database.clone());
        let scheduler = Scheduler {
            database: database.clone(),
            settings: SchedulerSettings::default(),
            wake: wake.clone(),
        };
        let worker = |slots: &u32| {
            let worker = Worker {
                database: database.clone(),
                store: store.clone(),
                kinds: kinds.clone(),
                settings: WorkerSettings::new(POOL, *slots),
                wake: wake.clone(),
            };
            tokio::spawn(worker.run(stop.clone()))
        };
        Ok(Self {
            scheduler: tokio::spawn(scheduler.run(stop.clone())),
            workers: slots.iter().map(worker).collect(),
            stop,
            wake,
            _objects: objects,
        })
    }

    /// Stops all of them.
    pub async fn stop(self) -> Result<(), Failure> {
        self.stop.cancel();
        for worker in self.workers {
            match worker.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(Failure::of(&error)),
                Err(error) => return Err(Failure::new(format!("the worker stopped: {error}"))),
            }
        }
        let _ = self.scheduler.await;
        Ok(())
    }
}

/// What starts a run of a measured pipeline.
pub fn trigger(spec: &PipelineSpec, params: Map<String, Value>) -> Trigger {
    Trigger {
        pipeline: spec.name.to_string(),
        params,
        dedup_key: None,
        logical_date: UtcDay::of(chrono::Utc::now()),
        fire_time: None,
        priority: Priority::Normal,
        started_by: "tale bench".to_owned(),
        reason: None,
        uses_cache: true,
    }
}

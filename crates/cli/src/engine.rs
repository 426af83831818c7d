//! A scheduler and a worker in this process.

use std::{error::Error, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use tale_queue::{Resources, SharedArchive, Wake};
use tale_scheduler::{Folders, FoundObject, Scheduler, SchedulerMeters, SchedulerSettings, Watched};
use tale_storage::Store;
use tale_tasks::kinds;
use tale_telemetry::Metrics;
use tale_worker::{SecretSources, StoreArchive, Worker, WorkerError, WorkerMeters, WorkerSettings};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{failure::Failure, installation::Installation};

/// How the engine works.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// The pools that this process works for, with the slots of each.
    pub pools: Vec<(String, u32)>,
    /// What the tasks of each of its workers may use together.
    pub has: Resources,
    /// Whether it schedules too.
    pub scheduler: bool,
    /// Whether that scheduler fires schedules.
    pub schedules: bool,
    /// How long a silent worker keeps its tasks.
    pub lease: Duration,
    /// How long running tasks may go on after a stop was asked for.
    pub grace: Duration,
    /// Where workers find secrets beside the environment.
    pub secrets_dir: Option<PathBuf>,
    /// How many bytes of an attempt's log are kept.
    pub log_bytes_max: u64,
    /// Where it measures itself.
    pub metrics: Option<Metrics>,
}

/// What runs.
pub struct Engine {
    stop: CancellationToken,
    /// Wake-ups, for whoever starts runs in this process.
    pub wake: Wake,
    scheduler: Option<JoinHandle<()>>,
    workers: Vec<JoinHandle<Result<(), WorkerError>>>,
}

impl Engine {
    /// Starts the scheduler and the workers.
    pub fn start(installation: &Installation, settings: &EngineSettings) -> Self {
        let stop = CancellationToken::new();
        let wake = Wake::start(installation.database.clone());
        let host = host_name();
        let scheduler = settings.scheduler.then(|| {
            let scheduler = Scheduler {
                database: installation.database.clone(),
                settings: SchedulerSettings {
                    lease: settings.lease,
                    host: host.clone(),
                    schedules: settings.schedules,
                    folders: Some(Watched(Arc::new(StoreFolders(installation.store.clone())))),
                    archive: Some(archive_of(installation)),
                    meters: settings.metrics.as_ref().map(SchedulerMeters::new).unwrap_or_default(),
                    ..SchedulerSettings::default()
                },
                wake: wake.clone(),
            };
            tokio::spawn(scheduler.run(stop.clone()))
        });
        let meters = settings.metrics.as_ref().map(WorkerMeters::new).unwrap_or_default();
        let workers = settings
            .pools
            .iter()
            .map(|(pool, slots)| {
                let worker = Worker {
                    database: installation.database.clone(),
                    store: installation.store.clone(),
                    kinds: kinds(),
                    settings: WorkerSettings {
                        lease: settings.lease,
                        grace: settings.grace,
                        host: host.clone(),
                        has: Some(settings.has.clone()),
                        meters: meters.clone(),
                        secrets: SecretSources { directory: settings.secrets_dir.clone() },
                        log_bytes_max: settings.log_bytes_max,
                        ..WorkerSettings::new(pool, *slots)
                    },
                    wake: wake.clone(),
                };
                tokio::spawn(worker.run(stop.clone()))
            })
            .collect();
        Self { stop, wake, scheduler, workers }
    }

    /// Stops claiming, lets running tasks end or hands them back, and waits for that.
    pub async fn stop(self) -> Result<(), Failure> {
        self.stop.cancel();
        let mut failed = None;
        for worker in self.workers {
            match worker.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => failed = Some(Failure::of(&error)),
                Err(error) => failed = Some(Failure::new(format!("a worker stopped: {error}"))),
            }
        }
        if let Some(scheduler) = self.scheduler {
            let _ = scheduler.await;
        }
        failed.map_or(Ok(()), Err)
    }
}

/// Where an installation's history goes.
pub fn archive_of(installation: &Installation) -> SharedArchive {
    SharedArchive(Arc::new(StoreArchive(installation.store.clone())))
}

/// The object store, as triggers see it.
struct StoreFolders(Store);

#[async_trait]
impl Folders for StoreFolders {
    async fn list(
        &self,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<FoundObject>, Box<dyn Error + Send + Sync>> {
        let objects = self.0.list(prefix, limit).await?;
        Ok(objects
            .into_iter()
            .map(|object| FoundObject { path: object.path, size: object.size, version: object.version })
            .collect())
    }
}

/// How many tasks a worker runs at a time unless it is told: one for each processor.
pub fn usual_slots() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1))
}

/// This machine's name.
pub fn host_name() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

//! The scheduler's loop.

use std::time::Duration;

use sqlx::PgPool;
use tale_primitives::WorkerId;
use tale_queue::{
    ClaimedTask, Claimer, Lease, NewWorker, QueueError, SCHEDULER_POOL, Wake, beat, deregister_worker,
    register_worker, release,
};
use tokio::{task::JoinSet, time};
use tokio_util::sync::CancellationToken;

use crate::{
    SchedulerError, SchedulerMeters,
    advance::{Specs, advance},
    firing::Firing,
    maintenance::Maintenance,
    sensing::{Sensing, Watched},
};

/// How a scheduler works.
#[derive(Debug, Clone)]
pub struct SchedulerSettings {
    /// How long a silent worker keeps its tasks.
    pub lease: Duration,
    /// How many workers a task may lose before it fails.
    pub crashes_max: u32,
    /// How long to wait for a wake-up before looking for tasks anyway.
    pub poll: Duration,
    /// The machine's name, for listings.
    pub host: String,
    /// Whether schedules and triggers start runs here. Back-fills go on with any scheduler.
    pub schedules: bool,
    /// Where triggers look for objects; without it they do not.
    pub folders: Option<Watched>,
    /// What it counts.
    pub meters: SchedulerMeters,
}

impl Default for SchedulerSettings {
    /// Leases of 15 s; a task fails with the third worker that it loses; schedules fire.
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            crashes_max: 3,
            poll: Duration::from_millis(250),
            host: "localhost".to_owned(),
            schedules: true,
            folders: None,
            meters: SchedulerMeters::default(),
        }
    }
}

/// Advances runs: any number of these may share a database.
pub struct Scheduler {
    /// The database.
    pub database: PgPool,
    /// How it works.
    pub settings: SchedulerSettings,
    /// Wake-ups, shared with whoever else listens in this process.
    pub wake: Wake,
}

/// How many of its own tasks a scheduler claims at a time.
const BATCH: u32 = 32;
/// How often due retries are looked for.
const TICK: Duration = Duration::from_millis(100);
/// How long to wait before trying again while the database does not answer.
const PAUSE: Duration = Duration::from_millis(200);

impl Scheduler {
    /// Advances runs until `stop` is cancelled.
    pub async fn run(self, stop: CancellationToken) {
        // whatever ends this future ends them too
        let mut beside = JoinSet::new();
        beside.spawn(
            Maintenance {
                pool: self.database.clone(),
                wake: self.wake.clone(),
                lease: self.settings.lease,
                crashes_max: self.settings.crashes_max,
                tick: TICK,
                meters: self.settings.meters.clone(),
            }
            .run(),
        );
        beside.spawn(
            Firing {
                pool: self.database.clone(),
                wake: self.wake.clone(),
                schedules: self.settings.schedules,
            }
            .run(),
        );
        if let Some(Watched(folders)) = self.settings.folders.clone().filter(|_| self.settings.schedules) {
            beside.spawn(Sensing { pool: self.database.clone(), wake: self.wake.clone(), folders }.run());
        }
        let identity = NewWorker {
            id: WorkerId::generate(),
            pool: SCHEDULER_POOL.to_owned(),
            host: self.settings.host.clone(),
            pid: std::process::id(),
            slots: BATCH,
        };
        let specs = Specs::default();
        while !stop.is_cancelled() {
            if let Err(error) = self.serve(&identity, &specs, &stop).await {
                tracing::warn!(%error, "the scheduler lost its connection and tries again");
                tokio::select! {
                    () = time::sleep(PAUSE) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
        beside.abort_all();
        if let Ok(Ok(mut connection)) = time::timeout(Duration::from_secs(1), self.database.acquire()).await {
            let _ = deregister_worker(&mut connection, identity.id).await;
        }
    }

    /// Claims and advances on one connection until it breaks or the scheduler stops.
    async fn serve(
        &self,
        identity: &NewWorker,
        specs: &Specs,
        stop: &CancellationToken,
    ) -> Result<(), SchedulerError> {
        let mut connection = self.database.acquire().await?;
        register_worker(&mut connection, identity).await?;
        // whatever an earlier connection had claimed goes back before anything new is taken
        beat(&mut connection, identity.id, &[], Duration::ZERO).await?;
        let claimer = Claimer::open(&mut connection, identity.id, SCHEDULER_POOL).await?;
        let mut wakeups = self.wake.listen();
        let mut beaten_at = time::Instant::now();
        while !stop.is_cancelled() {
            if beaten_at.elapsed() > self.settings.lease / 3 {
                if !beat(&mut connection, identity.id, &[], self.settings.lease).await?.is_registered {
                    register_worker(&mut connection, identity).await?;
                }
                beaten_at = time::Instant::now();
            }
            let tasks = claimer.claim(&mut connection, BATCH).await?;
            if tasks.is_empty() {
                tokio::select! {
                    () = wakeups.wait(self.settings.poll) => {}
                    () = stop.cancelled() => {}
                }
                continue;
            }
            self.advance_all(&mut connection, specs, &tasks).await?;
            self.wake.tell();
        }
        Ok(())
    }

    async fn advance_all(
        &self,
        connection: &mut sqlx::PgConnection,
        specs: &Specs,
        tasks: &[ClaimedTask],
    ) -> Result<(), SchedulerError> {
        for (done, task) in tasks.iter().enumerate() {
            if let Err(error) = advance(connection, specs, task).await {
                let rest: Vec<Lease> = tasks.iter().skip(done).map(|task| task.lease).collect();
                hand_back(connection, &rest).await?;
                // a deadlock or a serialization failure: the task is queued again and this connection goes on
                if !error.is_transient() {
                    return Err(error);
                }
                return Ok(());
            }
        }
        Ok(())
    }
}

async fn hand_back(connection: &mut sqlx::PgConnection, leases: &[Lease]) -> Result<(), QueueError> {
    release(connection, leases).await.map(drop)
}

//! The scheduler's loop.

use std::{sync::Arc, time::Duration};

use sqlx::PgPool;
use tale_primitives::WorkerId;
use tale_queue::{
    ClaimedTask, Claimer, Lease, NewWorker, QueueError, SCHEDULER_POOL, SharedArchive, Wake, beat,
    deregister_worker, register_worker, release,
};
use tokio::{sync::Semaphore, task::JoinSet, time};
use tokio_util::sync::CancellationToken;

use crate::{
    SchedulerError, SchedulerMeters,
    advance::{Advanced, Specs, advance},
    deadlines::Deadlines,
    fan_out::{UNROLLED_MAX, Unroller},
    firing::Firing,
    history::History,
    maintenance::Maintenance,
    pulse::{Leases, Pulse},
    sensing::{Sensing, Watched},
};

/// How a scheduler works.
#[derive(Debug, Clone)]
pub struct SchedulerSettings {
    /// How long a silent worker keeps its tasks.
    pub lease: Duration,
    /// How many workers a task may lose before it fails.
    pub crashes_max: u32,
    /// How many tasks of a fan-out one transaction inserts.
    pub part: u32,
    /// How long to wait for a wake-up before looking for tasks anyway.
    pub poll: Duration,
    /// The machine's name, for listings.
    pub host: String,
    /// Whether schedules and triggers start runs here. Back-fills go on with any scheduler.
    pub schedules: bool,
    /// Where triggers look for objects; without it they do not.
    pub folders: Option<Watched>,
    /// Where logs and old runs go; without it they stay in the database.
    pub archive: Option<SharedArchive>,
    /// What it counts.
    pub meters: SchedulerMeters,
}

impl Default for SchedulerSettings {
    /// Leases of 15 s; a task fails with the third worker that it loses; schedules fire.
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            crashes_max: 3,
            part: 5_000,
            poll: Duration::from_millis(250),
            host: "localhost".to_owned(),
            schedules: true,
            folders: None,
            archive: None,
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
/// How long a stopping scheduler waits for the parts that it inserts.
const GRACE: Duration = Duration::from_secs(5);
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
        beside.spawn(Deadlines { pool: self.database.clone(), wake: self.wake.clone() }.run());
        if let Some(Watched(folders)) = self.settings.folders.clone().filter(|_| self.settings.schedules) {
            beside.spawn(Sensing { pool: self.database.clone(), wake: self.wake.clone(), folders }.run());
        }
        if let Some(archive) = self.settings.archive.clone() {
            beside.spawn(History { pool: self.database.clone(), archive }.run());
        }
        let identity = NewWorker {
            id: WorkerId::generate(),
            pool: SCHEDULER_POOL.to_owned(),
            host: self.settings.host.clone(),
            pid: std::process::id(),
            slots: BATCH,
            has: None,
        };
        let leases = Leases::default();
        beside.spawn(
            Pulse {
                pool: self.database.clone(),
                identity: identity.clone(),
                leases: leases.clone(),
                lease: self.settings.lease,
            }
            .run(),
        );
        let unroller = Unroller {
            pool: self.database.clone(),
            wake: self.wake.clone(),
            specs: Specs::default(),
            part: self.settings.part,
            room: Arc::new(Semaphore::new(UNROLLED_MAX)),
            stop: stop.clone(),
        };
        let mut work = Work { identity, leases, unroller, unrolling: JoinSet::new() };
        while !stop.is_cancelled() {
            if let Err(error) = self.serve(&mut work, &stop).await {
                tracing::warn!(%error, "the scheduler lost its connection and tries again");
                tokio::select! {
                    () = time::sleep(PAUSE) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
        // each stops after the part that it inserts now, and hands its lease back
        let ended = async { while work.unrolling.join_next().await.is_some() {} };
        let _ = time::timeout(GRACE, ended).await;
        beside.abort_all();
        if let Ok(Ok(mut connection)) = time::timeout(Duration::from_secs(1), self.database.acquire()).await {
            let _ = deregister_worker(&mut connection, work.identity.id).await;
        }
    }

    /// Claims and advances on one connection until it breaks or the scheduler stops.
    async fn serve(&self, work: &mut Work, stop: &CancellationToken) -> Result<(), SchedulerError> {
        let mut connection = self.database.acquire().await?;
        register_worker(&mut connection, &work.identity).await?;
        // whatever an earlier connection had claimed goes back before anything new is taken
        beat(&mut connection, work.identity.id, &work.leases.list(), Duration::ZERO).await?;
        let claimer = Claimer::open(&mut connection, work.identity.id, SCHEDULER_POOL).await?;
        let mut wakeups = self.wake.listen();
        while !stop.is_cancelled() {
            while work.unrolling.try_join_next().is_some() {}
            let tasks = claimer.claim(&mut connection, BATCH).await?;
            if tasks.is_empty() {
                tokio::select! {
                    () = wakeups.wait(self.settings.poll) => {}
                    () = stop.cancelled() => {}
                }
                continue;
            }
            work.leases.hold(&tasks);
            self.advance_all(&mut connection, work, tasks).await?;
            self.wake.tell();
        }
        Ok(())
    }

    async fn advance_all(
        &self,
        connection: &mut sqlx::PgConnection,
        work: &mut Work,
        tasks: Vec<ClaimedTask>,
    ) -> Result<(), SchedulerError> {
        let mut tasks = tasks.into_iter();
        while let Some(task) = tasks.next() {
            match advance(connection, &work.unroller.specs, self.settings.part, &task).await {
                Ok(Advanced::Done) => work.leases.let_go(&[task.lease]),
                Ok(Advanced::TooLarge) => work.unroll(task),
                Err(error) => {
                    let rest: Vec<Lease> =
                        [task.lease].into_iter().chain(tasks.map(|task| task.lease)).collect();
                    work.leases.let_go(&rest);
                    hand_back(connection, &rest).await?;
                    // a deadlock or a serialization failure: the tasks are queued again and this connection goes on
                    return if error.is_transient() { Ok(()) } else { Err(error) };
                }
            }
        }
        Ok(())
    }
}

/// What a scheduler has in hand, whatever happens to its connections.
struct Work {
    identity: NewWorker,
    leases: Leases,
    unroller: Unroller,
    unrolling: JoinSet<()>,
}

impl Work {
    /// Inserts a large fan-out beside everything else.
    fn unroll(&mut self, task: ClaimedTask) {
        let (unroller, leases) = (self.unroller.clone(), self.leases.clone());
        self.unrolling.spawn(async move {
            unroller.unroll(&task).await;
            leases.let_go(&[task.lease]);
        });
    }
}

async fn hand_back(connection: &mut sqlx::PgConnection, leases: &[Lease]) -> Result<(), QueueError> {
    release(connection, leases).await.map(drop)
}

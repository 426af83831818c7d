//! One worker process: its loops, and how it stops.

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use apalis::layers::catch_panic::CatchPanicLayer;
use apalis_core::{
    error::BoxDynError,
    task::Task,
    worker::{builder::WorkerBuilder, ext::parallelize::ParallelizeExt},
};
use futures::{FutureExt, future::BoxFuture};
use serde_json::Value;
use sqlx::PgPool;
use tale_primitives::WorkerId;
use tale_queue::{
    Claimer, Lease, NewWorker, QueueError, Resources, SharedArchive, Wake, deregister_worker,
    register_worker, release,
};
use tale_storage::{Store, Traffic};
use tokio::{sync::mpsc, task::JoinHandle, time};
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::{
    Cancellation, Completion, ErrorClass, KindRegistry, StoreArchive, TaskContext, TaskError, WorkerMeters,
    acknowledge::Acknowledger,
    backlog::Backlog,
    cache::{Asked, Cache},
    heartbeat::Heart,
    held::Held,
    intake::Intake,
    lineage,
    logs::{self, AttemptLog, LogSender},
    outcome::chain,
    pace::Pace,
    secrets::{Resolved, SecretSources},
    source::{Assignment, ClaimedTasks},
    traces::TraceParents,
    weighing::Weighing,
};

/// How many short tasks a worker claims in advance at most.
const PREFETCH_MAX: u32 = 2000;
/// How long a task that was claimed in advance may wait for a slot before it is handed back.
const PREFETCHED_AT_MOST: Duration = Duration::from_secs(1);
/// How many bytes of an attempt's log are kept unless it is told.
pub const LOG_BYTES_MAX: u64 = 10 << 20;
/// How long a stopping worker waits for the last lines of its attempts' logs.
const LAST_LINES: Duration = Duration::from_secs(2);

/// How a worker works.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// The pool whose tasks it runs.
    pub pool: String,
    /// How many tasks it runs at a time.
    pub slots: u32,
    /// What its tasks may use together; without it, it is given no task that asks for anything.
    pub has: Option<Resources>,
    /// How many short tasks it may claim in advance of a free slot; 0 where tasks are precious, as on a GPU.
    pub prefetch_max: u32,
    /// How long a silent worker keeps its tasks.
    pub lease: Duration,
    /// How long running tasks may go on after a stop was asked for.
    pub grace: Duration,
    /// How long to wait for a wake-up before looking for tasks anyway.
    pub poll: Duration,
    /// The machine's name, for listings.
    pub host: String,
    /// Where it finds secrets.
    pub secrets: SecretSources,
    /// How many bytes of an attempt's log are kept; how much more it printed stands in its last line.
    pub log_bytes_max: u64,
    /// What it measures of itself.
    pub meters: WorkerMeters,
}

impl WorkerSettings {
    /// The usual settings for `slots` slots in `pool`: leases of 15 s, 10 s of grace, nothing advertised, and short tasks
    /// claimed in advance unless the pool's name begins with `gpu`. In a pool whose tasks ask for resources, or one of
    /// whose workers has a GPU, none are, whatever it is called.
    pub fn new(pool: impl Into<String>, slots: u32) -> Self {
        let pool = pool.into();
        Self {
            prefetch_max: if pool.starts_with("gpu") { 0 } else { PREFETCH_MAX },
            pool,
            slots: slots.max(1),
            has: None,
            lease: Duration::from_secs(15),
            grace: Duration::from_secs(10),
            poll: Duration::from_millis(250),
            host: "localhost".to_owned(),
            secrets: SecretSources::from_environment(),
            log_bytes_max: LOG_BYTES_MAX,
            meters: WorkerMeters::default(),
        }
    }
}

/// Why a worker ended.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// It could not register with the queue.
    #[error("the worker could not register")]
    Register(#[source] QueueError),
    /// The task runtime gave up.
    #[error("the task runtime stopped: {0}")]
    Runtime(String),
}

/// A worker of one pool.
pub struct Worker {
    /// The database.
    pub database: PgPool,
    /// The object store that tasks use.
    pub store: Store,
    /// What it can run.
    pub kinds: KindRegistry,
    /// How it works.
    pub settings: WorkerSettings,
    /// Wake-ups, shared with whoever else listens in this process.
    pub wake: Wake,
}

impl Worker {
    /// Claims and runs tasks until `stop` is cancelled; then finishes, or hands back, what it holds.
    pub async fn run(self, stop: CancellationToken) -> Result<(), WorkerError> {
        let identity = NewWorker {
            id: WorkerId::generate(),
            pool: self.settings.pool.clone(),
            host: self.settings.host.clone(),
            pid: std::process::id(),
            slots: self.settings.slots,
            has: self.settings.has.clone().map(Resources::in_order),
        };
        let Some(claimer) = self.introduce(&identity, &stop).await? else { return Ok(()) };
        tracing::info!(worker = %identity.id, pool = identity.pool, slots = identity.slots, "worker started");

        let held = Held::default();
        let intake = Intake {
            claimer,
            held: held.clone(),
            backlog: Backlog::new(self.settings.slots as usize),
            pace: Pace::new(self.settings.slots, self.settings.prefetch_max),
            weighing: Weighing::default(),
            stop: stop.clone(),
        };
        let (outcome_sender, outcomes) = mpsc::unbounded_channel();
        let (log_sender, log_lines) = logs::channel(self.settings.log_bytes_max);
        let heart = tokio::spawn(
            Heart {
                pool: self.database.clone(),
                worker: identity.clone(),
                held: held.clone(),
                lease: self.settings.lease,
                meters: self.settings.meters.clone(),
            }
            .run(),
        );
        let archive = SharedArchive(Arc::new(StoreArchive(self.store.clone())));
        let storing = tokio::spawn(logs::store_logs(self.database.clone(), archive, log_lines));
        let acknowledger = Acknowledger {
            pool: self.database.clone(),
            wake: self.wake.clone(),
            held: held.clone(),
            intake: intake.clone(),
            meters: self.settings.meters.clone(),
        };
        let acknowledging = tokio::spawn(acknowledger.run(outcomes));
        let attempts = RunAttempt(Arc::new(Surroundings {
            kinds: self.kinds.clone(),
            store: self.store.clone(),
            database: self.database.clone(),
            logs: log_sender,
            secrets: self.settings.secrets.clone(),
            cache: Cache::new(self.database.clone(), self.store.clone()),
            traces: TraceParents::default(),
        }));
        let source = ClaimedTasks {
            backlog: intake.backlog.clone(),
            pace: intake.pace.clone(),
            outcomes: outcome_sender,
        };
        let runtime = tokio::spawn(
            WorkerBuilder::new(identity.id.to_string())
                .backend(source)
                .parallelize(tokio::spawn)
                .layer(CatchPanicLayer::new())
                .build(attempts)
                .run(),
        );

        self.claim_until(&stop, &intake).await;
        self.hand_back(&held, &intake.backlog.close()).await;
        self.drain(&held).await;
        // the backlog is closed, so the runtime ends with its last attempt
        let ended = runtime.await;
        // once the lease has passed without an answer there is nothing left to acknowledge
        end_within(self.settings.lease, acknowledging).await;
        // a computation that was told to stop may hold on to its log for longer than anybody wants to wait
        end_within(LAST_LINES, storing).await;
        heart.abort();
        self.say_goodbye(&identity).await;
        match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(WorkerError::Runtime(error.to_string())),
            Err(error) => Err(WorkerError::Runtime(error.to_string())),
        }
    }

    /// Makes the worker known, waiting for a database that does not answer yet; nothing where it is stopped before.
    async fn introduce(
        &self,
        identity: &NewWorker,
        stop: &CancellationToken,
    ) -> Result<Option<Claimer>, WorkerError> {
        while !stop.is_cancelled() {
            let introduced = async {
                let mut connection = self.database.acquire().await?;
                register_worker(&mut connection, identity).await?;
                Claimer::open(&mut connection, identity.id, &identity.pool).await
            };
            match introduced.await {
                Ok(claimer) => return Ok(Some(claimer)),
                Err(error) if error.is_transient() => {
                    tracing::warn!(error = chain(&error), "the worker cannot register yet");
                    time::sleep(Duration::from_millis(500)).await;
                }
                Err(error) => return Err(WorkerError::Register(error)),
            }
        }
        Ok(None)
    }

    /// Claims whenever there are fewer tasks than slots; acknowledgements claim the rest.
    async fn claim_until(&self, stop: &CancellationToken, intake: &Intake) {
        let mut wakeups = self.wake.listen();
        while !stop.is_cancelled() {
            self.hand_back(&intake.held, &intake.backlog.take_stale(PREFETCHED_AT_MOST)).await;
            let is_full = intake.held.count() >= self.settings.slots as usize;
            if is_full {
                tokio::select! {
                    () = intake.held.below(self.settings.slots as usize) => {}
                    () = time::sleep(PREFETCHED_AT_MOST) => {}
                    () = stop.cancelled() => {}
                }
                continue;
            }
            let freed = intake.held.freed();
            tokio::pin!(freed);
            freed.as_mut().enable();
            let asked_at = Instant::now();
            let claimed = async { intake.claim(&mut *self.database.acquire().await?).await };
            let claimed = claimed.await;
            self.settings.meters.claimed(asked_at.elapsed());
            match claimed {
                Ok(claimed) if claimed.is_empty() => {
                    tokio::select! {
                        () = wakeups.wait(self.settings.poll) => {}
                        // a task that ends leaves room for one that did not fit
                        () = freed, if intake.weighing.is_on() => {}
                        () = stop.cancelled() => {}
                    }
                }
                Ok(claimed) => {
                    let late = intake.accept(claimed);
                    self.hand_back(&intake.held, &late).await;
                }
                Err(error) => {
                    tracing::warn!(error = chain(&error), "no tasks could be claimed");
                    time::sleep(self.settings.poll).await;
                }
            }
        }
    }

    /// Gives up leases whose attempts have not started.
    async fn hand_back(&self, held: &Held, leases: &[Lease]) {
        if leases.is_empty() {
            return;
        }
        let released = async { release(&mut *self.database.acquire().await?, leases).await };
        if let Err(error) = released.await {
            // the next heartbeat no longer names them, and that gives them back as well
            tracing::debug!(error = chain(&error), "tasks could not be handed back");
        }
        held.remove(leases.iter().copied());
        self.wake.tell();
    }

    /// Gives running attempts the grace period, then stops them.
    async fn drain(&self, held: &Held) {
        if time::timeout(self.settings.grace, held.below(1)).await.is_err() {
            tracing::warn!(attempts = held.count(), "the grace period is over: stopping attempts");
            held.cancel_all();
        }
    }

    /// Leaves the list of live workers: what it held has been acknowledged or handed back.
    async fn say_goodbye(&self, identity: &NewWorker) {
        let said = async {
            let mut connection = self.database.acquire().await?;
            deregister_worker(&mut connection, identity.id).await
        };
        match time::timeout(Duration::from_secs(2), said).await {
            Ok(Ok(())) => tracing::info!(worker = %identity.id, "worker stopped"),
            Ok(Err(error)) => tracing::warn!(error = chain(&error), "the worker could not sign off"),
            Err(_) => tracing::warn!("the worker could not sign off in time"),
        }
    }
}

async fn end_within(at_most: Duration, mut work: JoinHandle<()>) {
    if time::timeout(at_most, &mut work).await.is_err() {
        work.abort();
    }
}

/// The innermost service: one call runs one attempt. The runtime clones it for each.
#[derive(Clone)]
struct RunAttempt(Arc<Surroundings>);

/// What all attempts of a worker share.
struct Surroundings {
    kinds: KindRegistry,
    store: Store,
    database: PgPool,
    logs: LogSender,
    secrets: SecretSources,
    cache: Cache,
    traces: TraceParents,
}

impl Service<Task<Assignment>> for RunAttempt {
    type Response = Completion<Value>;
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<Completion<Value>, BoxDynError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Assignment>) -> Self::Future {
        let surroundings = self.0.clone();
        async move { surroundings.attempt(&task.args).await.map_err(BoxDynError::from) }.boxed()
    }
}

impl Surroundings {
    /// Runs an attempt; whatever becomes of it, its log ends before anybody hears of that.
    async fn attempt(&self, assignment: &Assignment) -> Result<Completion<Value>, TaskError> {
        let claimed = &assignment.claimed;
        let log = self.logs.begin(claimed.run, claimed.lease, claimed.attempt_number);
        let ended = AssertUnwindSafe(self.run_kind(assignment, log.clone())).catch_unwind().await;
        log.end().await;
        ended.unwrap_or_else(|panic| resume_unwind(panic))
    }

    async fn run_kind(
        &self,
        assignment: &Assignment,
        log: AttemptLog,
    ) -> Result<Completion<Value>, TaskError> {
        let claimed = &assignment.claimed;
        let Some(kind) = self.kinds.find(&claimed.kind) else {
            let message = format!(
                "this worker does not know the task kind {:?}: is it older than the pipeline?",
                claimed.kind
            );
            return Err(TaskError::Retry { message, after: None });
        };
        let say = |line: String| log.print(line);
        let keeping = match self.cache.ask(claimed, kind.as_ref()).await {
            Asked::Plain => None,
            Asked::Hit(completion) => {
                say("cache: the result of an earlier task is taken".to_owned());
                return Ok(completion);
            }
            Asked::Miss(keeping) => {
                say(format!("cache: nothing is taken: {}", keeping.reason()));
                Some(keeping)
            }
        };
        let Resolved { arguments, redaction } = self.secrets.resolve(&claimed.arguments).await?;
        let mut span = self.traces.begin(&self.database, claimed).await;
        let traffic = Traffic::default();
        let started = Instant::now();
        let context = TaskContext {
            run: claimed.run,
            pipeline: claimed.pipeline.clone(),
            logical_date: claimed.logical_date,
            step: claimed.step_name.clone(),
            index: claimed.index.unsigned_abs(),
            lease: claimed.lease,
            attempt_number: claimed.attempt_number,
            store: self.store.observed(&traffic),
            database: self.database.clone(),
            cancellation: Cancellation(assignment.stop.clone()),
            log,
            redaction: redaction.clone(),
            trace_parent: span.place(),
        };
        tracing::debug!(run = %claimed.run, step = claimed.step_name, index = claimed.index, "attempt starts");
        let attempt = redaction.watch(kind.run(context, arguments));
        let expired = async {
            match claimed.timeout {
                Some(timeout) => time::sleep(timeout).await,
                None => futures::future::pending().await,
            }
        };
        let ended = tokio::select! {
            biased;
            () = assignment.stop.cancelled() => Err(TaskError::Stopped),
            result = attempt => result.map(|completion| {
                // before lineage adds its effect: a result that comes with effects is not kept
                let completion = match keeping {
                    Some(keeping) => keeping.keep(completion),
                    None => completion,
                };
                lineage::traced(completion, claimed, &traffic, &redaction, started.elapsed())
            }),
            () = expired => {
                // a computation on a thread of its own learns of it this way
                assignment.stop.cancel();
                let seconds = claimed.timeout.unwrap_or_default().as_secs_f64();
                let message = format!("the attempt took longer than its time-out of {seconds} s");
                Err(TaskError::Retry { message, after: None }.of_class(ErrorClass::TIMEOUT))
            }
        };
        if let Err(error) = &ended {
            span.fail(&error.to_string());
        }
        ended
    }
}

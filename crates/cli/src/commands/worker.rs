//! `tale worker`: a worker for one pool, as a process of its own.

use std::{path::PathBuf, process::ExitCode, str::FromStr, time::Duration};

use clap::Args;
use tale_api::Endpoint;
use tale_telemetry::Metrics;
use tokio_util::sync::CancellationToken;

use crate::{
    arguments::Global,
    capacity::{Capacity, pool_name},
    commands::up::lease_seconds,
    engine::{Engine, EngineSettings, usual_slots},
    failure::{Failure, UNUSABLE},
    installation::Installation,
    interrupt,
    listen::Listen,
};

/// Claims and runs tasks of one pool until Ctrl-C or SIGTERM; then finishes, or hands back, what it has.
#[derive(Debug, Args)]
pub struct Worker {
    /// The pool that it serves.
    #[arg(long, default_value = tale_pipeline::DEFAULT_POOL, value_parser = pool_name)]
    pool: String,
    /// How many tasks it runs at a time; one for each processor unless given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    slots: Option<u32>,
    /// What it has.
    #[command(flatten)]
    capacity: Capacity,
    /// How long it keeps its tasks without a heartbeat, in seconds; the same as the scheduler's.
    #[arg(long, value_name = "SECONDS", default_value_t = 15.0, env = "TALE_LEASE_SECONDS", value_parser = lease_seconds)]
    lease_seconds: f64,
    /// How long running tasks may go on after it was told to stop, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    grace_seconds: f64,
    /// A directory with one file for each secret, as Kubernetes mounts them; `TALE_SECRET_NAME` is another way.
    #[arg(long, value_name = "DIR", env = "TALE_SECRETS_DIR")]
    secrets_dir: Option<PathBuf>,
    /// How many bytes of an attempt's log are kept; how many more there were stands in its last line.
    #[arg(long, value_name = "BYTES", default_value_t = tale_worker::LOG_BYTES_MAX, env = "TALE_LOG_BYTES_MAX", value_parser = clap::value_parser!(u64).range(1024..=1 << 30))]
    log_bytes_max: u64,
    /// Where it tells Prometheus what it measures of itself (`/metrics`), or `none`, which is the default.
    #[arg(long, value_name = "ADDRESS:PORT", env = "TALE_METRICS_LISTEN", value_parser = Listen::from_str)]
    metrics_listen: Option<Listen>,
}

impl Worker {
    /// Runs until a signal.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let stop = interrupt::token()?;
        let endpoint = match self.metrics_listen {
            Some(Listen::At(address)) => Some(Endpoint::listen(address).await?),
            Some(Listen::Nowhere) | None => None,
        };
        let installation = Installation::look(global, "tale worker").await?;
        if installation.is_alone {
            installation.close().await?;
            return Err(Failure::new("no installation runs in this data directory")
                .code(UNUSABLE)
                .help("start `tale up` first, or name a server with --database-url"));
        }
        let slots = self.slots.unwrap_or_else(usual_slots);
        let has = self.capacity.resources();
        let metrics = Metrics::default();
        let engine = Engine::start(
            &installation,
            &EngineSettings {
                pools: vec![(self.pool.clone(), slots)],
                has: has.clone(),
                scheduler: false,
                schedules: false,
                lease: Duration::from_secs_f64(self.lease_seconds),
                grace: Duration::from_secs_f64(self.grace_seconds.clamp(0.0, 86_400.0)),
                secrets_dir: self.secrets_dir.clone(),
                log_bytes_max: self.log_bytes_max,
                metrics: endpoint.is_some().then(|| metrics.clone()),
            },
        );
        eprintln!("worker of pool {} with {slots} slots, {has}; Ctrl-C stops it", self.pool);
        // it ends with the process: a stopping worker still has something to tell
        if let Some(endpoint) = endpoint {
            eprintln!("metrics on http://{}/metrics", endpoint.address());
            tokio::spawn(endpoint.serve_metrics(metrics, CancellationToken::new()));
        }
        stop.cancelled().await;
        engine.stop().await?;
        installation.close().await?;
        Ok(ExitCode::SUCCESS)
    }
}

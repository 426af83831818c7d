//! `tale up`: everything on this machine.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;
use tale_telemetry::Metrics;

use crate::{
    arguments::Global,
    capacity::{Capacity, pool_name},
    engine::{Engine, EngineSettings, usual_slots},
    failure::Failure,
    installation::Installation,
    interrupt,
    listen::Listening,
    pipelines, telling,
};

/// Runs the database, a scheduler, a worker and the HTTP API until Ctrl-C.
#[derive(Debug, Args)]
pub struct Up {
    /// How many tasks the worker runs at a time; 0 leaves the work to `tale worker` processes.
    #[arg(long, value_name = "N")]
    slots: Option<u32>,
    /// The pool that the worker serves.
    #[arg(long, default_value = tale_pipeline::DEFAULT_POOL, value_parser = pool_name)]
    pool: String,
    /// What the worker has.
    #[command(flatten)]
    capacity: Capacity,
    /// How long a silent worker keeps its tasks, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 15.0, env = "TALE_LEASE_SECONDS", value_parser = lease_seconds)]
    lease_seconds: f64,
    /// The folder of pipelines to apply at the start; `pipelines`, or else the ones built in.
    #[arg(long, value_name = "DIR")]
    pipelines: Option<PathBuf>,
    /// A directory with one file for each secret, as Kubernetes mounts them; `TALE_SECRET_NAME` is another way.
    #[arg(long, value_name = "DIR", env = "TALE_SECRETS_DIR")]
    secrets_dir: Option<PathBuf>,
    /// How many bytes of an attempt's log are kept; how many more there were stands in its last line.
    #[arg(long, value_name = "BYTES", default_value_t = tale_worker::LOG_BYTES_MAX, env = "TALE_LOG_BYTES_MAX", value_parser = clap::value_parser!(u64).range(1024..=1 << 30))]
    log_bytes_max: u64,
    /// Starts nothing by itself here: schedules and triggers wait for a scheduler that does, back-fills and runs go on.
    #[arg(long, env = "TALE_NO_SCHEDULES")]
    no_schedules: bool,
    #[command(flatten)]
    listening: Listening,
}

/// How often `tale up` looks whether its database is alive.
const WATCH: Duration = Duration::from_secs(1);

impl Up {
    /// Runs until a signal.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let stop = interrupt::token()?;
        let door = self.listening.open().await?;
        let mut installation = tokio::select! {
            installation = Installation::own(global, "tale up") => installation?,
            () = stop.cancelled() => return Err(interrupt::failure("nothing had been started yet")),
        };
        let applied =
            pipelines::apply(&installation, &pipelines::sources(self.pipelines.as_deref())?).await?;
        let telling = telling::start(&installation, &stop).await?;
        let slots = self.slots.unwrap_or_else(usual_slots);
        let metrics = Metrics::default();
        let engine = Engine::start(
            &installation,
            &EngineSettings {
                pools: if slots == 0 { vec![] } else { vec![(self.pool.clone(), slots)] },
                has: self.capacity.resources(),
                scheduler: true,
                schedules: !self.no_schedules,
                lease: Duration::from_secs_f64(self.lease_seconds),
                grace: Duration::from_secs(10),
                secrets_dir: self.secrets_dir.clone(),
                log_bytes_max: self.log_bytes_max,
                metrics: Some(metrics.clone()),
            },
        );
        let api = door.serve(&installation, &engine, &metrics, &stop);
        eprintln!(
            "taleworks is up: {} pipelines, {slots} slots in pool {}; objects in {}; Ctrl-C stops it",
            applied.len(),
            self.pool,
            installation.store.url()
        );
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(WATCH) => {
                    match installation.revive().await {
                        Ok(false) => {}
                        Ok(true) => eprintln!("the database had died and was started again"),
                        // a full disk, for one, does not stay full
                        Err(failure) => {
                            let _ = failure.report();
                            eprintln!("the database has died and cannot be started yet: trying again");
                        }
                    }
                }
            }
        }
        eprintln!("stopping: running tasks may finish within 10 s; Ctrl-C again ends at once");
        if let Some(api) = api {
            let _ = api.await;
        }
        engine.stop().await?;
        if let Some(telling) = telling {
            let _ = telling.await;
        }
        installation.close().await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A lease long enough to beat in, and short enough to notice a death within the hour.
pub fn lease_seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.5..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("expected seconds between 0.5 and 3600".to_owned()),
    }
}

//! `tale serve`: a scheduler and the HTTP API, as a process of its own.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use tale_telemetry::Metrics;

use crate::{
    arguments::Global,
    capacity::of_machine,
    commands::up::lease_seconds,
    engine::{Engine, EngineSettings},
    failure::{Failure, UNUSABLE},
    installation::Installation,
    interrupt,
    listen::Listening,
    telling,
};

/// Schedules runs and answers over HTTP until Ctrl-C or SIGTERM; runs no tasks.
///
/// Any number of these may share a database, and none of them is special: each schedules, and each run of a schedule
/// starts once.
#[derive(Debug, Args)]
pub struct Serve {
    /// Starts nothing by itself here: schedules and triggers wait for a scheduler that does, back-fills and runs go on.
    #[arg(long, env = "TALE_NO_SCHEDULES")]
    no_schedules: bool,
    #[command(flatten)]
    listening: Listening,
    /// How long a silent worker keeps its tasks, in seconds; the same as the workers'.
    #[arg(long, value_name = "SECONDS", default_value_t = 15.0, env = "TALE_LEASE_SECONDS", value_parser = lease_seconds)]
    lease_seconds: f64,
}

impl Serve {
    /// Runs until a signal.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let stop = interrupt::token()?;
        let door = self.listening.open().await?;
        let installation = Installation::look(global, "tale serve").await?;
        if installation.is_alone {
            installation.close().await?;
            return Err(Failure::new("no installation runs in this data directory")
                .code(UNUSABLE)
                .help("start `tale up` first, or name a server with --database-url"));
        }
        let telling = telling::start(&installation, &stop).await?;
        let metrics = Metrics::default();
        let engine = Engine::start(
            &installation,
            &EngineSettings {
                pools: vec![],
                scheduler: true,
                schedules: !self.no_schedules,
                lease: Duration::from_secs_f64(self.lease_seconds),
                grace: Duration::from_secs(10),
                secrets_dir: None,
                has: of_machine(),
                log_bytes_max: tale_worker::LOG_BYTES_MAX,
                metrics: Some(metrics.clone()),
            },
        );
        let api = door.serve(&installation, &engine, &metrics, &stop);
        eprintln!("scheduler of {}; Ctrl-C stops it", installation.store.url());
        stop.cancelled().await;
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

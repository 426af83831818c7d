//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{commands, output::Format};

/// The engine room of a decentralised AI network: pipelines, workers, validation and settlement.
#[derive(Debug, Parser)]
#[command(name = "tale", version, propagate_version = true, max_term_width = 100)]
pub struct Arguments {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Where everything lives: the embedded database, objects, reports.
    #[arg(long, global = true, value_name = "DIR", env = "TALE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// A PostgreSQL server to use in place of the embedded one.
    #[arg(long, global = true, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// The object store: file:///… or s3://bucket/prefix; a folder of the data directory unless given.
    #[arg(long, global = true, value_name = "URL", env = "TALE_STORE")]
    pub store: Option<String>,
    /// Tables for people, or one JSON document for programs.
    #[arg(long, global = true, value_enum, default_value_t)]
    pub output: Format,
    /// Logs on standard error: once for the course of events, twice for details.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Trains, validates and settles a small network on this machine, from nothing.
    Demo(commands::demo::Demo),
    /// Runs everything on this machine: database, scheduler and a worker.
    Up(commands::up::Up),
    /// Runs a worker for one pool.
    Worker(commands::worker::Worker),
    /// Checks the pipelines of a folder and makes them the current versions.
    Apply(commands::apply::Apply),
    /// Starts a run of a pipeline.
    Run(commands::run::Run),
    /// Lists runs, the newest first.
    Runs(commands::runs::Runs),
    /// Shows one run: steps, tasks, attempts, durations, errors.
    Show(commands::show::Show),
    /// Prints what the tasks of a run have printed.
    Logs(commands::logs::Logs),
    /// Lists the live workers.
    Workers(commands::workers::Workers),
}

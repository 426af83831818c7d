//! `tale bench`: how much this database and this machine carry.

mod engine;
mod idle;
mod latency;
mod memory;
mod queue;
mod raw;
mod server;
mod settlement;
mod shape;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::{arguments::Global, failure::Failure};

/// Measures what this database and this machine carry.
#[derive(Debug, Args)]
pub struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Runs no-op tasks through planner, queue and worker, and the same number through hand-written SQL.
    Queue(queue::Queue),
    /// Measures how soon a run's first task starts, and how soon a step follows another.
    Latency(latency::Latency),
    /// Measures what idle workers cost.
    Idle(idle::Idle),
    /// Settles a day of a number of accounts, audits the ledger, and settles the day again.
    Settlement(settlement::Settlement),
}

impl Bench {
    /// Does what was asked for.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        match &self.what {
            What::Queue(queue) => queue.run(global).await,
            What::Latency(latency) => latency.run(global).await,
            What::Idle(idle) => idle.run(global).await,
            What::Settlement(settlement) => settlement.run(global).await,
        }
    }
}

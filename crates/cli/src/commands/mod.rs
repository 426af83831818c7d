//! One file per command.

pub mod alerts;
pub mod apply;
pub mod approve;
pub mod audit;
pub mod backfill;
pub mod bench;
pub mod cache;
pub mod cancel;
pub mod claims;
pub mod completions;
pub mod dataset;
pub mod demo;
pub mod diff;
pub mod dividends;
pub mod doctor;
pub mod epoch;
pub mod kinds;
pub mod ledger;
pub mod limit;
pub mod lineage;
pub mod logs;
pub mod pause;
pub mod pipeline;
pub mod pov;
pub mod retention;
pub mod retry;
pub mod revenue;
pub mod run;
pub mod runs;
pub mod sales;
pub mod schedule;
pub mod serve;
pub mod settle;
pub mod show;
pub mod staking;
pub mod tenant;
pub mod triggers;
pub mod up;
pub mod vesting;
pub mod withdrawals;
pub mod worker;
pub mod workers;

use std::process::ExitCode;

use crate::{
    arguments::{Arguments, Command},
    failure::Failure,
};

/// Does what the command line says.
pub async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let global = &arguments.global;
    match &arguments.command {
        Command::Demo(command) => command.run(global).await,
        Command::Up(command) => command.run(global).await,
        Command::Serve(command) => command.run(global).await,
        Command::Worker(command) => command.run(global).await,
        Command::Apply(command) => command.run(global).await,
        Command::Run(command) => command.run(global).await,
        Command::Runs(command) => command.run(global).await,
        Command::Schedule(command) => command.run(global).await,
        Command::Triggers(command) => command.run(global).await,
        Command::Backfill(command) => command.run(global).await,
        Command::Cache(command) => command.run(global).await,
        Command::Show(command) => command.run(global).await,
        Command::Logs(command) => command.run(global).await,
        Command::Lineage(command) => command.run(global).await,
        Command::Retention(command) => command.run(global).await,
        Command::Cancel(command) => command.run(global).await,
        Command::Pause(command) => command.run(global).await,
        Command::Resume(command) => command.run(global).await,
        Command::Retry(command) => command.run(global).await,
        Command::Approve(command) => command.run(global).await,
        Command::Limit(command) => command.run(global).await,
        Command::Tenant(command) => command.run(global).await,
        Command::Diff(command) => command.run(global).await,
        Command::Audit(command) => command.run(global).await,
        Command::Alerts(command) => command.run(global).await,
        Command::Workers(command) => command.run(global).await,
        Command::Pipeline(command) => command.run(global).await,
        Command::Kinds(command) => command.run(global).await,
        Command::Dataset(command) => command.run(global).await,
        Command::Pov(command) => command.run(global).await,
        Command::Settle(command) => command.run(global).await,
        Command::Epoch(command) => command.run(global).await,
        Command::Ledger(command) => command.run(global).await,
        Command::Vesting(command) => command.run(global).await,
        Command::Staking(command) => command.run(global).await,
        Command::Withdrawals(command) => command.run(global).await,
        Command::Claims(command) => command.run(global).await,
        Command::Revenue(command) => command.run(global).await,
        Command::Dividends(command) => command.run(global).await,
        Command::Sales(command) => command.run(global).await,
        Command::Bench(command) => command.run(global).await,
        Command::Doctor(command) => command.run(global).await,
        Command::Completions(command) => command.run(global).await,
    }
}

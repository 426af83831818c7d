//! One file per command.

pub mod apply;
pub mod demo;
pub mod logs;
pub mod run;
pub mod runs;
pub mod show;
pub mod up;
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
        Command::Worker(command) => command.run(global).await,
        Command::Apply(command) => command.run(global).await,
        Command::Run(command) => command.run(global).await,
        Command::Runs(command) => command.run(global).await,
        Command::Show(command) => command.run(global).await,
        Command::Logs(command) => command.run(global).await,
        Command::Workers(command) => command.run(global).await,
    }
}

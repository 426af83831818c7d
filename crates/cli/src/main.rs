//! The `tale` binary: parses the command line, wires the crates together, and turns errors into words and exit codes.

mod amounts;
mod arguments;
mod commands;
mod engine;
mod failure;
mod installation;
mod interrupt;
mod operator;
mod output;
mod params;
mod pipelines;
mod progress;
mod report;

use std::process::ExitCode;

use crate::{arguments::Arguments, failure::Failure};

fn main() -> ExitCode {
    let arguments = Arguments::read();
    output::start_tracing(arguments.global.verbose);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new(format!("the runtime cannot start: {error}")).report(),
    };
    let ended = runtime.block_on(commands::run(arguments));
    // computations that were told to stop may still be on their way; nobody waits for what they compute
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    match ended {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

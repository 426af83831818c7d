//! The `tale` binary: parses the command line, wires the crates together, and turns errors into words and exit codes.

mod amounts;
mod arguments;
mod capacity;
mod commands;
mod engine;
mod failure;
mod installation;
mod interrupt;
mod listen;
mod money;
mod operator;
mod output;
mod params;
mod pipelines;
mod progress;
mod report;
mod telling;

use std::process::ExitCode;

use crate::{arguments::Arguments, failure::Failure};

fn main() -> ExitCode {
    let arguments = Arguments::read();
    tale_telemetry::start_logs(arguments.global.verbose);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new(format!("the runtime cannot start: {error}")).report(),
    };
    let traces = match tale_telemetry::start_traces(runtime.handle()) {
        Ok(traces) => traces,
        Err(error) => return Failure::of(&error).code(failure::UNUSABLE).report(),
    };
    let ended = runtime.block_on(commands::run(arguments));
    if let Some(traces) = traces {
        traces.finish();
    }
    // computations that were told to stop may still be on their way; nobody waits for what they compute
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    match ended {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

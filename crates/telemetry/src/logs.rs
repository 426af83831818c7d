//! Logs: lines on standard error, so that standard output holds results alone.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt};

/// The crates of the workspace are `tale_…`, so that a filter names each of them.
const CRATES: [&str; 10] = [
    "api",
    "worker",
    "scheduler",
    "queue",
    "storage",
    "database",
    "tasks",
    "learning",
    "telemetry",
    "treasury",
];

/// Writes logs from now on: warnings alone, the course of events (1), details (2) or everything, unless `TALE_LOG`
/// holds a filter of its own.
pub fn start_logs(verbose: u8) {
    let filter = EnvFilter::try_from_env("TALE_LOG").unwrap_or_else(|_| EnvFilter::new(usual(verbose)));
    fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .init();
}

fn usual(verbose: u8) -> String {
    let (own, others) = match verbose {
        0 => return "warn".to_owned(),
        1 => ("info", "warn"),
        2 => ("debug", "info"),
        _ => return "trace".to_owned(),
    };
    let own: Vec<String> = CRATES.iter().map(|name| format!("tale_{name}={own}")).collect();
    format!("{others},{}", own.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_further_v_tells_more() {
        assert_eq!(usual(0), "warn");
        assert!(usual(1).starts_with("warn,tale_api=info,tale_worker=info,"));
        assert!(usual(2).starts_with("info,tale_api=debug,"));
        assert_eq!(usual(9), "trace");
    }
}

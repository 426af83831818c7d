//! What goes to standard output: tables for people, JSON for programs.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;
use tracing_subscriber::{EnvFilter, fmt};

use crate::failure::Failure;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub enum Format {
    /// Tables, for people.
    #[default]
    Table,
    /// One JSON document, for programs.
    Json,
}

/// Logs go to standard error, so that standard output holds results alone.
pub fn start_tracing(verbose: u8) {
    let usual = match verbose {
        0 => "warn",
        1 => "tale=info,warn",
        2 => "tale=debug,info",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("TALE_LOG").unwrap_or_else(|_| EnvFilter::new(filter_of(usual)));
    fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .init();
}

/// The crates of the workspace are `tale_…`, so that a filter names each of them.
fn filter_of(level: &str) -> String {
    let crates =
        ["worker", "scheduler", "queue", "storage", "database", "tasks", "learning", "treasury", "api"];
    match level.strip_prefix("tale=").and_then(|rest| rest.split_once(',')) {
        Some((own, others)) => {
            let own: Vec<String> = crates.iter().map(|name| format!("tale_{name}={own}")).collect();
            format!("{others},{}", own.join(","))
        }
        None => level.to_owned(),
    }
}

/// Writes a table, or the same as JSON.
pub fn write<T: Serialize>(
    format: Format,
    value: &T,
    table: impl FnOnce(&T) -> Table,
) -> Result<(), Failure> {
    match format {
        Format::Table => line(&table(value).to_string()),
        Format::Json => json(value),
    }
}

/// Writes one JSON document.
pub fn json<T: Serialize>(value: &T) -> Result<(), Failure> {
    line(&serde_json::to_string_pretty(value)?)
}

/// Writes a line; a reader that has gone away, such as `head`, ends the process quietly.
pub fn line(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(error.into()),
    }
}

/// An empty table with these headings.
pub fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(headings.to_vec());
    // without a terminal nothing is wrapped, so that grep and awk see whole cells
    let arrangement =
        if io::stdout().is_terminal() { ContentArrangement::Dynamic } else { ContentArrangement::Disabled };
    table.set_content_arrangement(arrangement);
    table
}

/// A duration for people: `0.4 s`, `12 s`, `3 m 20 s`.
pub fn duration(seconds: f64) -> String {
    if seconds < 10.0 {
        format!("{seconds:.1} s")
    } else if seconds < 90.0 {
        format!("{seconds:.0} s")
    } else {
        format!("{} m {:02} s", seconds as u64 / 60, seconds as u64 % 60)
    }
}

//! The machine: processors, open files, room on the disk.

use rustix::{
    fs::statvfs,
    process::{Resource, getrlimit},
};

use super::{Check, place::existing_part};
use crate::{arguments::Global, engine::usual_slots, installation::data_directory};

/// Connections, segments and splits are open at once.
const OPEN_FILES_WANTED: u64 = 1024;
/// A demo needs about 200 MB; a day of real work more.
const FREE_MB_WANTED: u64 = 2_000;
/// With less, PostgreSQL itself cannot start.
const FREE_MB_NEEDED: u64 = 200;

/// Hints about the machine.
pub(super) fn checks(global: &Global) -> Vec<Check> {
    let mut checks = vec![processors(), open_files()];
    checks.extend(disk(global));
    checks
}

fn processors() -> Check {
    match usual_slots() {
        1 => Check::warn("processors", "1", "it works, one task at a time"),
        count => Check::ok("processors", format!("{count}, so many tasks at a time")),
    }
}

fn open_files() -> Check {
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < OPEN_FILES_WANTED => {
            Check::warn("open files", limit.to_string(), format!("ulimit -n {OPEN_FILES_WANTED}"))
        }
        Some(limit) => Check::ok("open files", limit.to_string()),
        None => Check::ok("open files", "without limit"),
    }
}

fn disk(global: &Global) -> Option<Check> {
    let folder = existing_part(&data_directory(global).ok()?);
    let found = statvfs(&folder).ok()?;
    let free_mb = found.f_bavail.saturating_mul(found.f_frsize) / 1_000_000;
    let shown = format!("{:.1} GB free at {}", free_mb as f64 / 1000.0, folder.display());
    let help = "free some, or choose another disk with --data-dir";
    Some(match free_mb {
        ..FREE_MB_NEEDED => Check::fail("disk", shown, help),
        FREE_MB_NEEDED..FREE_MB_WANTED => Check::warn("disk", shown, help),
        _ => Check::ok("disk", shown),
    })
}

//! Machines whose clocks are wrong: only the database's counts.

use std::{
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use chrono::{DateTime, Utc};
use tale_tests::{Fleet, Home, Server};
use tempfile::TempDir;

use crate::weather::{audit, calm_down, pipelines, prepare, texts, until_ready};

/// What a process with a wrong clock is told by the C library.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long shift(void) {
    const char *seconds = getenv("TEST_CLOCK_SHIFT");
    return seconds ? atol(seconds) : 0;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += shift();
    return result;
}
int gettimeofday(struct timeval *now, void *zone) {
    int result = syscall(SYS_gettimeofday, now, zone);
    if (result == 0 && now) now->tv_sec += shift();
    return result;
}
time_t time(time_t *now) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now) *now = precise.tv_sec;
    return precise.tv_sec;
}
"#;

/// Compiles the shim; nothing where there is no C compiler.
fn shim(folder: &TempDir) -> Option<PathBuf> {
    let (source, library) = (folder.path().join("clock.c"), folder.path().join("clock.so"));
    std::fs::write(&source, SHIM).ok()?;
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    compiled.is_ok_and(|status| status.success()).then_some(library)
}

#[test]
fn clocks_that_are_an_hour_off_change_nothing() {
    let folder = tale_testkit::tempdir();
    let Some(shim) = shim(&folder) else {
        println!("skipped: there is no C compiler (cc) to make a wrong clock with");
        return;
    };
    let mut server = Server::start().unwrap();
    let home = Home::with_database(server.url());
    let mut fleet = Fleet::new(&home);
    let off = |seconds: &'static str, arguments: Vec<String>| {
        let (home, shim) = (&home, shim.clone());
        move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let mut command = home.tale(&arguments);
            command.env("LD_PRELOAD", &shim).env("TEST_CLOCK_SHIFT", seconds).env("TALE_LOG", "info");
            command
        }
    };
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let folder = pipelines().display().to_string();
    let up = || words(&format!("up --slots 0 --lease-seconds 2 --pipelines {folder}"));
    let worker = || words("worker --slots 4 --lease-seconds 2");
    fleet.add("scheduler-ahead", off("3600", up()));
    until_ready(&server, &mut fleet);
    prepare(&server);
    fleet.add("scheduler-behind", off("-3600", up()));
    fleet.add("worker-ahead", off("3600", worker()));
    fleet.add("worker-behind", off("-3600", worker()));
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(10) {
        fleet.tend();
        thread::sleep(Duration::from_millis(20));
    }
    calm_down(&mut server, &mut fleet, &home);
    audit(&server);
    // the clocks were wrong indeed
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    for (member, shift) in [("worker-ahead", 3600), ("worker-behind", -3600), ("scheduler-behind", -3600)] {
        let log = fleet.log(member);
        let said: DateTime<Utc> = log.split_whitespace().find_map(|word| word.parse().ok()).expect(&log);
        let wrong_by = said.timestamp() - now;
        assert!((wrong_by - shift).abs() < 600, "{member} is off by {wrong_by} s");
    }
    let mut connection = server.connect().unwrap();
    let count = |connection: &mut _, query: &str| texts(&server, connection, query).remove(0);
    let lost = "select count(*)::text from queue.attempt where outcome = 'lost'";
    assert_eq!(count(&mut connection, lost), "0", "nobody was taken for dead");
    let fires = "select count(*)::text from schedule.fire where fire_at not between now() - interval '5 minutes' and now()";
    assert_eq!(count(&mut connection, fires), "0", "schedules follow the database's clock");
    let workers = "select count(distinct worker_id)::text from queue.attempt where outcome = 'succeeded'";
    assert!(count(&mut connection, workers).parse::<u32>().unwrap() >= 3, "both workers worked");
    assert_eq!(fleet.stop(), Vec::<String>::new());
}

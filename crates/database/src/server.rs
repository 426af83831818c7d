use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};

use crate::DatabaseError;
use crate::binaries::PostgresBinaries;
use crate::cluster::ClusterOptions;
use crate::error::file_error;
use crate::place::Place;
use crate::supervisor::{Duties, Supervised};

/// `initdb` takes half a second; a busy machine with slow disks, a minute.
const INITIALISE_AT_MOST: Duration = Duration::from_secs(120);
/// Recovery after a crash reads at most `max_wal_size` of log.
const START_AT_MOST: Duration = Duration::from_secs(120);
const STOP_AT_MOST: Duration = Duration::from_secs(30);
/// How long the children of a killed server may hold on to its memory: they notice at once, unless they wait for a disk.
const FORMER_SERVER_AT_MOST: Duration = Duration::from_secs(30);
/// A server's log that has grown beyond this is begun anew at the next start, the old one kept as `server.log.1`.
const LOG_BYTES_MAX: u64 = 8 << 20;

/// Makes the cluster, beside its final place: an interrupted `initdb` leaves only a `.partial`, removed next time.
pub(crate) async fn initialise(
    place: &Place,
    binaries: &PostgresBinaries,
    options: &ClusterOptions,
) -> Result<(), DatabaseError> {
    let partial = place.partial();
    if partial.exists() {
        std::fs::remove_dir_all(&partial).map_err(file_error("remove", &partial))?;
    }
    if place.data().exists() {
        return Ok(());
    }
    tracing::info!(cluster = %place.home.display(), version = %binaries.version(), "making a database cluster");
    let mut arguments: Vec<std::ffi::OsString> = vec!["-D".into(), partial.clone().into()];
    // Trust is safe here: the socket lies in a directory that only the server's user can enter, and there is no TCP.
    let fixed = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions"];
    arguments.extend(fixed.map(Into::into));
    if !options.durable {
        arguments.push("--no-sync".into());
    }
    let duties = Duties { signal_at_end: "TERM", ..Duties::default() };
    let program = binaries.program("initdb");
    let mut initdb = Supervised::start(place.user.as_ref(), &duties, open_log(place)?, &program, &arguments)
        .map_err(file_error("run", &program))?;
    let status = initdb.wait(INITIALISE_AT_MOST).await.map_err(file_error("wait for", &program))?;
    if !status.is_some_and(|status| status.success()) {
        return Err(DatabaseError::Initialise { path: place.home.clone(), log: log_tail(place) });
    }
    let rules = "# Only through the socket, whose directory is closed to others.\nlocal all all trust\n";
    let path = partial.join("pg_hba.conf");
    std::fs::write(&path, rules).map_err(file_error("write", path))?;
    std::fs::rename(&partial, place.data()).map_err(file_error("put in place", partial))
}

/// Starts the server and waits until it answers.
pub(crate) async fn start(
    place: &Place,
    binaries: &PostgresBinaries,
    options: &ClusterOptions,
) -> Result<Supervised, DatabaseError> {
    let until = Instant::now() + FORMER_SERVER_AT_MOST;
    loop {
        place.prepare_socket_directory()?;
        let log_begins = open_log(place)?.metadata().map_err(file_error("read", place.log()))?.len();
        let mut server = spawn(place, binaries, options)?;
        if answers(place, &mut server).await? {
            create_database(&place.url()).await?;
            return Ok(server);
        }
        drop(server);
        let log = log_from(place, log_begins);
        if !is_in_the_way(&log) || Instant::now() >= until {
            return Err(DatabaseError::Start { path: place.home.clone(), log: last_lines(&log) });
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn spawn(
    place: &Place,
    binaries: &PostgresBinaries,
    options: &ClusterOptions,
) -> Result<Supervised, DatabaseError> {
    let mut settings = vec![
        "listen_addresses=".to_owned(),
        "port=5432".to_owned(),
        format!("unix_socket_directories={}", place.socket_directory.display()),
        "unix_socket_permissions=0700".to_owned(),
        format!("max_connections={}", options.max_connections),
        "shared_buffers=128MB".to_owned(),
        // Sized for two cores that the workers want for themselves.
        "max_worker_processes=4".to_owned(),
        "max_parallel_workers_per_gather=0".to_owned(),
        "jit=off".to_owned(),
        "max_wal_size=1GB".to_owned(),
        // The queue's tables turn over within seconds; what is dead in them must not pile up for a minute.
        "autovacuum_naptime=10s".to_owned(),
        "timezone=UTC".to_owned(),
        "log_timezone=UTC".to_owned(),
        "log_checkpoints=off".to_owned(),
        "logging_collector=off".to_owned(),
    ];
    if !options.durable {
        settings.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off"].map(str::to_owned));
    }
    let mut arguments: Vec<std::ffi::OsString> = vec!["-D".into(), place.data().into()];
    for setting in settings {
        arguments.extend(["-c".into(), setting.into()]);
    }
    let duties = Duties {
        // What is thrown away need not be written down first.
        signal_at_end: if options.temporary { "QUIT" } else { "INT" },
        socket_directory: Some(&place.socket_directory),
        remove: options.temporary.then_some(place.remove_with.as_path()),
    };
    let program = binaries.program("postgres");
    Supervised::start(place.user.as_ref(), &duties, open_log(place)?, &program, &arguments)
        .map_err(file_error("run", program))
}

/// Waits until the server takes a connection; false when it has ended instead, or takes too long.
async fn answers(place: &Place, server: &mut Supervised) -> Result<bool, DatabaseError> {
    let options = maintenance(&place.url())?;
    let deadline = Instant::now() + START_AT_MOST;
    while Instant::now() < deadline {
        if server.ended().map_err(file_error("wait for", &place.home))?.is_some() {
            return Ok(false);
        }
        if let Ok(connection) = options.connect().await {
            connection.close().await?;
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(false)
}

async fn create_database(url: &str) -> Result<(), DatabaseError> {
    let mut connection = maintenance(url)?.connect().await?;
    let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = 'tale')")
        .fetch_one(&mut connection)
        .await?;
    if !exists {
        connection.execute("create database tale").await?;
    }
    connection.close().await?;
    Ok(())
}

fn maintenance(url: &str) -> Result<PgConnectOptions, DatabaseError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|source| DatabaseError::Address { address: url.to_owned(), source })?;
    Ok(options.database("postgres").application_name("tale: cluster").disable_statement_logging())
}

/// Stops the server: fast (sessions are ended, everything is written), and when that does not help, at once.
pub(crate) async fn stop(place: &Place, mut server: Supervised) -> Result<(), DatabaseError> {
    for signal in ["INT", "QUIT"] {
        server.signal(signal);
        let status = server.wait(STOP_AT_MOST).await.map_err(file_error("wait for", &place.home))?;
        if status.is_some() {
            return Ok(());
        }
        tracing::warn!(cluster = %place.home.display(), signal, "the database server is slow to stop");
    }
    let pid = running(&place.data()).map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs());
    Err(DatabaseError::Stop { path: place.home.clone(), pid })
}

/// Ends a server that a killed process has left behind in `data`; a server in any other directory is left alone.
pub(crate) fn stop_orphan(data: &Path) -> Result<(), DatabaseError> {
    let Some(pid) = running(data) else { return remove_strangers_pid_file(data) };
    tracing::info!(data = %data.display(), pid = pid.as_raw_nonzero().get(), "ending the server of a process that is gone");
    for signal in [Signal::INT, Signal::QUIT, Signal::KILL] {
        // An error means that it has ended in the meantime.
        let _ = kill_process(pid, signal);
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if running(data).is_none() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Err(DatabaseError::Stop { path: data.to_owned(), pid: pid.as_raw_nonzero().get().unsigned_abs() })
}

/// Removes a `postmaster.pid` whose number has gone to another program since, for which PostgreSQL would not start.
fn remove_strangers_pid_file(data: &Path) -> Result<(), DatabaseError> {
    let path = data.join("postmaster.pid");
    let Some(pid) = recorded_pid(data) else { return Ok(()) };
    let stranger =
        std::fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())).is_ok_and(|cwd| cwd != data);
    if stranger {
        tracing::info!(file = %path.display(), "removing a stale process file");
        std::fs::remove_file(&path).map_err(file_error("remove", path))?;
    }
    Ok(())
}

/// The server that runs in `data`, if one does.
///
/// `postmaster.pid` may be a leftover and its number may be another program's by now: a server is one whose working
/// directory is the cluster's.
pub(crate) fn running(data: &Path) -> Option<Pid> {
    let pid = recorded_pid(data)?;
    if matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH)) {
        return None;
    }
    let directory = std::fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())).ok()?;
    (directory == data).then_some(pid)
}

fn recorded_pid(data: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    Pid::from_raw(text.lines().next()?.trim().parse().ok()?)
}

/// The server's log, for appending.
fn open_log(place: &Place) -> Result<File, DatabaseError> {
    let path = place.log();
    if path.metadata().is_ok_and(|metadata| metadata.len() > LOG_BYTES_MAX) {
        std::fs::rename(&path, place.home.join("server.log.1")).map_err(file_error("rename", &path))?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        .map_err(file_error("open the server's log", path))
}

/// Whether the log says that a former server is not gone yet: after one was killed, its children need a moment to
/// notice, and until then their memory is in the way. They all say good-bye in the same log, behind that line too.
fn is_in_the_way(log: &str) -> bool {
    log.contains("pre-existing shared memory block") || log.contains("lock file")
}

fn log_tail(place: &Place) -> String {
    last_lines(&log_from(place, 0))
}

/// What was written to the server's log after `begin`.
fn log_from(place: &Place, begin: u64) -> String {
    let bytes = std::fs::read(place.log()).unwrap_or_default();
    let begin = usize::try_from(begin).unwrap_or(0).min(bytes.len());
    String::from_utf8_lossy(&bytes[begin..]).into_owned()
}

fn last_lines(log: &str) -> String {
    const LINES: usize = 12;
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// The major version that made the cluster in `data`; `None` when there is no cluster.
pub(crate) fn cluster_major(data: &Path) -> Option<u32> {
    std::fs::read_to_string(data.join("PG_VERSION")).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_killed_server_is_seen_however_many_of_its_children_say_good_bye() {
        let farewell = "FATAL:  terminating connection due to unexpected postmaster exit\n".repeat(40);
        let log =
            format!("FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use\n{farewell}");
        assert!(is_in_the_way(&log));
        assert!(!is_in_the_way(&farewell));
        assert_eq!(last_lines(&log).lines().count(), 12);
    }
}

//! `with-postgres [--migrated] COMMAND…` runs a command beside a temporary PostgreSQL, which goes when it ends.
//!
//! The command finds the server in `TALE_TEST_DATABASE_URL`; with `--migrated` also, in `DATABASE_URL`, a database that
//! has the whole schema. Exits as the command does.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;

use tale_testkit::TestServer;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("with-postgres: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  because: {error}");
                cause = error.source();
            }
            ExitCode::from(70)
        }
    }
}

async fn run() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let migrated = arguments.first().is_some_and(|first| first == "--migrated");
    if migrated {
        arguments.remove(0);
    }
    let Some((program, arguments)) = arguments.split_first() else {
        return Err("usage: with-postgres [--migrated] COMMAND…".into());
    };
    // Ctrl-C reaches the command too, in the terminal's process group; a TERM or HUP we pass on.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut stopped_early = async || {
        tokio::select! {
            _ = interrupt.recv() => None,
            _ = terminate.recv() => Some(rustix::process::Signal::TERM),
            _ = hang_up.recv() => Some(rustix::process::Signal::HUP),
        }
    };

    let server = tokio::select! {
        server = TestServer::start() => server?,
        _ = stopped_early() => return Ok(ExitCode::from(130)),
    };
    let mut command = Command::new(program);
    command.args(arguments).env("TALE_TEST_DATABASE_URL", server.url());
    if migrated {
        server.create_database("tale_migrated").await?;
        command.env("DATABASE_URL", server.url_of("tale_migrated"));
    }
    let mut child = command.spawn().map_err(|error| format!("cannot run {program}: {error}"))?;
    loop {
        tokio::select! {
            status = child.wait() => {
                let status = status?;
                let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
                return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
            }
            signal = stopped_early() => {
                let pid = child.id().and_then(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?));
                if let (Some(signal), Some(pid)) = (signal, pid) {
                    // An error means that it has ended, which the loop sees next.
                    let _ = rustix::process::kill_process(pid, signal);
                }
            }
        }
    }
}

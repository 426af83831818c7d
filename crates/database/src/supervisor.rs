use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::place::ServerUser;

const SCRIPT: &str = include_str!("supervisor.sh");
const POLL: Duration = Duration::from_millis(10);

/// A PostgreSQL program under the care of a small shell script, which ends it when this value is dropped and when this
/// process dies in any way (`supervisor.sh` says how).
///
/// It has a process group of its own, so that a terminal's Ctrl-C reaches only us.
#[derive(Debug)]
pub(crate) struct Supervised {
    child: Child,
    orders: Option<ChildStdin>,
}

/// What the supervisor does besides running the program.
#[derive(Debug, Default)]
pub(crate) struct Duties<'a> {
    /// Sent to the program when we are gone: `INT` is PostgreSQL's fast stop, `QUIT` its immediate one.
    pub signal_at_end: &'static str,
    /// Removed when the program has ended.
    pub socket_directory: Option<&'a Path>,
    /// Removed too: the files of a cluster that is not to stay.
    pub remove: Option<&'a Path>,
}

impl Supervised {
    /// Starts `program` as `user`, its output going to the end of `log`.
    pub(crate) fn start(
        user: Option<&ServerUser>,
        duties: &Duties<'_>,
        log: File,
        program: &Path,
        arguments: &[impl AsRef<OsStr>],
    ) -> std::io::Result<Self> {
        let path = |path: Option<&Path>| path.map(Path::as_os_str).unwrap_or_default().to_owned();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT, "tale-supervisor", duties.signal_at_end])
            .arg(path(duties.socket_directory))
            .arg(path(duties.remove))
            .arg(program)
            .args(arguments)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .env("LC_ALL", "C.UTF-8");
        // A variable such as PGDATA or PGPORT, meant for another server, must not reach this one.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        if let Some(user) = user {
            command.uid(user.uid).gid(user.gid);
        }
        let mut child = command.spawn()?;
        let orders = child.stdin.take();
        Ok(Self { child, orders })
    }

    /// The program's end, if it has ended.
    pub(crate) fn ended(&mut self) -> std::io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits until the program has ended and its supervisor has tidied up.
    pub(crate) async fn wait(&mut self, at_most: Duration) -> std::io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + at_most;
        loop {
            let status = self.ended()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Sends the program a signal.
    pub(crate) fn signal(&mut self, name: &str) {
        if let Some(orders) = &mut self.orders
            && let Err(error) = orders.write_all(format!("{name}\n").as_bytes())
        {
            // The supervisor has ended, and the program before it.
            tracing::debug!(%error, "no supervisor to take an order");
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        drop(self.orders.take());
        // The pipe's end is order enough; we wait only so that whoever starts the next one finds the place free.
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(POLL),
                Ok(Some(_)) | Err(_) => return,
            }
        }
    }
}

//! A data directory of a test's own, and the `tale` processes that work in it.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// The root of the repository, where `pipelines/` lies.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A data directory that goes when it is dropped, after every process in it has been killed.
pub struct Home {
    directory: TempDir,
    database_url: Option<String>,
}

impl Home {
    /// An empty one.
    ///
    /// # Panics
    /// Where the machine has no room for temporary directories.
    pub fn new() -> Self {
        Self { directory: tale_testkit::tempdir(), database_url: None }
    }

    /// An empty one whose commands use this database server.
    pub fn with_database(url: &str) -> Self {
        Self { database_url: Some(url.to_owned()), ..Self::new() }
    }

    /// The data directory.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A `tale` command in this data directory, started in the repository, with a clean environment.
    pub fn tale(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(repository()).stdin(Stdio::null());
        for variable in ["DATABASE_URL", "TALE_STORE", "TALE_LOG", "TALE_LEASE_SECONDS"] {
            command.env_remove(variable);
        }
        command.env("TALE_DATA_DIR", self.path());
        command.envs(self.database_url.iter().map(|url| ("DATABASE_URL", url)));
        command
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// Where the binary cannot be started.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.tale(arguments)
            .output()
            .unwrap_or_else(|error| panic!("{} cannot be run: {error}", binary().display()))
    }

    /// Runs a command that must succeed, and returns what it printed as JSON.
    ///
    /// # Panics
    /// Where it fails or prints something else.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--output", "json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "tale {arguments:?} failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("tale {arguments:?} printed no JSON ({error}): {text}"))
    }

    /// Starts a command that goes on, and waits until it has said `ready` on standard error.
    ///
    /// # Panics
    /// Where it ends, or says nothing of the kind within a minute.
    pub fn start(&self, arguments: &[&str], ready: &str) -> Process {
        let mut child = self
            .tale(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be run: {error}", binary().display()));
        let (sender, lines) = mpsc::channel();
        if let Some(stderr) = child.stderr.take() {
            // read to its end, so that the process never waits for a reader
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        let process = Process(child);
        let until = Instant::now() + Duration::from_secs(60);
        let mut said = Vec::new();
        loop {
            match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(ready) => return process,
                Ok(line) => said.push(line),
                Err(_) => panic!("tale {arguments:?} never said {ready:?}, but:\n{}", said.join("\n")),
            }
        }
    }

    /// The processes that still work in this data directory, the database's included, after two seconds of patience.
    pub fn processes(&self) -> Vec<String> {
        let until = Instant::now() + Duration::from_secs(2);
        loop {
            let found = self.find_processes();
            if found.is_empty() || Instant::now() > until {
                return found;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Those that have it in their command line or environment.
    fn find_processes(&self) -> Vec<String> {
        let needle = self.path().display().to_string();
        let own = std::process::id().to_string();
        let Ok(entries) = std::fs::read_dir("/proc") else { return vec![] };
        entries
            .filter_map(|entry| {
                let process = entry.ok()?.file_name().into_string().ok()?;
                if process == own || !process.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
                let command = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
                let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
                let command = String::from_utf8_lossy(&command).replace('\0', " ");
                let named =
                    command.contains(&needle) || String::from_utf8_lossy(&environment).contains(&needle);
                named.then(|| format!("{process} {command}"))
            })
            .collect()
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

/// A running `tale`, which is killed when it is dropped.
pub struct Process(Child);

impl Process {
    /// Kills it with SIGKILL, as a machine that loses power would.
    pub fn kill(mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Sends Ctrl-C and returns the exit code; `None` where a signal ended it.
    ///
    /// # Panics
    /// Where it does not end within half a minute.
    pub fn interrupt(mut self) -> Option<i32> {
        if let Some(process) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(process, Signal::INT);
        }
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) => return status.code(),
                Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(20)),
                Ok(None) => panic!("tale goes on half a minute after Ctrl-C"),
                Err(error) => panic!("tale cannot be waited for: {error}"),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The `tale` beside this test, which `infra/test.sh` builds before the tests run.
fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    test.parent().and_then(Path::parent).unwrap_or(Path::new(".")).join("tale")
}

//! Processes of `tale` that a test kills and freezes, and that come back as a machine room's supervisor brings them back.

use std::{
    fs::{self, OpenOptions},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::Home;

/// How long a process that has ended stays away.
const PAUSE: Duration = Duration::from_millis(100);

/// Processes that are started again whenever they have ended, however they did.
pub struct Fleet<'a> {
    home: &'a Home,
    members: Vec<Member<'a>>,
}

struct Member<'a> {
    name: String,
    command: Box<dyn Fn() -> Command + 'a>,
    child: Option<Child>,
    ended_at: Option<Instant>,
    frozen_until: Option<Instant>,
}

impl<'a> Fleet<'a> {
    /// A fleet without members, whose logs lie in the home.
    pub fn new(home: &'a Home) -> Self {
        Self { home, members: vec![] }
    }

    /// Adds a process; it starts with the next [`Fleet::tend`].
    pub fn add(&mut self, name: &str, command: impl Fn() -> Command + 'a) {
        let (name, command) = (name.to_owned(), Box::new(command));
        self.members.push(Member { name, command, child: None, ended_at: None, frozen_until: None });
    }

    /// Starts what does not run and thaws what has been frozen for long enough.
    ///
    /// # Panics
    /// Where a process cannot be started.
    pub fn tend(&mut self) {
        let logs = self.logs();
        for member in &mut self.members {
            if member.frozen_until.is_some_and(|until| until <= Instant::now()) {
                member.thaw();
            }
            if let Some(child) = &mut member.child
                && !matches!(child.try_wait(), Ok(None))
            {
                (member.child, member.ended_at) = (None, Some(Instant::now()));
            }
            if member.child.is_none() && member.ended_at.is_none_or(|at| at.elapsed() >= PAUSE) {
                let log = OpenOptions::new().create(true).append(true).open(logs.join(&member.name));
                let stderr = log.map_or_else(|_| Stdio::null(), Stdio::from);
                let started = (member.command)().stdout(Stdio::null()).stderr(stderr).spawn();
                let started = started.unwrap_or_else(|error| panic!("{} cannot start: {error}", member.name));
                member.child = Some(started);
            }
        }
    }

    /// Sends SIGKILL; says whether there was a process to take it.
    pub fn kill(&mut self, member: usize) -> bool {
        let member = &mut self.members[member];
        member.frozen_until = None;
        member.signal(Signal::KILL)
    }

    /// Sends SIGSTOP, and SIGCONT after this time; says whether there was a process to take it.
    pub fn freeze(&mut self, member: usize, time: Duration) -> bool {
        let member = &mut self.members[member];
        member.frozen_until = Some(Instant::now() + time);
        member.signal(Signal::STOP)
    }

    /// Thaws every process.
    pub fn calm(&mut self) {
        self.members.iter_mut().for_each(Member::thaw);
    }

    /// Thaws and interrupts every process and waits for its end; returns those that did not end with success.
    pub fn stop(&mut self) -> Vec<String> {
        for member in &mut self.members {
            member.thaw();
            member.signal(Signal::INT);
        }
        let mut unwell = Vec::new();
        for member in &mut self.members {
            if let Some(mut child) = member.child.take() {
                match child.wait() {
                    Ok(status) if status.success() => {}
                    ended => unwell.push(format!("{}: {ended:?}", member.name)),
                }
            }
        }
        unwell
    }

    /// The last lines that each process has said, for whoever looks for a fault.
    pub fn last_words(&self) -> String {
        let mut words = String::new();
        for member in &self.members {
            let text = self.log(&member.name);
            let lines: Vec<&str> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(12)..].join("\n  ");
            words.push_str(&format!("{}:\n  {last}\n", member.name));
        }
        words
    }

    /// Everything that a process has said.
    pub fn log(&self, member: &str) -> String {
        let text = fs::read(self.logs().join(member)).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    fn logs(&self) -> PathBuf {
        let logs = self.home.path().join("logs");
        let _ = fs::create_dir_all(&logs);
        logs
    }
}

impl Member<'_> {
    fn thaw(&mut self) {
        if self.frozen_until.take().is_some() {
            self.signal(Signal::CONT);
        }
    }

    fn signal(&mut self, signal: Signal) -> bool {
        // a child that has ended and was not waited for keeps its number, so this never meets a stranger
        let process = self.child.as_ref().and_then(|child| Pid::from_raw(i32::try_from(child.id()).ok()?));
        process.is_some_and(|process| kill_process(process, signal).is_ok())
    }
}

impl Drop for Fleet<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.last_words());
        }
        for member in &mut self.members {
            if let Some(mut child) = member.child.take() {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

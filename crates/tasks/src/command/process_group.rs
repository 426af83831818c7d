//! A program with everything that it starts, which ends with the attempt, whatever ends that.

use std::{
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    process::{Child, Command},
    runtime::Handle,
    task::JoinHandle,
    time::{self, Instant},
};

/// See the script's own head.
const GUARDIAN: &str = include_str!("guardian.sh");

/// A program, its process group and the group's guardian.
///
/// Dropping it asks the group to end (SIGTERM) and kills what is left (SIGKILL) when the program has ended or the grace
/// period is over. Should the worker itself be killed, the guardian does the same. Only a process that leaves the group
/// by `setsid` escapes.
pub(crate) struct ProcessGroup {
    /// Nothing once the group has been ended.
    members: Option<Members>,
}

struct Members {
    program: Child,
    guardian: Child,
    group: Pid,
    grace: Duration,
    /// Those who serve the program's pipes. They go on while it is asked to end: a pipe that nobody reads would kill it
    /// (SIGPIPE) before it has tidied up.
    attendants: Vec<JoinHandle<()>>,
}

/// How long what is left in the pipes of an ended program is read: it comes at once, and only a process that has left
/// the group can hold them open.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl ProcessGroup {
    /// Starts a program as the leader of a group of its own.
    pub(crate) fn start(command: &mut Command, grace: Duration) -> io::Result<Self> {
        let program = command.process_group(0).spawn()?;
        let group = program.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let group = group.ok_or_else(|| io::Error::other("the program has no process id"))?;
        // nobody has waited for the program yet, so that the group exists even if it has ended already
        let guardian = Command::new("sh")
            .args(["-c", GUARDIAN, "guardian", &grace.as_secs_f64().to_string()])
            .process_group(group.as_raw_nonzero().get())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match guardian {
            Ok(guardian) => {
                Ok(Self { members: Some(Members { program, guardian, group, grace, attendants: vec![] }) })
            }
            Err(error) => {
                let _ = kill_process_group(group, Signal::KILL);
                Err(io::Error::other(format!("no guardian could be started for it: {error}")))
            }
        }
    }

    /// The program, for its pipes.
    pub(crate) fn program(&mut self) -> io::Result<&mut Child> {
        let members = self.members.as_mut();
        members.map(|members| &mut members.program).ok_or_else(|| io::Error::other("the program has ended"))
    }

    /// Serves a pipe of the program for as long as the group is there, cancelled or not.
    pub(crate) fn attend(&mut self, service: impl Future<Output = ()> + Send + 'static) {
        if let Some(members) = &mut self.members {
            members.attendants.push(tokio::spawn(service));
        }
    }

    /// Waits for the program's end, kills what it has left behind and reads the rest of what it has printed.
    pub(crate) async fn end(&mut self) -> io::Result<ExitStatus> {
        let status = self.program()?.wait().await?;
        if let Some(mut members) = self.members.take() {
            members.kill().await;
        }
        Ok(status)
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        let Some(members) = self.members.take() else { return };
        let _ = kill_process_group(members.group, Signal::TERM);
        // without a runtime the guardian's pipe closes here, and it does the rest
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(members.end_within_grace());
        }
    }
}

impl Members {
    async fn end_within_grace(mut self) {
        let _ = time::timeout(self.grace, self.program.wait()).await;
        self.kill().await;
    }

    async fn kill(&mut self) {
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.program.wait().await;
        // `wait` would close the guardian's pipe first, which does no harm any more
        let _ = self.guardian.wait().await;
        let until = Instant::now() + LAST_WORDS;
        for attendant in &mut self.attendants {
            if time::timeout_at(until, &mut *attendant).await.is_err() {
                attendant.abort();
            }
        }
    }
}

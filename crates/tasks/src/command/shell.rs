//! `shell`: runs a program.

use std::{collections::BTreeMap, process::Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_worker::{Completion, Kind, TaskContext, TaskError};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::{Child, Command},
};

/// Runs a program by its argument vector: no shell reads it unless it names one.
///
/// The program runs in a process group of its own, which is killed when the attempt is stopped or times out. It sees
/// the given environment and the worker's `PATH` and `HOME`; nothing else of the worker's environment, where secrets
/// may be. It may run more than once, as any task may.
pub struct Shell;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The program and its arguments.
    #[schemars(length(min = 1))]
    argv: Vec<String>,
    /// Variables of its environment.
    #[serde(default)]
    env: BTreeMap<String, String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// The program's exit code, which is 0: any other fails the attempt.
    exit_code: i32,
    /// The last lines of its standard output.
    stdout: String,
}

/// Characters of standard output that are returned to the steps after it.
const TAIL: usize = 4096;
/// Bytes of one line that are kept.
const LINE_MAX: u64 = 8192;

impl Kind for Shell {
    const NAME: &'static str = "shell";
    const SUMMARY: &'static str = "Runs a program; its lines go to the task's log.";
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let Some((program, rest)) = arguments.argv.split_first() else {
            return Err(TaskError::fail("argv is empty: it needs a program"));
        };
        let mut command = Command::new(program);
        command
            .args(rest)
            .env_clear()
            .envs(["PATH", "HOME"].iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .envs(&arguments.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let child = command.spawn().map_err(|error| {
            TaskError::fail(format!("the program {program:?} cannot be started: {error}"))
        })?;
        let mut group = ProcessGroup(child);
        let (stdout, stderr) = (group.0.stdout.take(), group.0.stderr.take());
        let (tail, ()) = tokio::try_join!(copy_lines(stdout, &context), async {
            copy_lines(stderr, &context).await.map(drop)
        })?;
        let status = group.0.wait().await.map_err(TaskError::retry)?;
        match status.code() {
            Some(0) => Ok(Completion::of(Outputs { exit_code: 0, stdout: tail })),
            Some(code) => Err(TaskError::retry(format!("{program} exited with code {code}"))),
            None => Err(TaskError::retry(format!("{program} was killed by a signal ({status})"))),
        }
    }
}

/// A child whose whole group dies with the attempt.
struct ProcessGroup(Child);

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // a child that has been waited for has no id any more, so that no stranger is hit
        if let Some(group) = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Sends lines to the log as they come; returns the last of them.
async fn copy_lines<R: AsyncRead + Unpin>(
    stream: Option<R>,
    context: &TaskContext,
) -> Result<String, TaskError> {
    let Some(stream) = stream else { return Ok(String::new()) };
    let mut reader = BufReader::new(stream);
    let mut tail = String::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read =
            (&mut reader).take(LINE_MAX).read_until(b'\n', &mut line).await.map_err(TaskError::retry)?;
        if read == 0 {
            return Ok(tail);
        }
        let text = String::from_utf8_lossy(&line);
        context.log(text.trim_end_matches(['\n', '\r']));
        tail.push_str(&text);
        if tail.len() > 2 * TAIL {
            let cut = tail.len() - TAIL;
            let cut = (cut..tail.len()).find(|&at| tail.is_char_boundary(at)).unwrap_or(cut);
            tail.drain(..cut);
        }
    }
}

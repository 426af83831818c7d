//! `shell`: runs a program.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tale_worker::{Caching, Completion, ErrorClass, Kind, TaskContext, TaskError};
use tokio::{io::AsyncWriteExt, process::Command};

use super::{
    exit_codes::{ExitCodes, Meaning},
    printed::{End, Printed, VALUE_BYTES_MAX},
    process_group::ProcessGroup,
};
use crate::idempotency;

/// Runs a program by its argument vector: no shell reads it unless it names one.
///
/// The program runs in a process group of its own. When the attempt is stopped, times out or loses its worker, the group
/// is asked to end and, after a grace period, killed; when the program ends by itself, what it left behind in the group
/// is killed at once. It sees the given environment, the worker's `PATH` and `HOME`, and `TALE_*` variables that say
/// which attempt it is, and `TRACEPARENT` where attempts are traced; nothing else of the worker's environment, where secrets
/// may be. It may run more than once, as any task may: `TALE_IDEMPOTENCY_KEY` is the same each time.
pub struct Shell;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The program and its arguments, which any user of the worker's machine can see.
    #[schemars(length(min = 1))]
    argv: Vec<String>,
    /// Variables of its environment.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// The directory that it starts in; the worker's own unless given.
    cwd: Option<PathBuf>,
    /// What it reads on standard input; nothing unless given.
    stdin: Option<String>,
    /// What its exit codes mean.
    #[serde(default)]
    exit_codes: ExitCodes,
    /// What the output `value` is made of: the last line of standard output as it is, or read as JSON.
    #[serde(default)]
    output: OutputForm,
    /// How many bytes of what it prints are kept in the log.
    #[serde(default = "usual_log_bytes_max")]
    #[schemars(range(max = 268_435_456))]
    log_bytes_max: u64,
    /// How long it may go on, in seconds, after it was asked to end.
    #[serde(default = "usual_grace_seconds")]
    #[schemars(range(min = 0.0, max = 600.0))]
    grace_seconds: f64,
}

/// How the last line of standard output is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum OutputForm {
    /// As it is.
    #[default]
    Text,
    /// As JSON; a line that is no JSON fails the task for good.
    Json,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// The program's exit code, one of those that mean success.
    exit_code: i32,
    /// The last 4,096 bytes of its standard output.
    stdout: String,
    /// The last line of its standard output that is not empty: a text, or what `output: json` reads in it. Null where
    /// there is none, and for a text of more than 262,144 bytes.
    value: Value,
}

fn usual_log_bytes_max() -> u64 {
    8 << 20
}

fn usual_grace_seconds() -> f64 {
    5.0
}

impl Kind for Shell {
    const NAME: &'static str = "shell";
    const SUMMARY: &'static str = "Runs a program; its lines go to the task's log.";
    const CACHING: Caching = Caching::ByArgumentsAndDay;
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let Some(program) = arguments.argv.first().cloned() else {
            return Err(TaskError::fail("argv is empty: it needs a program"));
        };
        if let Some(code) = arguments.exit_codes.contradiction() {
            return Err(TaskError::fail(format!("exit code {code} is in more than one list of exit_codes")));
        }
        let printed = Arc::new(Printed::new(context.clone(), arguments.log_bytes_max));
        let status = run_to_end(&context, &arguments, &program, &printed).await?;
        judge(&arguments, &program, status, printed.end()).map(Completion::of)
    }
}

async fn run_to_end(
    context: &TaskContext,
    arguments: &Arguments,
    program: &str,
    printed: &Arc<Printed>,
) -> Result<ExitStatus, TaskError> {
    let grace = Duration::try_from_secs_f64(arguments.grace_seconds).map_err(|_| {
        TaskError::fail(format!("{} seconds of grace are impossible", arguments.grace_seconds))
    })?;
    let mut command = command(context, arguments)?;
    let mut group =
        ProcessGroup::start(&mut command, grace).map_err(|error| refuse_start(program, &error))?;
    let child = group.program().map_err(TaskError::retry)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    if let Some(stream) = stdout {
        let printed = printed.clone();
        group.attend(async move { printed.read_stdout(stream).await });
    }
    if let Some(stream) = stderr {
        let printed = printed.clone();
        group.attend(async move { printed.read_stderr(stream).await });
    }
    if let (Some(mut stream), Some(text)) = (stdin, arguments.stdin.clone()) {
        // a program need not read what it is given
        group.attend(async move { drop(stream.write_all(text.as_bytes()).await) });
    }
    group.end().await.map_err(TaskError::retry)
}

fn command(context: &TaskContext, arguments: &Arguments) -> Result<Command, TaskError> {
    let mut words = arguments.argv.iter();
    let mut command = Command::new(words.next().map(String::as_str).unwrap_or_default());
    command
        .args(words)
        .env_clear()
        .envs(["PATH", "HOME"].iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .env("TALE_RUN", context.run.to_string())
        .env("TALE_PIPELINE", &context.pipeline)
        .env("TALE_LOGICAL_DATE", context.logical_date.to_string())
        .env("TALE_STEP", &context.step)
        .env("TALE_INDEX", context.index.to_string())
        .env("TALE_ATTEMPT", context.attempt_number.to_string())
        .env("TALE_IDEMPOTENCY_KEY", idempotency::key(context))
        .envs(context.trace_parent().map(|place| ("TRACEPARENT", place)))
        .envs(&arguments.env)
        .stdin(if arguments.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(directory) = &arguments.cwd {
        // the system's own error would blame the program
        if !Path::is_dir(directory) {
            let message = format!("cwd: {} is no directory on this worker's machine", directory.display());
            return Err(TaskError::fail(message));
        }
        command.current_dir(directory);
    }
    Ok(command)
}

/// A program that is not there will not come; a machine that is out of processes or memory may recover.
fn refuse_start(program: &str, error: &io::Error) -> TaskError {
    let message = format!("the program {program:?} cannot be started: {error}");
    match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::ArgumentListTooLong => TaskError::fail(message),
        _ => TaskError::retry(message),
    }
}

fn judge(arguments: &Arguments, program: &str, status: ExitStatus, end: End) -> Result<Outputs, TaskError> {
    let complaint = if end.complaint.is_empty() { String::new() } else { format!(": {}", end.complaint) };
    let Some(code) = status.code() else {
        let message = format!("{program} was killed by a signal ({status}){complaint}");
        return Err(TaskError::retry(message).of_class(ErrorClass::SIGNAL));
    };
    let class = ErrorClass::new(&format!("exit-{code}"));
    match arguments.exit_codes.meaning(code) {
        Meaning::Success => {
            let value = value(arguments.output, program, end.last_line)?;
            Ok(Outputs { exit_code: code, stdout: end.tail, value })
        }
        Meaning::Retry => {
            let message = format!("{program} exited with code {code}{complaint}");
            Err(TaskError::retry(message).of_class(class))
        }
        Meaning::Fail => {
            let message = format!("{program} exited with code {code}, for good{complaint}");
            Err(TaskError::fail(message).of_class(class))
        }
    }
}

fn value(form: OutputForm, program: &str, last_line: Option<String>) -> Result<Value, TaskError> {
    match (form, last_line) {
        (OutputForm::Text, None) => Ok(Value::Null),
        (OutputForm::Text, Some(line)) if line.is_empty() => Ok(Value::Null),
        (OutputForm::Text, Some(line)) => Ok(Value::String(line)),
        (OutputForm::Json, None) => Err(TaskError::fail(format!(
            "the last line that {program} printed is longer than {VALUE_BYTES_MAX} bytes: write it to a file"
        ))),
        (OutputForm::Json, Some(line)) => serde_json::from_str(&line).map_err(|error| {
            TaskError::fail(format!("the last line that {program} printed is no JSON ({error})"))
        }),
    }
}

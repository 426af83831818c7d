use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tale_queue::{NewStep, RunState};

use crate::plant::{Plant, step, with};

fn sh(script: &str) -> Value {
    json!({ "argv": ["sh", "-c", script] })
}

/// Whether the process whose id this file holds exists and is no zombie.
fn lives(file: &Path) -> bool {
    let pid = fs::read_to_string(file).unwrap();
    match fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
        Ok(stat) => !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'),
        Err(_) => false,
    }
}

/// A program that starts a child which starts a grandchild, each of which writes its id and goes on for ever.
fn family(directory: &Path, on_term: &str) -> (Value, [PathBuf; 3]) {
    let files = ["parent", "child", "grandchild"].map(|name| directory.join(name));
    let [parent, child, grandchild] = files.each_ref().map(|file| file.display().to_string());
    let last = format!("{on_term} echo $$ > {grandchild}; while :; do sleep 0.1; done");
    let middle = format!("{on_term} echo $$ > {child}; sh -c '{last}' & wait; wait");
    let first = format!("{on_term} echo $$ > {parent}; sh -c \"$1\" & while :; do sleep 0.1; done");
    (json!({ "argv": ["sh", "-c", first, "sh", middle] }), files)
}

async fn until_born(plant: &Plant, files: &[PathBuf]) {
    plant
        .until("all three live", async || {
            files.iter().all(|file| fs::read_to_string(file).is_ok_and(|pid| pid.ends_with('\n')))
        })
        .await;
    assert!(files.iter().all(|file| lives(file)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_sees_its_arguments_environment_directory_input_and_attempt_and_no_more() {
    let plant = Plant::set_up().await;
    let script = r#"printf '%s|' "$1" "$GREETING" "$(pwd)" "$(cat)" "$TALE_STEP" "$TALE_INDEX" "$TALE_ATTEMPT";
        env | grep -c -e CARGO -e USER= ; true"#;
    let arguments = with(
        json!({ "argv": ["sh", "-c", script, "sh", "a b; $c"] }),
        json!({ "env": { "GREETING": "hello" }, "cwd": "/usr", "stdin": "from a pipe" }),
    );
    let outputs = plant.outputs("shell", arguments).await;
    assert_eq!(outputs["stdout"], "a b; $c|hello|/usr|from a pipe|only|0|1|0\n");
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_both_streams_reach_the_log_while_the_program_runs() {
    let plant = Plant::set_up().await;
    let go = plant.directory.path().join("go");
    let script = format!("echo first; echo second >&2; until [ -e {} ]; do sleep 0.05; done", go.display());
    let run = plant.start(step("shell", sh(&script))).await;
    let lines = plant.lines_until(run, "second").await;
    assert!(lines.contains(&"first".to_owned()), "{lines:?}");
    assert_eq!(plant.report(run).await.state, RunState::Running);
    fs::write(go, "").unwrap();
    assert_eq!(plant.end_of(run).await.state, RunState::Succeeded);
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exit_codes_decide_between_success_another_attempt_and_failure() {
    let plant = Plant::set_up().await;
    let policy = json!({ "exit_codes": { "success": [0, 3], "fail": [4] } });
    assert_eq!(plant.outputs("shell", with(sh("exit 3"), policy.clone())).await["exit_code"], 3);
    let (error, attempts) =
        plant.failure("shell", with(sh("echo no such table >&2; exit 4"), policy.clone())).await;
    assert_eq!((error.as_str(), attempts), ("sh exited with code 4, for good: no such table", 1));
    let (error, attempts) = plant.failure("shell", with(sh("exit 5"), policy)).await;
    assert_eq!((error.as_str(), attempts), ("sh exited with code 5", 3));
    let (error, attempts) = plant.failure("shell", sh("kill -9 $$")).await;
    assert!(error.contains("killed by a signal"), "{error}");
    assert_eq!(attempts, 3);
    let strict = json!({ "exit_codes": { "retry": [75], "otherwise": "fail" } });
    assert_eq!(plant.failure("shell", with(sh("exit 75"), strict.clone())).await.1, 3);
    assert_eq!(plant.failure("shell", with(sh("exit 76"), strict)).await.1, 1);
    let (error, _) =
        plant.failure("shell", with(sh("exit 0"), json!({ "exit_codes": { "retry": [0] } }))).await;
    assert_eq!(error, "exit code 0 is in more than one list of exit_codes");
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_line_is_a_value_as_text_or_as_json() {
    let plant = Plant::set_up().await;
    let text = plant.outputs("shell", sh("echo working; echo '{\"rows\": 7}'; echo")).await;
    assert_eq!(text["value"], "{\"rows\": 7}");
    assert_eq!(text["stdout"], "working\n{\"rows\": 7}\n\n");
    let read = json!({ "output": "json" });
    let value = plant.outputs("shell", with(sh("echo working; printf '{\"rows\": 7}'"), read.clone())).await;
    assert_eq!(value["value"], json!({ "rows": 7 }));
    let (error, attempts) = plant.failure("shell", with(sh("echo done"), read.clone())).await;
    assert!(error.starts_with("the last line that sh printed is no JSON"), "{error}");
    assert_eq!(attempts, 1);
    let long = "head -c 300000 /dev/zero | tr '\\0' 7";
    let (error, _) = plant.failure("shell", with(sh(long), read)).await;
    assert!(error.contains("longer than 262144 bytes"), "{error}");
    assert_eq!(plant.outputs("shell", sh("true")).await["value"], Value::Null);
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_cut_at_its_limit_and_the_program_goes_on() {
    let plant = Plant::set_up().await;
    let script = "i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i + 1)); done; echo é";
    let run = plant.start(step("shell", with(sh(script), json!({ "log_bytes_max": 100 })))).await;
    let report = plant.end_of(run).await;
    assert_eq!(report.state, RunState::Succeeded);
    assert_eq!(report.tasks[0].outputs.as_ref().unwrap()["value"], "é");
    let lines = plant.lines_until(run, "(the output is longer").await;
    assert_eq!((lines.len(), lines[0].as_str()), (14, "line 0"), "{lines:?}");
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_started_is_not_tried_again() {
    let plant = Plant::set_up().await;
    let (error, attempts) = plant.failure("shell", json!({ "argv": ["no-such-program"] })).await;
    assert!(error.starts_with("the program \"no-such-program\" cannot be started: No such file"), "{error}");
    assert_eq!(attempts, 1);
    let (error, attempts) =
        plant.failure("shell", json!({ "argv": ["true"], "cwd": "/no/such/place" })).await;
    assert_eq!(
        (error.as_str(), attempts),
        ("cwd: /no/such/place is no directory on this worker's machine", 1)
    );
    assert_eq!(plant.failure("shell", json!({ "argv": [] })).await.0, "argv is empty: it needs a program");
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_out_ends_the_program_and_its_grandchildren() {
    let plant = Plant::set_up().await;
    let (arguments, files) = family(plant.directory.path(), "");
    let slow = NewStep { timeout_ms: Some(1500), retry: once(), ..step("shell", arguments) };
    let run = plant.start(slow).await;
    until_born(&plant, &files).await;
    let error = plant.end_of(run).await.tasks[0].error.clone().unwrap();
    assert!(error.contains("longer than its time-out"), "{error}");
    plant.until("nobody is left", async || !files.iter().any(|file| lives(file))).await;
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_ignores_sigterm_is_killed_with_its_grandchildren_after_the_grace_period() {
    let plant = Plant::set_up().await;
    let (arguments, files) = family(plant.directory.path(), "trap : TERM;");
    let run = plant.start(step("shell", with(arguments, json!({ "grace_seconds": 1.5 })))).await;
    until_born(&plant, &files).await;
    plant.steal_leases().await;
    let stolen = Instant::now();
    plant.until("nobody is left", async || !files.iter().any(|file| lives(file))).await;
    assert!(stolen.elapsed() > Duration::from_millis(1400), "SIGTERM alone ended what ignores it");
    assert_eq!(plant.report(run).await.tasks[0].crashes, 1);
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_is_asked_to_end_may_tidy_up() {
    let plant = Plant::set_up().await;
    let (ready, tidy) = (plant.directory.path().join("ready"), plant.directory.path().join("tidy"));
    let script = format!(
        "trap 'sleep 0.3; echo > {}; exit 0' TERM; echo > {}; while :; do sleep 0.05; done",
        tidy.display(),
        ready.display()
    );
    let run = plant.start(step("shell", sh(&script))).await;
    plant.until("it runs", async || ready.exists()).await;
    plant.steal_leases().await;
    plant.until("it has tidied up", async || tidy.exists()).await;
    assert_eq!(plant.report(run).await.tasks[0].crashes, 1);
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_program_leaves_behind_ends_with_it_and_holds_nothing_up() {
    let plant = Plant::set_up().await;
    let file = plant.directory.path().join("left");
    // it holds the program's standard output open for a minute
    let script = format!("sleep 60 & echo $! > {}; echo done", file.display());
    let started = Instant::now();
    assert_eq!(plant.outputs("shell", sh(&script)).await["value"], "done");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    plant.until("it is gone", async || !lives(&file)).await;
    plant.stop().await;
}

fn once() -> tale_queue::Retry {
    tale_queue::Retry { attempts_max: 1, backoff_base_ms: 0, backoff_cap_ms: 0 }
}

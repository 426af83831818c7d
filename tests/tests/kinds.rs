//! What a killed worker leaves behind of its programs, and of its secrets.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use tale_tests::Home;

const PATIENCE: Duration = Duration::from_secs(60);

fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "waited too long until {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Whether the process whose id this file holds goes on.
fn lives(file: &Path) -> bool {
    let Ok(pid) = fs::read_to_string(file) else { return false };
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

#[test]
fn a_program_and_its_grandchildren_end_with_a_worker_that_is_killed() {
    let home = Home::new();
    let folder = home.path().parent().unwrap().to_owned();
    let pipelines = folder.join("pipelines");
    fs::create_dir_all(&pipelines).unwrap();
    let [parent, child] = ["parent", "child"].map(|name| folder.join(name));
    let script = format!(
        "sh -c 'echo $$ > {}; while :; do sleep 0.1; done' & echo $$ > {}; wait",
        child.display(),
        parent.display()
    );
    let text = format!(
        "pipeline: long\nsteps:\n  one:\n    uses: shell\n    with: {{ argv: [sh, -c, {script:?}], grace_seconds: 0.5 }}\n"
    );
    fs::write(pipelines.join("long.yaml"), text).unwrap();
    let up = home.start(&["up", "--pipelines", pipelines.to_str().unwrap()], "taleworks is up");
    home.json(&["run", "long"]);
    until("the program and its child run", || lives(&parent) && lives(&child));
    up.kill();
    until("nobody is left", || !lives(&parent) && !lives(&child));
}

#[test]
fn a_secret_of_a_mounted_directory_reaches_its_program_and_no_log() {
    let home = Home::new();
    let folder = home.path().parent().unwrap().to_owned();
    let [pipelines, secrets] = ["pipelines", "secrets"].map(|name| folder.join(name));
    fs::create_dir_all(&pipelines).unwrap();
    fs::create_dir_all(&secrets).unwrap();
    fs::write(secrets.join("TOKEN"), "tell-nobody\n").unwrap();
    let text = "pipeline: quiet\nsteps:\n  one:\n    uses: shell\n    with:\n      \
                argv: [sh, -c, 'echo \"${#TOKEN} characters: $TOKEN\"']\n      env: { TOKEN: \"${secrets.TOKEN}\" }\n";
    fs::write(pipelines.join("quiet.yaml"), text.replace("${#", "$${#")).unwrap();
    let up = home.start(
        &["up", "--pipelines", pipelines.to_str().unwrap(), "--secrets-dir", secrets.to_str().unwrap()],
        "taleworks is up",
    );
    let run = home.json(&["run", "quiet", "--wait"]);
    let run = run["run"].as_str().unwrap().to_owned();
    // lines are gathered for a moment before they are stored
    until("the line is logged", || {
        let logs = home.run(&["logs", &run]);
        String::from_utf8_lossy(&logs.stdout).contains("11 characters: ***")
    });
    for command in [&["show", &run][..], &["logs", &run]] {
        let shown = home.run(command);
        assert!(!String::from_utf8_lossy(&shown.stdout).contains("tell-nobody"));
    }
    assert_eq!(up.interrupt(), Some(0));
}

//! Cancelling, pausing, retrying, approving and their record, through the binary.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{
    schedules::{Up, json, tale},
    tale::Place,
};

const SLOW: &str = "\
pipeline: slow
steps:
  long: { uses: shell, with: { argv: [sleep, '600'] } }
  tidy: { uses: shell, with: { argv: [touch, tidied] , cwd: CWD }, finally: true }
";

const RELEASE: &str = "\
pipeline: release
steps:
  ask: { uses: approve, with: { prompt: 'ship it?' } }
  ship: { uses: noop, needs: [ask] }
";

const FLAKY: &str = "\
pipeline: flaky
steps:
  check: { uses: shell, with: { argv: [test, -e, mended], cwd: CWD } }
  after: { uses: noop, needs: [check] }
";

/// Waits until a run is in this state.
fn reaches(place: &Place, run: &str, state: &str) -> Value {
    let started = Instant::now();
    loop {
        let shown = json(place, &["show", run]);
        if shown["state"] == state {
            return shown;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "it does not come to {state}: {shown:#}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn start(place: &Place, pipeline: &str) -> String {
    json(place, &["run", pipeline, "--reason", "a test"])["run"].as_str().unwrap().to_owned()
}

#[test]
fn an_operator_cancels_pauses_retries_approves_and_finds_it_all_in_the_audit_log() {
    let place = Place::new();
    let here = place.path().display().to_string();
    for (name, text) in [("slow", SLOW), ("release", RELEASE), ("flaky", FLAKY)] {
        place.write(&format!("pipelines/{name}.yaml"), text.replace("CWD", &here));
    }
    let _up = Up::start(&place);

    // a paused pool starts nothing; a cancelled run stops within seconds and still tidies up
    json(&place, &["pause", "pool", "cpu"]);
    let slow = start(&place, "slow");
    json(&place, &["resume", "pool", "cpu"]);
    let started = Instant::now();
    while json(&place, &["workers"]).as_array().unwrap().iter().all(|worker| worker["running"] == 0) {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing starts");
    }
    json(&place, &["cancel", &slow]);
    let shown = reaches(&place, &slow, "cancelled");
    assert!(shown["attempts"].to_string().contains("the run was cancelled"), "{shown:#}");
    assert!(place.path().join("tidied").exists());
    assert_eq!(tale(&place, &["cancel", &slow]).code, Some(1), "there is nothing to stop any more");

    // a question waits for an answer
    let release = start(&place, "release");
    let started = Instant::now();
    while json(&place, &["approve"]).as_array().unwrap().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing is asked");
    }
    json(&place, &["approve", &release, "ask", "--reason", "it looks well"]);
    reaches(&place, &release, "succeeded");
    assert_eq!(tale(&place, &["approve", &release, "ask"]).code, Some(2));

    // what failed is run again
    let flaky = start(&place, "flaky");
    reaches(&place, &flaky, "failed");
    place.write("mended", "");
    json(&place, &["retry", &flaky]);
    reaches(&place, &flaky, "succeeded");
    assert_eq!(tale(&place, &["retry", &flaky]).code, Some(1), "every step ended well");
    assert_eq!(tale(&place, &["retry", &flaky, "--from", "nonsense"]).code, Some(1));

    let audit = json(&place, &["audit"]);
    let done: Vec<&str> =
        audit.as_array().unwrap().iter().rev().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(
        done,
        [
            "pool.pause",
            "run.start",
            "pool.resume",
            "run.cancel",
            "run.start",
            "run.approve",
            "run.start",
            "run.retry"
        ]
    );
}

#[test]
fn versions_are_compared_and_a_dry_run_starts_nothing() {
    let place = Place::new();
    place.write("pipelines/release.yaml", RELEASE);
    tale(&place, &["apply", "pipelines"]).succeeded();
    place.write("pipelines/release.yaml", RELEASE.replace("ship it?", "really?"));
    tale(&place, &["apply", "pipelines"]).succeeded();
    let diff = tale(&place, &["diff", "release"]).succeeded();
    assert!(diff.stdout.contains("-        \"prompt\": \"ship it?\""), "{}", diff.stdout);
    assert!(diff.stdout.contains("+        \"prompt\": \"really?\""), "{}", diff.stdout);
    assert_eq!(tale(&place, &["diff", "release", "0000"]).code, Some(2));

    let plan = json(&place, &["run", "release", "--dry-run"]);
    assert_eq!(plan["steps"].as_array().unwrap().len(), 2);
    assert_eq!(json(&place, &["runs"]), Value::Array(vec![]));
}

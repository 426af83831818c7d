//! Deadlines, retries by class and sizes through the binary.

use std::{
    fs::File,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    schedules::{Up, json as told, tale},
    tale::Place,
};

const LATE: &str = "\
pipeline: late
deadline: { after: 500ms, policy: cancel, run: help, params: { about: '${event.pipeline}' } }
steps:
  long: { uses: shell, with: { argv: [sleep, '600'] } }
";

const HELP: &str = "\
pipeline: help
params: { about: { type: string } }
steps:
  call: { uses: shell, with: { argv: [echo, '${params.about}'] } }
";

const CLASSED: &str = "\
pipeline: classed
params: { list: { type: list, default: [] } }
steps:
  fails:
    uses: shell
    with: { argv: [sh, -c, 'exit 75'] }
    retry: { attempts: 1, on: { exit-7*: { attempts: 3, backoff: { base: 1ms, cap: 1ms } } } }
";

fn reaches(place: &Place, run: &str, state: &str) -> Value {
    let started = Instant::now();
    loop {
        let shown = told(place, &["show", run]);
        if shown["state"] == state {
            return shown;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "it does not come to {state}: {shown:#}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn an_operator_sees_which_runs_went_on_past_their_deadlines_and_what_came_of_it() {
    let place = Place::new();
    for (name, text) in [("late", LATE), ("help", HELP), ("classed", CLASSED)] {
        place.write(&format!("pipelines/{name}.yaml"), text);
    }
    let _up = Up::start(&place);
    let late = told(&place, &["run", "late"])["run"].as_str().unwrap().to_owned();
    let kept = told(&place, &["run", "late", "--deadline", "1h"])["run"].as_str().unwrap().to_owned();
    let shown = reaches(&place, &late, "cancelled");
    assert_eq!(shown["deadline"], Value::Null);
    assert_eq!(shown["alerts"][0]["cancelled"], true);
    let alerts = told(&place, &["alerts"]);
    assert_eq!(alerts.as_array().unwrap().len(), 1, "{alerts:#}");
    assert_eq!(alerts[0]["run"], late.as_str());
    let help = alerts[0]["hook_run"].as_str().unwrap();
    assert_eq!(reaches(&place, help, "succeeded")["params"]["about"], "late");
    let runs = told(&place, &["runs"]);
    let is_late = |run: &str| {
        let listed = runs.as_array().unwrap().iter().find(|listed| listed["id"] == run);
        listed.unwrap()["is_late"] == true
    };
    assert!(is_late(&late) && !is_late(&kept));
    tale(&place, &["show", &kept]).succeeded().says(&["to end by"]);
    tale(&place, &["show", &late]).succeeded().says(&["was to end by", "cancelled; help: run"]);
    tale(&place, &["alerts"]).succeeded().says(&[&late, "cancelled; help: run"]);
    tale(&place, &["runs"]).succeeded().says(&["cancelled, late"]);
    assert!(told(&place, &["alerts", &kept]).as_array().unwrap().is_empty());

    let classed = told(&place, &["run", "classed"])["run"].as_str().unwrap().to_owned();
    let shown = reaches(&place, &classed, "failed");
    let attempts = shown["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 3, "{shown:#}");
    assert!(attempts.iter().all(|attempt| attempt["class"] == "exit-75"));

    // what is too large is refused before anything is started
    let large =
        place.write("large.json", json!({ "list": ["x".repeat(600_000), "y".repeat(600_000)] }).to_string());
    let large = large.display().to_string();
    tale(&place, &["run", "classed", "--params-file", &large])
        .failed(2, &["large.json has more than 1048576 bytes", "artifact"]);
    place.write("small.yaml", "list: [1, 2]\n");
    let run = told(&place, &["run", "classed", "--params-file", "small.yaml"]);
    assert_eq!(told(&place, &["show", run["run"].as_str().unwrap()])["params"]["list"], json!([1, 2]));
}

#[test]
fn files_that_are_too_large_are_refused_without_being_read() {
    let place = Place::new();
    place.write("pipelines/classed.yaml", CLASSED);
    for (name, bytes) in [("params.json", 100 << 20), ("pipeline.yaml", 1 << 33)] {
        // sparse: it holds nothing
        File::create(place.path().join(name)).unwrap().set_len(bytes).unwrap();
    }
    place
        .tale(&["pipeline", "plan", "classed", "--params-file", "params.json"])
        .failed(2, &["params.json has more than 1048576 bytes", "artifact"]);
    place
        .tale(&["pipeline", "check", "pipeline.yaml"])
        .failed(2, &["pipeline.yaml has more than 8388608 bytes", "uses: pipeline"]);
    place.write("params.yaml", "list: [1\n");
    place
        .tale(&["pipeline", "plan", "classed", "--params-file", "params.yaml"])
        .failed(2, &["params.yaml:1:"]);
    place.write("params.yaml", "list: [1, 2]\n");
    let planned =
        place.tale(&["pipeline", "plan", "classed", "--params-file", "params.yaml", "--output", "json"]);
    assert_eq!(planned.succeeded().json()["params"]["list"], json!([1, 2]));
}

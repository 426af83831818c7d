//! What tasks ask for and workers have, through the binary.

use std::time::{Duration, Instant};

use crate::{
    schedules::{Up, json, tale},
    tale::Place,
};

const PIPELINE: &str = "\
pipeline: heavy
steps:
  light: { uses: noop, resources: { cpu: 500m } }
  train:
    uses: noop
    needs: [light]
    resources: { cpu: 1, memory: 64MiB, gpu: 2, labels: [a100] }
";

#[test]
fn a_step_that_nobody_fits_is_named_until_a_worker_comes_that_it_fits() {
    let place = Place::new();
    place.write("pipelines/heavy.yaml", PIPELINE);
    let _up = Up::start(&place);
    let run = json(&place, &["run", "heavy"])["run"].as_str().unwrap().to_owned();
    let lacks = "asks for cpu 1, memory 64MiB, gpu 2, labels a100, and the only live worker of pool cpu";
    tale(&place, &["show", &run]).succeeded().says(&[
        "can never run",
        "step train of heavy",
        lacks,
        "gpu 0 of 2",
    ]);
    let unfit = json(&place, &["show", &run])["unfit"].clone();
    assert_eq!(unfit[0]["nearest"]["lacks"], serde_json::json!(["gpu 0 of 2", "label a100"]));
    let doctor = json(&place, &["doctor"]);
    let checks = doctor["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == "resources").unwrap();
    assert_eq!(check["status"], "warn", "{check:#}");
    assert!(check["found"].as_str().unwrap().contains("step train of heavy"), "{check:#}");

    let arguments = ["worker", "--gpu", "2", "--label", "a100", "--cpu", "1500m", "--memory", "1GiB"];
    let mut worker = place.command(&[&arguments[..], &["--data-dir", "data"]].concat()).spawn().unwrap();
    let started = Instant::now();
    while json(&place, &["show", &run])["state"] != "succeeded" {
        assert!(started.elapsed() < Duration::from_secs(60), "the step does not run");
        std::thread::sleep(Duration::from_millis(100));
    }
    tale(&place, &["workers"]).succeeded().says(&["cpu 1.5, memory 1GiB, gpu 2, labels a100", "nothing"]);
    assert_eq!(json(&place, &["show", &run])["unfit"], serde_json::json!([]));
    assert_eq!(json(&place, &["show", &run])["steps"][1]["pool"], "cpu");
    worker.kill().unwrap();
    worker.wait().unwrap();
}

#[test]
fn what_a_worker_cannot_have_is_refused() {
    let place = Place::new();
    for (option, value, words) in [
        ("--cpu", "many", "500m"),
        ("--memory", "4", "16GiB"),
        ("--label", "A 100", "a letter or digit"),
        ("--pool", "cpu+3", "a lower-case letter"),
        ("--gpu", "2000", "--gpu"),
    ] {
        place.tale(&["worker", option, value]).failed(2, &[words]);
    }
}

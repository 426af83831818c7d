use std::time::{Duration, Instant};

use serde_json::Value;

use crate::tale::Place;

fn check<'d>(diagnosis: &'d Value, name: &str) -> &'d Value {
    let checks = diagnosis["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name}: {diagnosis}"))
}

#[test]
fn a_machine_that_can_run_it_is_found_to_be_well_and_left_as_it_was() {
    let place = Place::new();
    let diagnosis = place.tale(&["doctor", "--output", "json"]).succeeded().json();
    assert_eq!(diagnosis["ok"], true);
    assert_eq!(check(&diagnosis, "PostgreSQL")["status"], "ok");
    place.tale(&["doctor"]).succeeded().says(&["PostgreSQL", "data directory", "object store", "disk"]);
    assert!(place.names(".").is_empty(), "{:?}", place.names("."));
}

#[test]
fn what_cannot_work_is_said_with_what_to_do_and_without_the_password() {
    let place = Place::new();
    place.write("file", "");
    let began = Instant::now();
    let ended = place.tale(&[
        "--output",
        "json",
        "doctor",
        "--data-dir",
        "file",
        "--database-url",
        "postgres://ann:hunter2@127.0.0.1:1/tale",
        "--store",
        "ftp://somewhere",
    ]);
    assert!(began.elapsed() < Duration::from_secs(10));
    let ended = ended.failed(1, &[]);
    assert!(!ended.stdout.contains("hunter2"), "{}", ended.stdout);
    let diagnosis = ended.json();
    assert_eq!(diagnosis["ok"], false);
    for name in ["PostgreSQL", "data directory", "object store"] {
        let check = check(&diagnosis, name);
        assert_eq!(check["status"], "fail", "{check}");
        assert!(!check["help"].as_str().unwrap().is_empty(), "{check}");
    }
}

#[test]
fn a_store_is_tried_and_left_empty() {
    let place = Place::new();
    let objects = place.path().join("objects");
    std::fs::create_dir(&objects).unwrap();
    let url = format!("file://{}", objects.display());
    let diagnosis = place.tale(&["doctor", "--output", "json", "--store", &url]).succeeded().json();
    let found = check(&diagnosis, "object store")["found"].as_str().unwrap();
    assert!(found.contains("wrote, read and deleted"), "{found}");
    let objects =
        std::fs::read_dir(objects).unwrap().flatten().filter(|entry| entry.path().is_file()).count();
    assert_eq!(objects, 0);
}

//! The demo as a user meets it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{thread, time::Duration};

use rand::RngExt;
use serde_json::Value;
use tale_primitives::Seed;
use tale_testkit::{announce_on_panic, seeds};
use tale_tests::Home;

const SHORT: [&str; 5] = ["demo", "--rounds", "2", "--seed", "3"];

fn without_time(mut document: Value) -> Value {
    document.as_object_mut().unwrap().remove("seconds").unwrap();
    document
}

#[test]
fn the_same_seed_gives_the_same_model_and_root_with_any_number_of_workers_and_again() {
    let (one, other) = (Home::new(), Home::new());
    // both at once, in data directories of their own
    let (first, second) = thread::scope(|scope| {
        let first = scope.spawn(|| one.json(&[&SHORT[..], &["--slots", "1"]].concat()));
        let second = scope.spawn(|| other.json(&[&SHORT[..], &["--slots", "3"]].concat()));
        (first.join().unwrap(), second.join().unwrap())
    });
    assert!(first["seconds"].as_f64().unwrap() > 0.0);
    let first = without_time(first);
    assert_eq!(first, without_time(second));

    let rounds = first["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 2);
    for round in rounds {
        assert_eq!(round["accepted"].as_u64().unwrap() + round["rejected"].as_u64().unwrap(), 12);
        assert!((0.0..=1.0).contains(&round["test_accuracy"].as_f64().unwrap()));
    }
    let settlement = &first["settlement"];
    assert_eq!(settlement["pool"], "64888888888888888888888");
    assert_eq!(settlement["paid"], settlement["pool"]);
    assert_eq!(settlement["rerun_changed"], false);
    assert!(settlement["root"].as_str().unwrap().starts_with("0x"));
    assert!(one.path().join("report.html").metadata().unwrap().len() > 10_000);

    // the same demo in the same directory has nothing left to do; another one is refused
    assert_eq!(without_time(one.json(&SHORT)), first);
    let refused = one.run(&["demo", "--seed", "4"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("holds another demo (seed 3"));
}

#[test]
fn a_data_directory_in_use_is_refused_with_the_name_of_who_has_it() {
    let home = Home::new();
    let up = home.start(&["up", "--slots", "1", "--no-schedules"], "taleworks is up");
    for command in ["demo", "up"] {
        let refused = home.run(&[command]);
        let message = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(3), "{message}");
        assert!(message.contains("in use by tale up (process "), "{message}");
    }
    // what only looks joins in
    assert_eq!(home.json(&["runs"]), serde_json::json!([]));
    assert_eq!(up.interrupt(), Some(0));
    assert_eq!(home.processes(), Vec::<String>::new());
}

#[test]
fn ctrl_c_at_any_moment_leaves_no_process_and_the_next_start_goes_on() {
    for seed in seeds(2) {
        let _notice = announce_on_panic(seed);
        let home = Home::new();
        let mut rng = Seed::new(seed).child("interruptions").rng();
        for _ in 0..3 {
            let demo = home.start(&["demo", "--rounds", "1", "--seed", "5"], "starting PostgreSQL");
            thread::sleep(Duration::from_millis(rng.random_range(0..1500)));
            // 0 where it was quicker than we
            assert!(matches!(demo.interrupt(), Some(130 | 0)));
            assert_eq!(home.processes(), Vec::<String>::new());
        }
        let done = home.json(&["demo", "--rounds", "1", "--seed", "5"]);
        assert_eq!(done["rounds"].as_array().unwrap().len(), 1);
    }
}

//! What a killed worker and a stopped database cost: time, and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{thread, time::Duration};

use rand::RngExt;
use serde_json::Value;
use tale_database::{DataDirectory, EmbeddedCluster};
use tale_primitives::Seed;
use tale_testkit::{announce_on_panic, seeds};
use tale_tests::{Audited, Home, audit, repository};

/// A training small enough to be repeated often: one round, two attackers, a perceptron.
const TRAINING: [&str; 13] = [
    "run",
    "federated-training",
    "-p",
    "dataset=fashion",
    "-p",
    "family=mlp",
    "-p",
    "rounds=1",
    "-p",
    "participants=6",
    "-p",
    "simulate=attackers",
    "-p",
];
const LEASE: &str = "2";

/// What must be the same whatever happened on the way.
#[derive(Debug, PartialEq, Eq)]
struct Result {
    model: String,
    root: String,
    audited: Audited,
}

fn import(home: &Home) {
    let file = repository().join("pipelines/datasets/fashion.parquet");
    let file = file.to_str().unwrap();
    let arguments = [
        "dataset",
        "import",
        file,
        "--name",
        "fashion",
        "--image-column",
        "image",
        "--label-column",
        "label",
    ];
    let output = home.run(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn train(home: &Home) -> String {
    let arguments = [&TRAINING[..], &["seed=7"]].concat();
    home.json(&arguments)["run"].as_str().unwrap().to_owned()
}

fn wait_for(home: &Home, run: &str) -> Value {
    for _ in 0..600 {
        let shown = home.json(&["show", run]);
        match shown["state"].as_str() {
            Some("running") => thread::sleep(Duration::from_millis(100)),
            Some("succeeded") => return shown["outputs"].clone(),
            _ => panic!("the run failed: {shown:#}"),
        }
    }
    panic!("the run never ends: {:#}", home.json(&["show", run]));
}

fn settle(home: &Home, outputs: &Value, url: &str) -> Result {
    let settled = home.json(&["run", "nightly-settlement", "--wait"]);
    let verified = home.run(&["ledger", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    Result {
        model: outputs["model"]["object"]["digest"].as_str().unwrap().to_owned(),
        root: settled["outputs"]["root"].as_str().unwrap().to_owned(),
        audited: Audited { lost: 0, ..runtime.block_on(audit(url)).unwrap() },
    }
}

/// Trains and settles with a worker process that is killed after each of these times and started again.
fn trained_under(kills: &[Duration]) -> Result {
    let home = Home::new();
    let up =
        home.start(&["up", "--slots", "0", "--no-schedules", "--lease-seconds", LEASE], "taleworks is up");
    let worker = || home.start(&["worker", "--slots", "2", "--lease-seconds", LEASE], "worker of pool");
    import(&home);
    let run = train(&home);
    for kill in kills {
        let victim = worker();
        thread::sleep(*kill);
        victim.kill();
    }
    let survivor = worker();
    let outputs = wait_for(&home, &run);
    let url = EmbeddedCluster::find_running(&DataDirectory::open(home.path()).unwrap()).unwrap();
    let result = settle(&home, &outputs, &url);
    assert_eq!(survivor.interrupt(), Some(0));
    assert_eq!(up.interrupt(), Some(0));
    assert_eq!(home.processes(), Vec::<String>::new());
    result
}

#[test]
fn twenty_workers_killed_at_random_moments_cost_time_and_nothing_else() {
    let undisturbed = trained_under(&[]);
    for seed in seeds(10) {
        let _notice = announce_on_panic(seed);
        let mut rng = Seed::new(seed).child("kills").rng();
        let kills: Vec<Duration> =
            (0..2).map(|_| Duration::from_millis(rng.random_range(100..1500))).collect();
        assert_eq!(trained_under(&kills), undisturbed, "killed after {kills:?}");
    }
}

#[test]
fn a_database_that_is_stopped_and_started_during_a_run_changes_nothing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let undisturbed = trained_under(&[]);
    let directory = tale_testkit::tempdir();
    let directory = DataDirectory::open(directory.path().join("server")).unwrap();
    let mut cluster = runtime.block_on(EmbeddedCluster::start(&directory)).unwrap();
    let url = cluster.url().to_owned();
    let home = Home::with_database(&url);
    let up = home.start(&["up", "--slots", "2", "--no-schedules"], "taleworks is up");
    import(&home);
    let run = train(&home);
    for pause in [200, 400, 800] {
        thread::sleep(Duration::from_millis(pause));
        runtime.block_on(cluster.restart()).unwrap();
    }
    let outputs = wait_for(&home, &run);
    assert_eq!(settle(&home, &outputs, &url), undisturbed);
    assert_eq!(up.interrupt(), Some(0));
    runtime.block_on(cluster.stop()).unwrap();
}

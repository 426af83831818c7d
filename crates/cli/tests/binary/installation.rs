//! The commands that read an installation, against one that runs.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Stdio},
};

use crate::tale::{Ended, Place};

/// `tale up` in a data directory of its own; stopped when it is dropped.
pub struct Up {
    pub place: Place,
    child: Child,
}

impl Up {
    pub fn start() -> Self {
        let place = Place::new();
        let mut child = place
            // what the clock starts would be in the way of what a test starts
            .command(&["up", "--slots", "2", "--data-dir", "data", "--no-schedules"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        while !said.contains("taleworks is up") {
            assert_ne!(lines.read_line(&mut said).unwrap(), 0, "it ended: {said}");
        }
        // what it says later must not block it
        std::thread::spawn(move || lines.lines().map_while(Result::ok).for_each(drop));
        Self { place, child }
    }

    /// Where its commands run; the data directory is `data` below.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    pub fn tale(&self, arguments: &[&str]) -> Ended {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--data-dir", "data"]).collect();
        self.place.tale(&arguments)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let id = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

fn fashion() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../pipelines/datasets/fashion.parquet")
        .display()
        .to_string()
}

#[test]
fn an_installation_without_history_says_so_and_names_the_next_command() {
    let up = Up::start();
    up.tale(&["pipeline", "list"]).succeeded().says(&["federated-training", "hello"]);
    let none = up.tale(&["epoch", "list", "--output", "json"]).succeeded().json();
    assert_eq!(none, serde_json::json!([]));
    assert_eq!(up.tale(&["pov", "rounds", "--output", "json"]).succeeded().json(), serde_json::json!([]));
    up.tale(&["epoch", "show", "2026-01-01"]).failed(1, &["2026-01-01", "nightly-settlement"]);
    up.tale(&["pov", "show", "1"]).failed(2, &["no round has been decided", "federated-training"]);
    up.tale(&["pov", "show", "a-training/1"]).failed(2, &["round 1 of a-training", "tale pov rounds"]);
    up.tale(&["ledger", "journal", "1"]).failed(1, &["no journal 1", "tale ledger journals"]);
    up.tale(&["dataset", "show", "fashion"]).failed(2, &["no data set fashion", "tale dataset import"]);
    let account = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    up.tale(&["claims", "proof", account]).failed(1, &["no epoch with claims has been published", "--tree"]);
    up.tale(&["claims", "proof", account, "--epoch", "2026-01-01"])
        .failed(2, &["2026-01-01", "tale epoch list"]);
    up.tale(&["pipeline", "plan", "nowhere"]).failed(2, &["nowhere", "hello"]);
    up.tale(&["doctor"]).succeeded().says(&["in use by tale up"]);
    up.tale(&["ledger", "verify"]).succeeded().says(&["0 journals", "everything agrees"]);
}

#[test]
fn a_settled_day_is_shown_by_epoch_and_ledger() {
    let up = Up::start();
    up.tale(&["run", "nightly-settlement", "-p", "epoch=2026-01-01", "--wait"]).succeeded();
    up.tale(&["epoch", "list"]).succeeded().says(&["2026-01-01", "published"]);
    let shown = up.tale(&["epoch", "show", "2026-01-01", "--output", "json"]).succeeded().json();
    assert_eq!(shown["epoch"]["state"], "published");
    assert_eq!(shown["epoch"]["paid"], "0");
    assert_eq!(shown["result"]["pool"], shown["epoch"]["carried"]);
    up.tale(&["epoch", "show", "2026-01-01"]).succeeded().says(&["carried over", "xTALE"]);
    let report = up.tale(&["ledger", "verify", "--output", "json"]).succeeded().json();
    assert_eq!(report["discrepancies"], serde_json::json!([]));
    let journals = up.tale(&["ledger", "journals", "--output", "json"]).succeeded().json();
    for journal in journals.as_array().unwrap() {
        up.tale(&["ledger", "journal", &journal["id"].to_string()]).succeeded().says(&["debit", "credit"]);
    }
    let balances =
        up.tale(&["ledger", "balances", "--kind", "holder", "--output", "json"]).succeeded().json();
    assert_eq!(balances, serde_json::json!([]));
}

#[test]
fn a_data_set_is_imported_once_and_bad_files_leave_nothing() {
    let up = Up::start();
    let file = fashion();
    up.place.write("text.parquet", "no parquet");
    up.place.write("cut.parquet", &std::fs::read(&file).unwrap()[..100_000]);
    for (arguments, words) in [
        (&["none.parquet"][..], &["cannot read none.parquet"][..]),
        (&["text.parquet"], &["text.parquet"]),
        (&["cut.parquet"], &["cut.parquet"]),
        (&[&file, "--image-column", "picture"], &["picture"]),
        (&[&file, "--label-column", "image"], &["image"]),
        (&[&file, "--shape", "27x28x1"], &["27x28x1"]),
    ] {
        let arguments: Vec<&str> =
            ["dataset", "import", "--name", "bad"].iter().chain(arguments).copied().collect();
        up.tale(&arguments).failed(2, words);
    }
    assert_eq!(up.tale(&["dataset", "list", "--output", "json"]).succeeded().json(), serde_json::json!([]));
    assert!(!up.place.path().join("data/objects/sha256").exists(), "objects of a refused import");

    let import = ["dataset", "import", &file, "--name", "fashion", "--output", "json"];
    let manifest = up.tale(&import).succeeded().json();
    assert_eq!(manifest["classes"], 10);
    assert_eq!(up.tale(&import).succeeded().json(), manifest, "an import again changes nothing");
    let again = ["dataset", "import", &file, "--name", "fashion", "--seed", "9"];
    up.tale(&again).failed(2, &["fashion exists already"]);
    assert_eq!(up.tale(&["dataset", "show", "fashion", "--output", "json"]).succeeded().json(), manifest);
    up.tale(&["dataset", "list"]).succeeded().says(&["fashion", "28x28x1", "10"]);
    up.tale(&["dataset", "show", "fashion"]).succeeded().says(&["train", "held-out", "test"]);
}

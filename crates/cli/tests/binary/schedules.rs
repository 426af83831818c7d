//! Schedules and back-fills through the binary.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::tale::{Ended, Place};

const TICK: &str = "\
pipeline: tick
schedule: { cron: '* * * * * *', timezone: Europe/Berlin, missed: { all: 1000 } }
steps:
  hi: { uses: shell, with: { argv: [echo, '${run.fire_time}'] } }
outputs: { fired: '${run.fire_time}' }
";

const DAILY: &str = "\
pipeline: daily
schedule: { cron: '10 0 * * *', timezone: Europe/Berlin, date: previous_day }
steps:
  hi: { uses: shell, with: { argv: [echo, '${run.date}'] } }
";

pub fn tale(place: &Place, arguments: &[&str]) -> Ended {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--data-dir", "data"]).collect();
    place.tale(&arguments)
}

pub fn json(place: &Place, arguments: &[&str]) -> Value {
    tale(place, &[arguments, &["--output", "json"]].concat()).succeeded().json()
}

/// `tale up`, killed when it is dropped.
pub struct Up(Child);

impl Up {
    pub fn start(place: &Place) -> Self {
        Self::start_with(place, &[]).0
    }

    /// With these variables of the environment.
    pub fn start_among(place: &Place, variables: &[(&str, &str)]) -> Self {
        let mut command = place.command(&["up", "--slots", "2", "--data-dir", "data"]);
        command.envs(variables.iter().copied()).stderr(Stdio::piped());
        Self::start_process(&mut command, "taleworks is up").0
    }

    /// With more arguments; returns what it said while it started, too.
    pub fn start_with(place: &Place, more: &[&str]) -> (Self, String) {
        let arguments = [&["up", "--slots", "2", "--data-dir", "data"], more].concat();
        Self::start_process(place.command(&arguments).stderr(Stdio::piped()), "taleworks is up")
    }

    /// Another process that goes on until it is killed, once it has said these words.
    pub fn start_process(command: &mut Command, words: &str) -> (Self, String) {
        let mut child = command.spawn().unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        while !said.contains(words) {
            assert_ne!(lines.read_line(&mut said).unwrap(), 0, "it ended: {said}");
        }
        std::thread::spawn(move || lines.lines().map_while(Result::ok).for_each(drop));
        (Self(child), said)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The fires whose runs have ended well, once there are as many.
fn fired(place: &Place, count: usize) -> BTreeSet<String> {
    let started = Instant::now();
    loop {
        let listed = tale(place, &["runs", "--pipeline", "tick", "--limit", "1000", "--output", "json"]);
        let runs = if listed.code == Some(0) { listed.json() } else { Value::Array(vec![]) };
        let runs: Vec<&Value> = runs.as_array().unwrap().iter().collect();
        if runs.iter().filter(|run| run["state"] == "succeeded").count() >= count {
            assert!(runs.iter().all(|run| run["trigger"] == "schedule"), "{runs:#?}");
            let ended = runs.iter().filter(|run| run["state"] == "succeeded");
            let fires: Vec<String> = ended
                .map(|run| json(place, &["show", run["id"].as_str().unwrap()])["fire_time"].to_string())
                .collect();
            let different: BTreeSet<String> = fires.iter().cloned().collect();
            assert_eq!(different.len(), fires.len(), "two runs of one fire: {fires:#?}");
            return different;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "only {runs:#?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_schedule_makes_up_for_the_time_in_which_its_process_was_dead() {
    let place = Place::new();
    place.write("pipelines/tick.yaml", TICK);
    let up = Up::start(&place);
    let before = fired(&place, 3);
    drop(up);
    std::thread::sleep(Duration::from_secs(3));
    let _up = Up::start(&place);
    let after = fired(&place, before.len() + 6);
    let times: Vec<chrono::DateTime<chrono::Utc>> =
        after.iter().map(|fire| fire.trim_matches('"').parse().unwrap()).collect();
    // a run that has not ended yet may be missing at the end alone
    let contiguous = times.windows(2).take(before.len() + 3);
    assert!(contiguous.clone().all(|pair| (pair[1] - pair[0]).num_seconds() == 1), "{times:#?}");
    assert!(before.is_subset(&after), "{before:#?} {after:#?}");
}

#[test]
fn schedules_are_listed_told_paused_and_resumed() {
    let place = Place::new();
    place.write("pipelines/daily.yaml", DAILY);
    tale(&place, &["apply"]).succeeded();
    tale(&place, &["schedule", "list"]).succeeded().says(&[
        "daily",
        "10 0 * * *",
        "Europe/Berlin",
        "latest",
        "on",
    ]);
    let next = json(&place, &["schedule", "next", "daily", "--count", "3"]);
    assert_eq!(next.as_array().unwrap().len(), 3);
    let first = &next[0];
    assert!(first["local"].as_str().unwrap().ends_with("T00:10:00"), "{first}");
    assert!(first["date"].as_str().unwrap() < &first["local"].as_str().unwrap()[..10], "{first}");
    tale(&place, &["schedule", "pause", "daily"]).succeeded().says(&["paused"]);
    let paused = json(&place, &["schedule", "list"]);
    assert!(paused[0]["paused_at"].is_string() && paused[0]["next_fire"].is_null(), "{paused}");
    let resumed = json(&place, &["schedule", "resume", "daily"]);
    assert_eq!(resumed["next_fire"], first["at"]);
    for command in ["next", "pause", "resume"] {
        tale(&place, &["schedule", command, "weekly"]).failed(2, &["\"weekly\" has no schedule", "daily"]);
    }
    // without the key, without the schedule
    place.write(
        "pipelines/daily.yaml",
        DAILY.lines().filter(|line| !line.contains("schedule")).collect::<Vec<_>>().join("\n"),
    );
    tale(&place, &["apply"]).succeeded();
    assert_eq!(json(&place, &["schedule", "list"]), Value::Array(vec![]));
}

#[test]
fn a_back_fill_runs_each_day_once_and_says_what_it_did() {
    let place = Place::new();
    place.write("pipelines/daily.yaml", DAILY);
    tale(&place, &["apply"]).succeeded();
    let days = ["backfill", "daily", "--from", "2024-03-29", "--to", "2024-04-02"];
    let planned = json(&place, &[&days[..], &["--dry-run"]].concat());
    let dates: Vec<&str> =
        planned["fires"].as_array().unwrap().iter().map(|fire| fire["date"].as_str().unwrap()).collect();
    assert_eq!(dates, ["2024-03-29", "2024-03-30", "2024-03-31", "2024-04-01", "2024-04-02"]);
    assert_eq!(planned["fires"][1]["at"], "2024-03-30T23:10:00Z");
    assert_eq!(planned["fires"][2]["at"], "2024-03-31T22:10:00Z");
    assert_eq!(json(&place, &["runs"]), Value::Array(vec![]), "a dry run started something");

    let wait = [&days[..], &["--concurrency", "2", "--wait"]].concat();
    let filled = json(&place, &wait);
    assert_eq!((&filled["total"], &filled["started"], &filled["open"]), (&5.into(), &5.into(), &0.into()));
    assert!(filled["runs"].as_array().unwrap().iter().all(|run| run["state"] == "succeeded"), "{filled}");
    let again = json(&place, &wait);
    assert_eq!((&again["started"], &again["known"]), (&0.into(), &5.into()));
    assert_eq!(json(&place, &["runs"]).as_array().unwrap().len(), 5);

    let backwards = ["backfill", "daily", "--from", "2024-03-29", "--to", "2024-03-28"];
    tale(&place, &backwards).failed(2, &["before --from"]);
    let future = ["backfill", "daily", "--from", "2090-01-01", "--to", "2090-01-02"];
    tale(&place, &future).failed(2, &["no fires", "schedule next daily"]);
    tale(&place, &["backfill", "weekly", "--from", "2024-01-01", "--to", "2024-01-02"])
        .failed(2, &["no pipeline \"weekly\""]);
    tale(&place, &["backfill", "daily", "--from", "yesterday", "--to", "2024-01-02"])
        .failed(2, &["YYYY-MM-DD"]);
}

const INBOX: &str = "\
pipeline: inbox
params: { source: { type: string } }
triggers:
  - object: { prefix: inbox/, every: 100ms }
    params: { source: '${event.path}' }
steps:
  hi: { uses: shell, with: { argv: [echo, '${params.source}'] } }
outputs: { source: '${params.source}' }
";

const AFTER: &str = "\
pipeline: after
params: { source: { type: string } }
triggers:
  - run: { pipeline: inbox }
    params: { source: 'after ${event.outputs.source}' }
steps:
  hi: { uses: shell, with: { argv: [echo, '${params.source}'] } }
";

#[test]
fn an_object_that_arrives_starts_a_run_whose_end_starts_another() {
    let place = Place::new();
    place.write("pipelines/inbox.yaml", INBOX);
    place.write("pipelines/after.yaml", AFTER);
    let _up = Up::start(&place);
    let listed = tale(&place, &["triggers"]).succeeded();
    listed.says(&["a run of inbox succeeds", "an object arrives in inbox/ (looked for every 0.1 s)"]);
    place.write("data/objects/inbox/first.csv", "a,b");
    let started = Instant::now();
    let after = loop {
        let runs = json(&place, &["runs", "--pipeline", "after"]);
        if let Some(run) = runs.as_array().unwrap().first() {
            break json(&place, &["show", run["id"].as_str().unwrap()]);
        }
        assert!(started.elapsed() < Duration::from_secs(60), "nothing starts");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(after["params"]["source"], "after inbox/first.csv");
    let inbox = json(&place, &["runs", "--pipeline", "inbox"]);
    assert_eq!(inbox.as_array().unwrap().len(), 1);
    assert_eq!(inbox[0]["trigger"], "object inbox/first.csv");

    place.write(
        "pipelines/inbox.yaml",
        INBOX
            .replace("object: { prefix: inbox/, every: 100ms }", "run: { pipeline: after }")
            .replace("${event.path}", "again"),
    );
    tale(&place, &["apply"]).failed(2, &["triggers of after lead back to it"]);
}

#[test]
fn the_nightly_settlement_is_about_the_day_that_has_just_ended() {
    let place = Place::new();
    let shipped =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines/nightly-settlement.yaml");
    place.write("pipelines/nightly-settlement.yaml", std::fs::read(shipped).unwrap());
    tale(&place, &["apply"]).succeeded();
    let next = json(&place, &["schedule", "next", "nightly-settlement", "--count", "1"]);
    let fire: chrono::DateTime<chrono::Utc> = next[0]["at"].as_str().unwrap().parse().unwrap();
    assert_eq!(fire.format("%H:%M:%S").to_string(), "00:10:00");
    assert_eq!(next[0]["date"], fire.date_naive().pred_opt().unwrap().to_string());
}

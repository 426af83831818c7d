//! Logs, retention and lineage through the binary.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    schedules::{Up, json, tale},
    tale::Place,
};

const STORY: &str = "\
pipeline: story
steps:
  tell: { uses: shell, for_each: [once, upon], with: { argv: [echo, '${item}'] } }
  count:
    uses: sql.parquet
    with: { query: 'select count(*) as n from t', tables: { t: { path: inbox/stripes.parquet } }, save_as: counted }
  report:
    uses: sql.parquet
    with: { query: 'select n + 1 as n from t', tables: { t: '${steps.count.outputs.object}' }, save_as: report }
";

const SLOW: &str = "\
pipeline: slow
steps:
  say: { uses: shell, with: { argv: [sh, -c, 'echo first; sleep 5; echo second'] } }
";

const STRIPES: &[u8] = include_bytes!("../../../../tests/fixtures/stripes.parquet");

fn start(place: &Place, pipeline: &str) -> String {
    json(place, &["run", pipeline])["run"].as_str().unwrap().to_owned()
}

fn reaches(place: &Place, run: &str, state: &str) -> Value {
    until(|| Some(json(place, &["show", run])).filter(|shown| shown["state"] == state))
}

fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(90), "it does not come to that");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The texts of a run's log lines.
fn logs(place: &Place, arguments: &[&str]) -> Vec<String> {
    let printed = tale(place, &[&["logs"], arguments, &["--output", "json"]].concat()).succeeded().stdout;
    let lines = printed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| line["line"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_line_is_followed_while_its_task_runs_and_following_ends_with_the_run() {
    let place = Place::new();
    place.write("pipelines/slow.yaml", SLOW);
    let _up = Up::start(&place);
    let run = start(&place, "slow");
    let arguments = ["logs", &run, "-f", "--output", "json", "--data-dir", "data"];
    let mut following = place.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!((&first["line"], &first["step"]), (&"first".into(), &"say".into()));
    assert_eq!(json(&place, &["show", &run])["state"], "running");
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(rest.len() == 1 && rest[0].contains("second"), "{rest:?}");
    assert!(following.wait().unwrap().success());
    assert_eq!(json(&place, &["show", &run])["state"], "succeeded");
}

#[test]
fn a_runs_log_lineage_and_events_outlive_its_rows() {
    let place = Place::new();
    place.write("pipelines/story.yaml", STORY);
    place.write("data/objects/inbox/stripes.parquet", STRIPES);
    let events = place.path().join("events.jsonl");
    let variables = [
        ("OPENLINEAGE__TRANSPORT__TYPE", "file"),
        ("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH", events.to_str().unwrap()),
    ];
    let _up = Up::start_among(&place, &variables);
    let run = start(&place, "story");
    let before = reaches(&place, &run, "succeeded");

    let mut all = logs(&place, &[&run]);
    all.sort();
    // the queries say how many rows they gave
    assert_eq!((all.len(), &all[2..]), (4, &["once".to_owned(), "upon".to_owned()][..]));
    assert_eq!(logs(&place, &[&run, "--step", "tell", "--task", "1", "--attempt", "1"]), ["upon"]);
    assert!(logs(&place, &[&run, "--attempt", "2"]).is_empty());
    tale(&place, &["logs", &run, "--task=-1"]).failed(2, &["--task"]);

    let up = json(&place, &["lineage", "report"]);
    let steps: Vec<&str> =
        up["productions"].as_array().unwrap().iter().map(|made| made["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["report", "count"]);
    assert_eq!(up["productions"][1]["inputs"][0]["name"], "inbox/stripes.parquet");
    assert_eq!(up["productions"][0]["inputs"][0]["name"], "counted");
    let counted = up["productions"][0]["inputs"][0]["digest"].as_str().unwrap();
    let drawn = tale(&place, &["lineage", "report"]).succeeded();
    drawn.says(&["report[0] (sql.parquet)", "counted", "inbox/stripes.parquet"]);
    let down = tale(&place, &["lineage", &counted[..8], "--down"]).succeeded();
    down.says(&["└─ story", "report[0]", "└─ report"]);
    let near = json(&place, &["lineage", "report", "--depth", "1"]);
    assert_eq!((near["productions"].as_array().unwrap().len(), &near["is_cut"]), (1, &true.into()));
    tale(&place, &["lineage", "nonsense"]).failed(2, &["nothing is known of", "beginning of a digest"]);

    tale(&place, &["retention", "set", "--keep", "soon"]).failed(2, &["30d"]);
    tale(&place, &["retention", "set", "nobody", "--keep", "1d"]).failed(2, &["no pipeline"]);
    tale(&place, &["retention", "set", "--keep", "30d", "--keep-last", "3"]).succeeded().says(&["30 d", "*"]);
    assert_eq!(json(&place, &["retention", "run", "--dry-run"]).as_array().unwrap().len(), 0);
    tale(&place, &["retention", "set", "story", "--keep", "0s"]).succeeded();
    // hot lines go within a second or two, and then the run may
    until(|| {
        json(&place, &["retention", "run"]);
        let archived = json(&place, &["runs", "--archived"]);
        archived.as_array().unwrap().iter().find(|archived| archived["id"] == *run).cloned()
    });
    assert_eq!(json(&place, &["runs"]), Value::Array(vec![]));
    until(|| (json(&place, &["show", &run]) == before).then_some(()));
    tale(&place, &["show", &run]).succeeded().says(&["archived", "in object"]);
    let mut after = logs(&place, &[&run]);
    after.sort();
    assert_eq!(after, all);
    assert_eq!(json(&place, &["lineage", "report"])["productions"], up["productions"]);
    tale(&place, &["retry", &run]).failed(2, &["is archived"]);

    let told = until(|| {
        let told = std::fs::read_to_string(&events).unwrap_or_default();
        let told: Vec<Value> = told.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        told.iter()
            .any(|event| event["eventType"] == "COMPLETE" && event["job"]["name"] == "story")
            .then_some(told)
    });
    let jobs: Vec<String> = told
        .iter()
        .map(|event| {
            format!("{} {}", event["job"]["name"].as_str().unwrap(), event["eventType"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        jobs,
        [
            "story START",
            "story.count START",
            "story.count COMPLETE",
            "story.report START",
            "story.report COMPLETE",
            "story COMPLETE"
        ]
    );
    assert_eq!(told[0]["run"]["runId"], run);
}

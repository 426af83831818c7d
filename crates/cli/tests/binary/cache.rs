//! Results that later runs take, and the reasons why they do not, through the binary.

use serde_json::Value;

use crate::{
    schedules::{Up, json, tale},
    tale::Place,
};

const PIPELINE: &str = "\
pipeline: counted
params: { word: { type: string, default: a } }
steps:
  count:
    uses: shell
    with: { argv: [sh, -c, 'echo \"$1\" >> counted; wc -l < counted', sh, '${params.word}'], cwd: CWD }
    cache: { ttl: 1h }
  plain: { uses: noop }
outputs: { count: '${steps.count.outputs.value}' }
";

const PARENT: &str = "\
pipeline: parent
steps:
  child: { uses: pipeline, with: { pipeline: counted } }
outputs: { count: '${steps.child.outputs.count}' }
";

fn run(place: &Place, arguments: &[&str]) -> (String, Value) {
    let ended = json(place, &[&["run"], arguments, &["--wait"]].concat());
    (ended["run"].as_str().unwrap().to_owned(), ended["outputs"]["count"].clone())
}

/// The only decision of a run.
fn decision(place: &Place, run: &str) -> Value {
    let shown = json(place, &["show", run]);
    assert_eq!(shown["cache"].as_array().unwrap().len(), 1, "{shown:#}");
    shown["cache"][0].clone()
}

#[test]
fn a_second_run_takes_the_results_of_the_first_and_every_refusal_says_why() {
    let place = Place::new();
    let here = place.path().display().to_string();
    place.write("pipelines/counted.yaml", PIPELINE.replace("CWD", &here));
    place.write("pipelines/parent.yaml", PARENT);
    let _up = Up::start(&place);

    let (first, count) = run(&place, &["counted"]);
    assert_eq!(count, "1");
    assert_eq!(decision(&place, &first)["reason"], "there is no earlier result of this step");
    let (second, count) = run(&place, &["counted"]);
    assert_eq!(count, "1");
    assert_eq!(decision(&place, &second)["is_hit"], true);
    tale(&place, &["show", &second]).succeeded().says(&["hit", &format!("from run {first}, task")]);

    let (other, count) = run(&place, &["counted", "-p", "word=b"]);
    assert_eq!(count, "2");
    let reason = "differs from the last result of this step in with.argv.4";
    tale(&place, &["show", &other]).succeeded().says(&["refused", reason]);
    let (other_day, _) = run(&place, &["counted", "--date", "2020-02-02"]);
    assert!(decision(&place, &other_day)["reason"].as_str().unwrap().contains("run.date"));

    // a sub-run takes results where its parent may, and not where it may not
    assert_eq!(run(&place, &["parent"]).1, "1");
    let (fresh, count) = run(&place, &["counted", "--no-cache"]);
    assert_eq!(count, "4");
    assert_eq!(decision(&place, &fresh)["reason"], "the run was started with --no-cache");
    assert_eq!(run(&place, &["parent", "--no-cache"]).1, "5");
    assert_eq!(run(&place, &["counted"]).1, "5", "the newest result is the one that is taken");

    let kept = json(&place, &["cache", "list", "counted"]);
    assert_eq!(kept.as_array().unwrap().len(), 3, "{kept:#}");
    tale(&place, &["cache", "list"]).succeeded().says(&["counted", "count", "shell (version 1)"]);
    assert_eq!(json(&place, &["cache", "clear", "counted", "count", "--older-than", "1d"])["results"], 0);
    assert_eq!(json(&place, &["cache", "clear", "counted", "count"])["results"], 3);
    assert_eq!(run(&place, &["counted"]).1, "6");
    json(&place, &["tenant", "weight", "ann", "3"]);
    tale(&place, &["tenant", "list"]).succeeded().says(&["ann", "3"]);
    tale(&place, &["tenant", "weight", "ann", "0"]).failed(2, &["1..=1000"]);
    let audit = json(&place, &["audit"]);
    assert!(audit.to_string().contains("tenant.weight"), "{audit:#}");
    assert!(audit.to_string().contains("cache.clear"), "{audit:#}");
}

#[test]
fn a_cache_on_a_kind_that_changes_something_is_refused_with_its_place() {
    let place = Place::new();
    place.write(
        "bad.yaml",
        "pipeline: bad\nsteps:\n  keep:\n    uses: sql.postgres\n    with: { schema: s, execute: 'select 1' }\n    cache: true\n",
    );
    let words = ["bad.yaml:6:5", "sql.postgres cannot be cached"];
    place.tale(&["pipeline", "check", "bad.yaml"]).failed(2, &words);
}

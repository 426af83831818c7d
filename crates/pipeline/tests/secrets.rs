//! Secrets in pipelines: named, never known.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used)]

mod catalog;

use serde_json::{Map, Value, json};
use tale_pipeline::{
    Expansion, PipelineSpec, PlannedTasks, RunContext, Source, StepOutputs, check, expand, plan,
    resolve_params,
};
use tale_primitives::{RunId, SecretPart};

fn run() -> RunContext {
    let id: RunId = "0190a0a0-0000-7000-8000-000000000001".parse().expect("an id");
    RunContext { id, date: "2026-02-28".parse().expect("a day"), fire_time: None, parent: None }
}

fn checked(text: &str) -> PipelineSpec {
    let source = Source { name: "test.yaml".to_owned(), text: text.to_owned() };
    check(&source, &catalog::catalog(), None).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// The arguments of the first step's tasks.
fn arguments(spec: &PipelineSpec, params: Value) -> Vec<Value> {
    let params = resolve_params(spec, params.as_object().expect("an object")).expect("right params");
    match &plan(spec, &params, &run()).expect("a plan").steps[0].tasks {
        PlannedTasks::Now(tasks) => tasks.iter().map(|task| task.arguments.clone()).collect(),
        other => panic!("{other:?}"),
    }
}

fn is_secret(part: &SecretPart) -> bool {
    matches!(part, SecretPart::Secret(_))
}

#[test]
fn a_planned_task_holds_the_names_of_secrets_alone() {
    let spec = checked(
        "pipeline: p\nsteps:\n  a:\n    uses: shell\n    for_each: [x]\n    with:\n      \
         argv: [run, \"${secrets.TOKEN}\", \"${item}: ${ secrets.db_url }!\"]\n",
    );
    assert_eq!(
        arguments(&spec, json!({})),
        [json!({ "argv": ["run", "${secrets.TOKEN}", "x: ${secrets.db_url}!"] })]
    );
    let names: Vec<String> = spec.secrets().expect("names").iter().map(ToString::to_string).collect();
    assert_eq!(names, ["TOKEN", "db_url"]);
}

#[test]
fn a_text_from_a_param_an_item_or_an_output_never_becomes_a_secret() {
    let spec = checked(
        "pipeline: p\nparams: { evil: { type: string }, list: { type: list, default: [] } }\nsteps:\n  a:\n    \
         uses: shell\n    with:\n      argv: [\"${params.evil}\", \"${params.evil}{secrets.DB}\", \"$${secrets.DB}\"]\n      \
         env: { E: \"a ${params.evil} ${secrets.OK}\" }\n  b:\n    uses: shell\n    \
         with: { argv: \"${steps.a.outputs}\" }\n",
    );
    for evil in ["${secrets.DB}", "$${secrets.DB}", "$", "x$", "$${"] {
        let planned = arguments(&spec, json!({ "evil": evil })).remove(0);
        let literals = [evil.to_owned(), format!("{evil}{{secrets.DB}}"), "${secrets.DB}".to_owned()];
        for (index, literal) in literals.into_iter().enumerate() {
            let stored = planned["argv"][index].as_str().expect("a text");
            assert_eq!(SecretPart::read(stored), [SecretPart::Text(literal)], "{stored}");
        }
        let parts = SecretPart::read(planned["env"]["E"].as_str().expect("a text"));
        assert_eq!(parts[0], SecretPart::Text(format!("a {evil} ")));
        assert_eq!(parts.iter().filter(|part| is_secret(part)).count(), 1);
    }
    let outputs =
        StepOutputs::from([("a".to_owned(), json!(["${secrets.DB}", { "deep": ["${secrets.DB}"] }]))]);
    let Ok(Expansion::Tasks(tasks)) = expand(&spec, 1, &Map::new(), &run(), &outputs, None) else {
        panic!("no tasks")
    };
    let argv = &tasks[0].arguments["argv"];
    for stored in [&argv[0], &argv[1]["deep"][0]] {
        assert!(!SecretPart::read(stored.as_str().expect("a text")).iter().any(is_secret), "{stored}");
    }
}

#[test]
fn what_the_scheduler_reads_itself_stays_as_it_is() {
    let spec = checked(
        "pipeline: p\nparams: { text: { type: string } }\nsteps:\n  a:\n    uses: pipeline\n    \
         with: { pipeline: child, params: { text: \"${params.text}\" } }\n",
    );
    let planned = arguments(&spec, json!({ "text": "${secrets.DB}" }));
    assert_eq!(planned[0]["params"]["text"], "${secrets.DB}");
}

#[test]
fn a_stored_pipeline_that_was_never_checked_gets_no_secrets_outside_of_arguments() {
    let spec = checked("pipeline: p\nsteps:\n  a: { uses: shell, with: { argv: [a] }, when: true }\n");
    let mut stored = spec.to_json().expect("JSON");
    stored["steps"][0]["when"] = json!("${secrets.SWITCH}");
    let spec = PipelineSpec::from_json(stored).expect("a spec");
    let error = plan(&spec, &Map::new(), &run()).expect_err("there is no such variable").to_string();
    assert_eq!(error, "step a, when: ${secrets.SWITCH}: there is no secrets here");
}

//! Sizes: what is held, what is refused.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used)]

mod catalog;

use serde_json::{Map, Value, json};
use tale_pipeline::{
    Expansion, FanOut, ItemSource, PARAMS_BYTES_MAX, PipelineError, PipelineSpec, PlannedTasks, RunContext,
    Source, StepOutputs, Variables, check, expand, parse_params, plan, resolve_params,
};
use tale_primitives::RunId;

fn run() -> RunContext {
    let id: RunId = "0190a0a0-0000-7000-8000-000000000001".parse().expect("an id");
    RunContext { id, date: "2026-02-28".parse().expect("a day"), fire_time: None, parent: None }
}

fn fan_out(for_each: &str, rest: &str) -> PipelineSpec {
    let text = format!(
        "
        pipeline: wide
        params: {{ n: {{ type: integer, default: 3 }} }}
        steps:
          list: {{ uses: shell, with: {{ argv: [echo] }} }}
          each: {{ uses: shell, for_each: \"{for_each}\", {rest} }}
        "
    );
    let source = Source { name: "test.yaml".to_owned(), text };
    check(&source, &catalog::catalog(), None).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn outputs() -> StepOutputs {
    StepOutputs::from([("list".to_owned(), json!({ "items": ["a", "b", "c"] }))])
}

fn params() -> Map<String, Value> {
    Map::from_iter([("n".to_owned(), json!(3))])
}

#[test]
fn a_fan_out_item_by_item_is_the_fan_out_as_a_whole() {
    for for_each in ["${range(params.n)}", "${steps.list.outputs.items}", "${['x', 2, null]}"] {
        let spec = fan_out(
            for_each,
            "with: { argv: [echo, \"${item}-${index}-${params.n}\"] }, limit: { key: \"key-${index}\", concurrency: 1 }",
        );
        let whole = expand(&spec, 1, &params(), &run(), &outputs(), None).expect("an expansion");
        let Expansion::Tasks(whole) = whole else { panic!("{whole:?}") };
        let variables = Variables::new(&spec, params(), &run(), outputs());
        let fan_out = FanOut::open(&spec, 1, &variables).expect("it opens").expect("it is not skipped");
        let items = match fan_out.items().expect("items") {
            ItemSource::Range(length) => (0..length).map(Value::from).collect(),
            ItemSource::Listed(items) => items,
        };
        assert_eq!(items.len(), whole.len());
        for (task, item) in whole.iter().zip(&items) {
            assert_eq!(fan_out.arguments(task.index, item).expect("arguments"), task.arguments);
            assert_eq!(fan_out.limit_key(task.index, item).expect("a key"), task.limit_key);
        }
        assert_eq!(fan_out.shared_arguments().expect("arguments"), None);
    }
}

#[test]
fn arguments_that_do_not_read_the_item_are_shared() {
    for (with, shared) in [
        ("with: { argv: [echo, \"${params.n}\"] }", Some(json!({ "argv": ["echo", 3] }))),
        ("with: { argv: [echo] }", Some(json!({ "argv": ["echo"] }))),
        ("with: { argv: [echo, \"${[1].map(item, item)}\"] }", Some(json!({ "argv": ["echo", [1]] }))),
        ("with: { argv: [echo, \"a ${index}\"] }", None),
        ("with: { argv: [echo, \"${[1].map(x, item)}\"] }", None),
    ] {
        let spec = fan_out("${range(2)}", with);
        let variables = Variables::new(&spec, params(), &run(), outputs());
        let fan_out = FanOut::open(&spec, 1, &variables).expect("it opens").expect("it is not skipped");
        assert_eq!(fan_out.shared_arguments().expect("arguments"), shared, "{with}");
    }
}

#[test]
fn a_list_in_outputs_need_not_be_given_and_a_condition_on_them_must() {
    let spec = fan_out("${steps.list.outputs.items}", "with: { argv: [echo] }");
    let path = FanOut::outputs_path(&spec, 1).expect("a path").expect("it is in outputs");
    assert_eq!(
        (path.step.as_str(), path.is_fan_out, path.keys.as_slice()),
        ("list", false, &["items".to_owned()][..])
    );
    assert!(FanOut::reads(&spec, 1).expect("references").is_empty());
    let spec = fan_out(
        "${steps.list.outputs.items}",
        "when: \"${size(steps.list.outputs.items) > 3}\", with: { argv: [echo] }",
    );
    assert_eq!(FanOut::reads(&spec, 1).expect("references"), ["list"]);
    let variables = Variables::new(&spec, params(), &run(), outputs());
    assert!(FanOut::open(&spec, 1, &variables).expect("it opens").is_none(), "its condition is false");
}

#[test]
fn a_range_of_a_million_is_left_to_the_scheduler_and_never_made() {
    for (for_each, rest) in
        [("${range(1000000)}", "with: { argv: [echo] }"), ("${range(5001)}", "with: { argv: [echo] }")]
    {
        let spec = fan_out(for_each, rest);
        let plan = plan(&spec, &params(), &run()).expect("a plan");
        assert_eq!(plan.steps[1].tasks, PlannedTasks::Later);
        let variables = Variables::new(&spec, params(), &run(), StepOutputs::new());
        let fan_out = FanOut::open(&spec, 1, &variables).expect("it opens").expect("it is not skipped");
        assert!(matches!(fan_out.items(), Ok(ItemSource::Range(5001 | 1_000_000))));
        assert!(fan_out.refuse_length(1_000_000).is_ok());
        let error = fan_out.refuse_length(1_000_001).expect_err("one too many");
        assert_eq!(error.to_string(), "step each, for_each: the list has 1000001 items, more than 1000000");
    }
    let spec = fan_out("${range(1000000)}", "sequence: true, with: { argv: [echo, \"${item}\"] }");
    let next = expand(&spec, 1, &params(), &run(), &StepOutputs::new(), None).expect("the first item");
    assert!(matches!(next, Expansion::Next { total: 1_000_000, .. }));
}

fn with_text() -> PipelineSpec {
    let text = "
        pipeline: texts
        params: { text: { type: string }, more: { type: string, default: '' } }
        steps: { a: { uses: shell, with: { argv: [echo] } } }
        ";
    let source = Source { name: "test.yaml".to_owned(), text: text.to_owned() };
    check(&source, &catalog::catalog(), None).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn params_of_more_than_a_mebibyte_are_refused() {
    let spec = with_text();
    let given = |bytes: usize| Map::from_iter([("text".to_owned(), Value::from("x".repeat(bytes)))]);
    let resolved = r#"{"text":"","more":""}"#.len();
    assert!(resolve_params(&spec, &given(PARAMS_BYTES_MAX - resolved)).is_ok());
    for bytes in [PARAMS_BYTES_MAX - resolved + 1, PARAMS_BYTES_MAX, 100 << 20] {
        let error = resolve_params(&spec, &given(bytes)).expect_err("too large");
        assert!(matches!(error, PipelineError::ParamsTooLarge { max: PARAMS_BYTES_MAX }), "{error}");
        assert!(error.to_string().contains("1048576 bytes") && error.to_string().contains("artifact"));
    }
}

#[test]
fn a_file_of_params_is_a_map_in_yaml_or_json() {
    let parsed = |text: &str| parse_params(&Source { name: "params".to_owned(), text: text.to_owned() });
    let params =
        Map::from_iter([("text".to_owned(), json!("x")), ("n".to_owned(), json!([1, { "a": null }]))]);
    assert_eq!(parsed("text: x\nn: [1, { a: null }]\n"), Ok(params.clone()));
    assert_eq!(parsed(r#"{"text": "x", "n": [1, {"a": null}]}"#), Ok(params));
    for (text, code) in [("[1]", "wrong-type"), ("a: 1\na: 2", "duplicate-key"), ("a: [", "not-yaml")] {
        let problems = parsed(text).expect_err("no params");
        assert_eq!(problems.first().map(|problem| problem.code), Some(code), "{text}");
    }
}

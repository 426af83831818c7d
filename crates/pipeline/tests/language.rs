//! The language by example: the issue's own pipeline, params, plans, expansions and values of expressions.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used)]

mod catalog;

use serde_json::{Map, Value, json};
use tale_pipeline::{
    Expansion, KindCatalog, PipelineError, PipelineSpec, PlannedTask, PlannedTasks, RunContext, RunPlan,
    SequenceState, Source, StepOutputs, check, expand, parse, parse_param_text, plan, references,
    resolve_params,
};
use tale_primitives::RunId;

fn run() -> RunContext {
    let id: RunId = "0190a0a0-0000-7000-8000-000000000001".parse().expect("an id");
    RunContext { id, date: "2026-02-28".parse().expect("a day"), fire_time: None, parent: None }
}

fn checked(text: &str) -> PipelineSpec {
    let source = Source { name: "test.yaml".to_owned(), text: text.to_owned() };
    check(&source, &catalog::catalog(), None).unwrap_or_else(|problems| {
        let shown: Vec<_> = problems.iter().map(|problem| format!("{problem}: {:?}", problem.help)).collect();
        panic!("{}", shown.join("\n"))
    })
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

fn planned(spec: &PipelineSpec, params: Value) -> RunPlan {
    let params = resolve_params(spec, &object(params)).expect("right params");
    plan(spec, &params, &run()).expect("a plan")
}

fn example() -> PipelineSpec {
    checked(include_str!("federated-training.yaml"))
}

#[test]
fn the_example_is_a_pipeline() {
    insta::assert_json_snapshot!("example-spec", example());
}

#[test]
fn the_example_is_planned() {
    insta::assert_json_snapshot!("example-plan", planned(&example(), json!({})));
}

#[test]
fn a_spec_survives_its_storage_whatever_the_store_does_to_the_order_of_keys() {
    let spec = example();
    let stored = spec.to_json().expect("JSON");
    let read = PipelineSpec::from_json(reversed(stored)).expect("a spec");
    assert_eq!(read.digest().expect("a digest"), spec.digest().expect("a digest"));
    assert_eq!(planned(&read, json!({})), planned(&spec, json!({})));
    assert!(PipelineSpec::from_json(json!({ "name": "x" })).is_err());
}

fn reversed(value: Value) -> Value {
    match value {
        Value::Object(map) => map.into_iter().rev().map(|(key, value)| (key, reversed(value))).collect(),
        Value::Array(items) => items.into_iter().map(reversed).collect(),
        scalar => scalar,
    }
}

#[test]
fn the_structure_alone_can_be_read_without_knowing_any_kind() {
    let text =
        "pipeline: a\nsteps: { b: { uses: no.such.kind, with: { x: \"${nonsense +}\" } } }\n".to_owned();
    let spec = parse(&Source { name: "a.yaml".to_owned(), text }).expect("a structure");
    assert_eq!(spec.steps.len(), 1);
}

#[test]
fn a_kind_gives_its_pool_to_steps_that_name_none() {
    let spec = checked(
        "pipeline: pools\nsteps:\n  a: { uses: learning.train, with: { participant: { name: a } } }\n  \
         b: { uses: learning.train, pool: cpu, with: { participant: { name: a } } }\n  \
         c: { uses: sleep, with: { seconds: 1 } }\n  d: { uses: pipeline, with: { pipeline: other } }\n",
    );
    let pools: Vec<_> = spec.steps.iter().map(|step| step.pool.as_str()).collect();
    assert_eq!(pools, ["gpu", "cpu", "cpu", "@scheduler"]);
    assert!(KindCatalog::new([]).find("pipeline").is_some());
}

const PARAMS: &str = "pipeline: params
params:
  name: { type: string, min: 2, max: 5 }
  count: { type: integer, default: 5, min: 1, max: 18446744073709551615 }
  rate: { type: number, default: 0.5, max: 1 }
  flag: { type: boolean, default: false }
  items: { type: list, default: [], max: 2 }
  extra: { type: object, default: {} }
  mode: { type: string, enum: [fast, slow], default: fast }
steps: { a: { uses: sleep, with: { seconds: 1 } } }
";

#[test]
fn params_are_defaulted_and_checked() {
    let spec = checked(PARAMS);
    let all = json!({ "name": "abc", "count": 5, "rate": 0.5, "flag": false, "items": [], "extra": {}, "mode": "fast" });
    assert_eq!(resolve_params(&spec, &object(json!({ "name": "abc" }))).expect("params"), object(all));
    let given = json!({ "name": "abc", "count": 3.0, "rate": 1 });
    let resolved = resolve_params(&spec, &object(given)).expect("params");
    assert_eq!(resolved["count"], json!(3), "a whole double is an integer");
    for (given, problem) in [
        (json!({}), "param name: is required"),
        (json!({ "name": "a" }), "param name: its length 1 is less than 2"),
        (json!({ "name": "abc", "count": 0 }), "param count: 0 is less than 1"),
        (json!({ "name": "abc", "count": 1.5 }), "param count: 1.5 is not an integer"),
        (json!({ "name": "abc", "rate": 1.01 }), "param rate: 1.01 is more than 1"),
        (json!({ "name": "abc", "flag": "true" }), "param flag: \"true\" is not a boolean"),
        (json!({ "name": "abc", "items": [1, 2, 3] }), "param items: its length 3 is more than 2"),
        (json!({ "name": "abc", "mode": "idle" }), "param mode: \"idle\" is not one of \"fast\", \"slow\""),
        (json!({ "name": "abc", "nmae": 1 }), "param nmae: is not a param of pipeline params"),
        (
            json!({ "flag": 1, "x": 1 }),
            "param name: is required; param flag: 1 is not a boolean; param x: is not a param of pipeline params",
        ),
    ] {
        let error = resolve_params(&spec, &object(given)).expect_err("wrong params");
        assert_eq!(error.to_string(), problem);
    }
}

#[test]
fn params_given_as_text_become_their_declared_type() {
    let spec = checked(PARAMS);
    for (key, text, value) in [
        ("name", "12", json!("12")),
        ("count", "12", json!(12)),
        ("count", "18446744073709551615", json!(u64::MAX)),
        ("rate", "1e-3", json!(0.001)),
        ("flag", "true", json!(true)),
        ("items", "[1, \"a\"]", json!([1, "a"])),
        ("extra", "{\"a\": null}", json!({ "a": null })),
    ] {
        assert_eq!(parse_param_text(&spec, key, text).expect(text), value);
    }
    for (key, text) in
        [("count", "1.5"), ("count", "five"), ("rate", "NaN"), ("flag", "yes"), ("items", "{}"), ("nme", "x")]
    {
        let problem = parse_param_text(&spec, key, text).expect_err(text);
        assert!(problem.help.is_some(), "{problem}");
    }
}

/// The value of an expression in `with`, with `item` 7 at index 1 of a fan-out.
fn value(expression: &str) -> Result<Value, PipelineError> {
    let text = format!(
        "pipeline: values
params:
  n: {{ type: integer, default: 5 }}
  rate: {{ type: number, default: 0.5 }}
  list: {{ type: list, default: [3, 1, 2] }}
  big: {{ type: integer, default: 18446744073709551615 }}
  name: {{ type: string, default: tale }}
  map: {{ type: object, default: {{ b: 2, a: 1 }} }}
steps:
  a: {{ uses: shell, for_each: [6, 7], with: {{ argv: [echo], env: {} }} }}
",
        json!({ "value": expression })
    );
    let spec = checked(&text);
    let params = resolve_params(&spec, &Map::new()).expect("params");
    let plan = plan(&spec, &params, &run())?;
    match &plan.steps[0].tasks {
        PlannedTasks::Now(tasks) => Ok(tasks[1].arguments["env"]["value"].clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn expressions_give_json_of_their_own_type() {
    for (expression, expected) in [
        ("${params.n}", json!(5)),
        ("${params.n + 1}", json!(6)),
        ("${params.n / 2}", json!(2)),
        ("${params.rate * 2.0}", json!(1.0)),
        ("${params.big}", json!(u64::MAX)),
        ("${[params.big][0]}", json!(u64::MAX)),
        ("${params.n > 4 && params.name.startsWith('ta')}", json!(true)),
        ("${params.n > 4 ? 'many' : 'few'}", json!("many")),
        ("${null}", json!(null)),
        ("${params.list.map(x, x * 2)}", json!([6, 2, 4])),
        ("${params.list.filter(x, x > 1)}", json!([3, 2])),
        ("${params.list.exists(x, x == 2)}", json!(true)),
        ("${params.list.all(x, x > 1)}", json!(false)),
        ("${params.list.exists_one(x, x == 3)}", json!(true)),
        ("${params.list.map(x, x > 1, x + 10)}", json!([13, 12])),
        ("${size(params.list) + size(params.name)}", json!(7)),
        ("${range(3)}", json!([0, 1, 2])),
        ("${range(3).map(i, {'index': i})}", json!([{ "index": 0 }, { "index": 1 }, { "index": 2 }])),
        ("${flatten([[1], [], [2, 3]])}", json!([1, 2, 3])),
        ("${zip(params.list, range(3))}", json!([[3, 0], [1, 1], [2, 2]])),
        ("${max(params.list) - min(1, 2)}", json!(2)),
        ("${params.map}", json!({ "b": 2, "a": 1 })),
        ("${{'z': 1, 'a': params.map}}", json!({ "a": { "a": 1, "b": 2 }, "z": 1 })),
        ("${params.map['b']}", json!(2)),
        ("${has(params.map.c) ? 1 : 0}", json!(0)),
        ("${'a' in params.map}", json!(true)),
        ("${item * 10 + index}", json!(71)),
        ("${run.date}", json!("2026-02-28")),
        ("${run.pipeline + '/' + string(params.n)}", json!("values/5")),
        ("${run.parent}", json!(null)),
        (
            "text ${params.name} ${params.n} ${params.list} ${run.parent} ${params.rate > 0.1}",
            json!("text tale 5 [3,1,2] null true"),
        ),
        ("$${params.n} costs $5", json!("${params.n} costs $5")),
        ("${'ö' + params.name}", json!("ötale")),
        ("${int(params.rate * 10.0)}", json!(5)),
    ] {
        let found = value(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
        // Text tells 1 from 1.0, and shows the order of keys, which must be the same on every run.
        assert_eq!(found.to_string(), expected.to_string(), "{expression}");
    }
}

#[test]
fn every_function_that_the_checker_allows_can_be_called() {
    for (expression, expected) in [
        ("${bool('true')}", json!(true)),
        ("${bytes('a') == b'a'}", json!(true)),
        ("${'tale'.contains('al') && 'tale'.endsWith('e')}", json!(true)),
        ("${double(1)}", json!(1.0)),
        ("${dyn(1)}", json!(1)),
        ("${params.list.existsOne(x, x == 1)}", json!(true)),
        ("${uint(7)}", json!(7)),
        ("${type(1) == type(2)}", json!(true)),
    ] {
        let found = value(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
        assert_eq!(found.to_string(), expected.to_string(), "{expression}");
    }
}

#[test]
fn expressions_that_fail_say_where_and_why() {
    for (expression, message) in [
        ("${params.map.c}", "step a, with.env.value: ${params.map.c}: there is no \"c\"; there is b, a"),
        ("${params.n.x}", "step a, with.env.value: ${params.n.x}: there is no \"x\" in a number"),
        (
            "${1.0 / 0.0}",
            "step a, with.env.value: ${1.0 / 0.0}: the result inf is no number that JSON can hold",
        ),
        ("${range(-1)}", "step a, with.env.value: ${range(-1)}: range: -1 is not between 0 and 1000000"),
        (
            "${zip([1], [])}",
            "step a, with.env.value: ${zip([1], [])}: zip: takes lists of one length, not of 1 and 0",
        ),
        ("${{1: 2}}", "step a, with.env.value: ${{1: 2}}: the key 1 of the result is not a string"),
    ] {
        assert_eq!(value(expression).expect_err(expression).to_string(), message);
    }
    assert!(value("${params.n / 0}").is_err());
    assert!(value("${params.n + 9223372036854775807}").is_err());
    assert!(value("${-9223372036854775807 - 2}").is_err());
    assert!(value("${(-9223372036854775807 - 1) / -1}").is_err());
    assert!(value("${params.n + 'a'}").is_err());
    assert!(value("${b'bytes'}").is_err());
}

#[test]
fn an_expression_that_would_take_days_is_stopped() {
    for expression in [
        "${range(1000000).map(x, range(1000000).map(y, x * y))}",
        "${range(1000000).all(x, range(1000000).all(y, x + y >= 0))}",
    ] {
        let error = value(expression).expect_err("too much").to_string();
        assert!(error.contains("takes too long"), "{error}");
    }
}

const FLOW: &str = "pipeline: flow
params: { rounds: { type: integer, default: 3 } }
steps:
  select: { uses: learning.select, with: { dataset: fashion, count: 2 } }
  train:
    uses: learning.train
    for_each: \"${steps.select.outputs.participants}\"
    with: { participant: { name: \"${item}\" }, round: \"${index}\" }
  rounds:
    uses: pipeline
    for_each: \"${range(params.rounds)}\"
    sequence: true
    with: { pipeline: training-round, params: { round: \"${item}\", base: \"${previous}\" } }
    needs: [train]
  report:
    uses: shell
    when: \"${size(steps.train.outputs) > 1}\"
    with: { argv: [echo, \"${string(size(steps.train.outputs))}\"] }
  never: { uses: sleep, when: \"${params.rounds > 10}\", with: { seconds: 1 } }
  after: { uses: sleep, needs: [never], with: { seconds: 1 } }
outputs:
  model: \"${steps.rounds.outputs[params.rounds - 1]}\"
  trained: \"${steps.train.outputs}\"
";

fn expanded(
    spec: &PipelineSpec,
    index: u16,
    outputs: Value,
    state: Option<SequenceState>,
) -> Result<Expansion, PipelineError> {
    let params = resolve_params(spec, &Map::new()).expect("params");
    let outputs: StepOutputs = object(outputs).into_iter().collect();
    expand(spec, index, &params, &run(), &outputs, state.as_ref())
}

fn only(arguments: Value) -> Expansion {
    Expansion::Tasks(vec![PlannedTask { index: 0, arguments, limit_key: None, cache_key: None }])
}

#[test]
fn a_plan_says_what_is_known_and_what_must_wait() {
    let spec = checked(FLOW);
    let plan = planned(&spec, json!({}));
    let known: Vec<_> = plan
        .steps
        .iter()
        .map(|step| match &step.tasks {
            PlannedTasks::Now(tasks) => format!("{} {}", step.name, tasks.len()),
            PlannedTasks::Skipped => format!("{} skipped", step.name),
            PlannedTasks::Later => format!("{} later", step.name),
        })
        .collect();
    assert_eq!(
        known,
        [
            "select 1",
            "train later",
            "rounds later",
            "report later",
            "never skipped",
            "after 1",
            "@outputs later"
        ]
    );
    let needs: Vec<_> = plan.steps.iter().map(|step| step.needs.clone()).collect();
    assert_eq!(needs, [vec![], vec![0], vec![1], vec![1], vec![], vec![4], vec![1, 2]]);
    let reads: Vec<_> = (0..7).map(|index| references(&spec, index).expect("references").join(" ")).collect();
    assert_eq!(reads, ["", "select", "", "train", "", "", "train rounds"]);
    assert!(references(&spec, 7).is_err());
}

#[test]
fn a_fan_out_has_one_task_per_item_even_for_none() {
    let spec = checked(FLOW);
    let expansion =
        expanded(&spec, 1, json!({ "select": { "participants": ["a", "b"] } }), None).expect("tasks");
    let task = |index: u32, name: &str| PlannedTask {
        index,
        arguments: json!({ "participant": { "name": name }, "round": index }),
        limit_key: None,
        cache_key: None,
    };
    assert_eq!(expansion, Expansion::Tasks(vec![task(0, "a"), task(1, "b")]));
    let none = expanded(&spec, 1, json!({ "select": { "participants": [] } }), None).expect("tasks");
    assert_eq!(none, Expansion::Tasks(vec![]));
    let error = expanded(&spec, 1, json!({ "select": { "participants": 3 } }), None).expect_err("not a list");
    assert_eq!(error.to_string(), "step train, for_each: a fan-out needs a list, not a number");
    let error = expanded(&spec, 1, json!({}), None).expect_err("nothing given");
    assert!(matches!(error, PipelineError::MissingOutputs { .. }));
    let error = expanded(&spec, 1, json!({ "select": null }), None).expect_err("skipped");
    assert!(error.to_string().ends_with("a skipped step has null outputs"), "{error}");
}

#[test]
fn a_sequence_goes_on_from_the_outputs_of_the_item_before() {
    let spec = checked(FLOW);
    let next = |round: u32, previous: Value| {
        let arguments =
            json!({ "pipeline": "training-round", "params": { "round": round, "base": previous } });
        Expansion::Next {
            task: PlannedTask { index: round, arguments, limit_key: None, cache_key: None },
            total: 3,
        }
    };
    let at = |next_index, previous| Some(SequenceState { next_index, previous });
    assert_eq!(expanded(&spec, 2, json!({}), None).expect("first"), next(0, Value::Null));
    assert_eq!(expanded(&spec, 2, json!({}), at(1, json!("m1"))).expect("second"), next(1, json!("m1")));
    assert_eq!(
        expanded(&spec, 2, json!({}), at(3, json!("m3"))).expect("end"),
        Expansion::Finished { total: 3 }
    );
}

#[test]
fn a_condition_is_decided_once_its_needs_have_finished() {
    let spec = checked(FLOW);
    assert_eq!(expanded(&spec, 3, json!({ "train": [1] }), None).expect("skipped"), Expansion::Skipped);
    assert_eq!(
        expanded(&spec, 3, json!({ "train": [1, 2] }), None).expect("run"),
        only(json!({ "argv": ["echo", "2"] }))
    );
}

#[test]
fn the_outputs_of_a_run_are_the_arguments_of_its_last_step() {
    let spec = checked(FLOW);
    let outputs = json!({ "train": [1, null], "rounds": ["m1", "m2", "m3"] });
    assert_eq!(
        expanded(&spec, 6, outputs, None).expect("outputs"),
        only(json!({ "model": "m3", "trained": [1, null] }))
    );
}

#[test]
fn anchors_and_merges_repeat_what_they_name() {
    let spec = checked(
        "pipeline: anchors\nsteps:\n  a: &a { uses: sleep, timeout: 5s, with: &w { seconds: 1 } }\n  \
         b: { uses: sleep, with: *w }\n  c: { <<: *a, timeout: 9s }\n",
    );
    let shown: Vec<_> =
        spec.steps.iter().map(|step| (step.timeout_ms, step.with["seconds"].clone())).collect();
    assert_eq!(shown, [(Some(5_000), json!(1)), (None, json!(1)), (Some(9_000), json!(1))]);
}

#[test]
fn a_hundred_thousand_items_are_expanded() {
    let spec = checked(FLOW);
    let names: Vec<_> = (0..100_000).map(|index| format!("p{index}")).collect();
    let expansion = expanded(&spec, 1, json!({ "select": { "participants": names } }), None).expect("tasks");
    assert!(matches!(expansion, Expansion::Tasks(tasks) if tasks.len() == 100_000));
}

const SCHEDULED: &str = "
    pipeline: nightly
    params:
      region: { type: string }
      size: { type: integer, default: 3 }
    schedule:
      cron: '10  0 * * *'
      timezone: Europe/Berlin
      date: previous_day
      missed: { all: 24 }
      params: { region: north }
    steps:
      first: { uses: sleep, with: { seconds: 1 } }
    outputs: { about: '${run.date}', fired: '${run.fire_time}' }
    ";

#[test]
fn a_schedule_is_part_of_the_spec_and_says_what_each_fire_is_about() {
    let spec = checked(SCHEDULED);
    let schedule = spec.schedule.clone().expect("a schedule");
    assert_eq!(
        serde_json::to_value(&schedule).expect("JSON"),
        json!({
            "cron": "10 0 * * *", "timezone": "Europe/Berlin", "date": "previous_day", "missed": { "all": 24 },
            "params": { "region": "north" },
        })
    );
    let stored = PipelineSpec::from_json(spec.to_json().expect("JSON")).expect("a spec");
    assert_eq!(stored, spec);
    let timetable = schedule.timetable().expect("a timetable");
    let fire = timetable.after("2026-11-22T23:00:00Z".parse().expect("an instant")).expect("a fire");
    assert_eq!(fire.at.to_string(), "2026-11-22 23:10:00 UTC");
    assert_eq!(schedule.logical_date(fire).to_string(), "2026-11-22");
    let day = |text: &str| text.parse().expect("a day");
    let about: Vec<_> = schedule
        .fires_about(&timetable, day("2026-11-20"), day("2026-11-22"))
        .map(|fire| schedule.logical_date(fire).to_string())
        .collect();
    assert_eq!(about, ["2026-11-20", "2026-11-21", "2026-11-22"]);
}

#[test]
fn what_a_schedule_leaves_out_is_utc_its_own_day_and_the_latest() {
    let spec = checked(
        "{ pipeline: a, schedule: { cron: '@hourly' }, steps: { b: { uses: sleep, with: { seconds: 1 } } } }",
    );
    assert_eq!(
        serde_json::to_value(spec.schedule).expect("JSON"),
        json!({ "cron": "@hourly", "timezone": "UTC", "date": "fire_day", "missed": "latest" })
    );
}

#[test]
fn a_pipeline_without_a_schedule_keeps_the_digest_that_it_had_before_there_were_schedules() {
    let text = "{ pipeline: a, steps: { b: { uses: sleep, with: { seconds: 1 } } } }";
    let spec = checked(text).to_json().expect("JSON");
    let keys: Vec<_> = spec.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["name", "params", "steps"]);
}

#[test]
fn the_time_of_the_fire_is_null_in_a_run_that_no_schedule_started() {
    let spec = checked(SCHEDULED);
    let params = object(json!({ "region": "x", "size": 1 }));
    let outputs = |fire_time| {
        let run = RunContext { fire_time, ..run() };
        match expand(&spec, 1, &params, &run, &StepOutputs::new(), None) {
            Ok(Expansion::Tasks(mut tasks)) => tasks.pop().expect("a task").arguments,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(outputs(None), json!({ "about": "2026-02-28", "fired": null }));
    let at = "2026-11-22T23:10:00Z".parse().expect("an instant");
    assert_eq!(outputs(Some(at)), json!({ "about": "2026-02-28", "fired": "2026-11-22T23:10:00Z" }));
}

#[test]
fn a_trigger_gives_its_event_to_the_params_of_the_run() {
    let spec = checked(
        "
        pipeline: a
        params: { source: { type: string }, n: { type: integer, default: 1 } }
        triggers:
          - run: { pipeline: other }
            params: { source: 'after ${event.run}', n: '${event.outputs.n + 1}' }
          - object: { prefix: inbox/, every: 5s }
            params: { source: '${event.path}' }
        steps: { b: { uses: sleep, with: { seconds: 1 } } }
        ",
    );
    assert_eq!(
        serde_json::to_value(&spec.triggers).expect("JSON"),
        json!([
            {
                "on": { "run": { "pipeline": "other", "state": "succeeded" } },
                "params": { "source": "after ${event.run}", "n": "${event.outputs.n + 1}" },
            },
            { "on": { "object": { "prefix": "inbox/", "every_ms": 5000 } }, "params": { "source": "${event.path}" } },
        ])
    );
    let [run, object] = spec.triggers.as_slice() else { panic!("two triggers") };
    let event = json!({ "run": "r1", "outputs": { "n": 4 } });
    assert_eq!(
        Value::Object(run.params_for(&event).expect("params")),
        json!({ "source": "after r1", "n": 5 })
    );
    assert!(run.params_for(&json!({ "run": "r1", "outputs": null })).is_err());
    let event = json!({ "path": "inbox/x.csv" });
    assert_eq!(Value::Object(object.params_for(&event).expect("params")), json!({ "source": "inbox/x.csv" }));
    let stored = PipelineSpec::from_json(spec.to_json().expect("JSON")).expect("a spec");
    assert_eq!(stored, spec);
}

//! Laws of the checker and the planner, over random texts and random graphs.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used)]

mod catalog;

use std::{collections::HashSet, fmt::Write as _, time::Instant};

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tale_pipeline::{
    Expansion, PipelineSpec, PlannedTasks, RunContext, RunPlan, SequenceState, Source, StepOutputs, check,
    expand, plan, references,
};
use tale_primitives::RunId;

fn run() -> RunContext {
    let id: RunId = "0190a0a0-0000-7000-8000-000000000001".parse().expect("an id");
    RunContext { id, date: "2026-02-28".parse().expect("a day"), fire_time: None, parent: None }
}

fn checked(text: String) -> Result<PipelineSpec, String> {
    let source = Source { name: "law.yaml".to_owned(), text };
    check(&source, &catalog::catalog(), None)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// How a step of a random pipeline uses an earlier one.
#[derive(Debug, Clone, Copy)]
enum Link {
    Needs,
    Argument,
    FanOut,
    Sequence,
    Condition,
}

/// A random pipeline: for each step, links to steps before it, and whether it stands before them in the file.
fn graphs() -> impl Strategy<Value = Vec<Vec<(usize, Link)>>> {
    let link = prop_oneof![
        Just(Link::Needs),
        Just(Link::Argument),
        Just(Link::FanOut),
        Just(Link::Sequence),
        Just(Link::Condition)
    ];
    prop::collection::vec(prop::collection::vec((0usize..1000, link), 0..4), 1..24)
}

/// The YAML of a graph, with its steps in the order of `places`.
fn yaml(graph: &[Vec<(usize, Link)>], reverse: bool) -> String {
    let mut steps: Vec<String> = graph.iter().enumerate().map(|(index, links)| step(index, links)).collect();
    if reverse {
        steps.reverse();
    }
    format!("pipeline: random\nsteps:\n{}", steps.concat())
}

fn step(index: usize, links: &[(usize, Link)]) -> String {
    let mut text = format!("  s{index}:\n    uses: shell\n");
    let (mut needs, mut argv) = (Vec::new(), vec!["echo".to_owned()]);
    let (mut fans_out, mut conditional) = (false, false);
    for (target, link) in links.iter().filter(|_| index > 0) {
        let target = target % index;
        match link {
            Link::FanOut | Link::Sequence if !fans_out => {
                fans_out = true;
                let _ = writeln!(text, "    for_each: \"${{[1, steps.s{target}.outputs]}}\"");
                if matches!(link, Link::Sequence) {
                    text.push_str("    sequence: true\n");
                }
            }
            Link::Condition if !conditional => {
                conditional = true;
                let _ = writeln!(text, "    when: \"${{steps.s{target}.outputs != null}}\"");
            }
            Link::Argument => argv.push(format!("\"${{string(steps.s{target}.outputs != null)}}\"")),
            _ => needs.push(format!("s{target}")),
        }
    }
    let _ = writeln!(text, "    needs: [{}]\n    with: {{ argv: [{}] }}", needs.join(", "), argv.join(", "));
    text
}

/// Runs a plan to its end, taking the ready step that `choose` picks; every step must have what it needs.
fn execute(spec: &PipelineSpec, plan: &RunPlan, mut choose: impl FnMut(usize) -> usize) -> Vec<u16> {
    let mut unmet: Vec<usize> = plan.steps.iter().map(|step| step.needs.len()).collect();
    let mut ready: Vec<u16> =
        plan.steps.iter().filter(|step| step.needs.is_empty()).map(|step| step.index).collect();
    let mut outputs = StepOutputs::new();
    let mut order = Vec::new();
    while !ready.is_empty() {
        let index = ready.swap_remove(choose(ready.len()));
        let step = &plan.steps[usize::from(index)];
        for need in &step.needs {
            assert!(order.contains(need), "{} ran before {need}", step.name);
        }
        let results = match &step.tasks {
            PlannedTasks::Now(tasks) => vec![json!("done"); tasks.len()],
            PlannedTasks::Skipped => Vec::new(),
            PlannedTasks::Later => expand_to_end(spec, index, &outputs),
        };
        let value =
            if step.fan_out { Value::Array(results) } else { results.into_iter().next().unwrap_or_default() };
        outputs.insert(step.name.clone(), value);
        order.push(index);
        for dependent in &step.dependents {
            unmet[usize::from(*dependent)] -= 1;
            if unmet[usize::from(*dependent)] == 0 {
                ready.push(*dependent);
            }
        }
    }
    order
}

fn expand_to_end(spec: &PipelineSpec, index: u16, outputs: &StepOutputs) -> Vec<Value> {
    let read = references(spec, index).expect("references");
    let given: StepOutputs =
        outputs.iter().filter(|(name, _)| read.contains(name)).map(|(n, v)| (n.clone(), v.clone())).collect();
    let mut results = Vec::new();
    loop {
        let previous = results.last().cloned().unwrap_or_default();
        let state = SequenceState { next_index: results.len() as u32, previous };
        match expand(spec, index, &Map::new(), &run(), &given, Some(&state)).expect("an expansion") {
            Expansion::Skipped => return results,
            Expansion::Tasks(tasks) => return vec![json!("done"); tasks.len()],
            Expansion::Next { task, total } => {
                assert_eq!(usize::try_from(task.index), Ok(results.len()));
                assert!(task.index < total);
                results.push(json!("done"));
            }
            Expansion::Finished { total } => {
                assert_eq!(usize::try_from(total), Ok(results.len()));
                return results;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_step_runs_once_after_all_that_it_needs_in_any_order(graph in graphs(), reverse: bool, picks in prop::collection::vec(0usize..100, 32)) {
        let spec = checked(yaml(&graph, reverse)).map_err(TestCaseError::fail)?;
        let plan = plan(&spec, &Map::new(), &run()).expect("a plan");
        let mut picks = picks.into_iter().cycle();
        let order = execute(&spec, &plan, |ready| picks.next().unwrap_or(0) % ready);
        let once: HashSet<_> = order.iter().collect();
        prop_assert_eq!((order.len(), once.len()), (graph.len(), graph.len()));
    }

    #[test]
    fn needs_and_dependents_are_inverse_and_a_plan_is_the_same_every_time(graph in graphs()) {
        let spec = checked(yaml(&graph, false)).map_err(TestCaseError::fail)?;
        let first = plan(&spec, &Map::new(), &run()).expect("a plan");
        let edges = |list: fn(&tale_pipeline::PlannedStep) -> &Vec<u16>| -> HashSet<(u16, u16)> {
            first.steps.iter().flat_map(|step| list(step).iter().map(|other| (step.index, *other))).collect()
        };
        let needs = edges(|step| &step.needs);
        let dependents: HashSet<_> = edges(|step| &step.dependents).into_iter().map(|(a, b)| (b, a)).collect();
        prop_assert_eq!(&needs, &dependents);
        prop_assert!(needs.iter().all(|(from, to)| from != to));
        prop_assert_eq!(first.steps.iter().map(|step| step.needs.len()).sum::<usize>(), needs.len());
        for (place, step) in first.steps.iter().enumerate() {
            prop_assert_eq!(place, usize::from(step.index));
            // A step that reads nothing is known at the start, whatever it waits for.
            let reads = references(&spec, step.index).expect("references");
            prop_assert_eq!(matches!(&step.tasks, PlannedTasks::Now(_)), reads.is_empty());
        }
        prop_assert_eq!(plan(&spec, &Map::new(), &run()).expect("a plan"), first);
    }

    #[test]
    fn a_bare_path_means_what_the_interpreter_makes_of_it(
        leaf in prop_oneof![
            Just(json!(null)), any::<i64>().prop_map(|n| json!(n)), any::<u64>().prop_map(|n| json!(n)),
            (-1e9f64..1e9).prop_map(|n| json!(n)), "[a-z]{0,3}".prop_map(|t| json!(t)), Just(json!([1, {"a": 2.5}])), Just(json!({"a": {"b": 1}})),
        ],
        stored in prop::collection::vec("[ab]", 0..3),
        asked in prop::collection::vec("[ab]", 0..4),
    ) {
        let value = stored.iter().rev().fold(leaf, |inner, name| json!({ name.as_str(): inner }));
        let path = ["params", "v"].into_iter().chain(asked.iter().map(String::as_str)).collect::<Vec<_>>().join(".");
        let evaluated = |expression: String| {
            let spec: PipelineSpec = serde_json::from_value(json!({
                "name": "a", "params": [],
                "steps": [{ "name": "s", "uses": "shell", "with": { "x": expression }, "pool": "cpu",
                    "retry": { "attempts": 1, "backoff_base_ms": 1, "backoff_cap_ms": 1 } }],
            })).expect("a spec");
            let params = json!({ "v": value });
            plan(&spec, params.as_object().expect("an object"), &run()).map(|plan| format!("{:?}", plan.steps[0].tasks)).ok()
        };
        prop_assert_eq!(evaluated(format!("${{{path}}}")), evaluated(format!("${{({path})}}")));
    }

    #[test]
    fn a_circle_is_always_found(graph in graphs(), from in 0usize..24) {
        // Closing any path of needs from its end to its start makes a circle.
        let mut graph = graph;
        let from = from % graph.len();
        for links in &mut graph {
            links.iter_mut().for_each(|link| link.1 = Link::Needs);
        }
        let text = yaml(&graph, false).replacen(&format!("  s{from}:\n    uses: shell\n    needs: ["), &format!("  s{from}:\n    uses: shell\n    needs: [zz, "), 1);
        let text = format!("{text}  zz:\n    uses: shell\n    needs: [s{from}]\n    with: {{ argv: [echo] }}\n");
        let problems = checked(text).expect_err("a circle");
        prop_assert!(problems.contains("in a circle"), "{}", problems);
    }

    #[test]
    fn no_text_makes_the_checker_panic(text in "\\PC{0,200}") {
        let _ = checked(text.clone());
        let _ = checked(format!("pipeline: a\nsteps:\n  b:\n    uses: shell\n    with: {{ argv: [\"${{{text}}}\"] }}\n"));
        let _ = checked(format!("pipeline: a\nsteps:\n  b:\n    uses: {text}\n    for_each: {text}\n"));
    }

    #[test]
    fn no_change_to_a_good_file_makes_the_checker_panic(
        edits in prop::collection::vec((0usize..10_000, prop_oneof![Just(None), "[\\[\\]{}:,&*!|>'\"%@`$#?\\-\\\\ \n\t\u{0}é0-9a-z<~]".prop_map(Some)]), 1..8)
    ) {
        let mut text: Vec<char> = include_str!("federated-training.yaml").chars().collect();
        for (place, edit) in edits {
            let place = place % text.len();
            match edit {
                None => drop(text.remove(place)),
                Some(new) => text.splice(place..place, new.chars()).for_each(drop),
            }
        }
        if let Ok(spec) = checked(text.into_iter().collect()) {
            let _ = plan(&spec, &Map::new(), &run());
        }
    }

    #[test]
    fn no_expression_makes_the_interpreter_panic(tokens in prop::collection::vec(
        prop::sample::select(vec![
            "item", "index", "run.date", "params.n", "params.list", "1", "-1", "0", "9223372036854775807", "1.5", "'a'", "null", "true",
            "+", "-", "*", "/", "%", "==", "<", "in", "&&", "||", "?", ":", "(", ")", "[", "]", "{", "}", ".", ",", "!", "size(",
            ".map(x, x)", ".filter(x, ", ".all(x, x > 1)", "range(3)", "string(", "int(", "max(", "flatten(", "zip(", "has(", "b'x'", "1u", "x",
        ]),
        1..10,
    )) {
        let expression = tokens.join(" ");
        let spec: PipelineSpec = serde_json::from_value(json!({
            "name": "a",
            "params": [],
            "steps": [{
                "name": "s", "uses": "shell", "for_each": [1, "b", [1.5]], "with": { "x": format!("${{{expression}}}") },
                "pool": "cpu", "retry": { "attempts": 1, "backoff_base_ms": 1, "backoff_cap_ms": 1 },
            }],
        })).expect("a spec");
        let params = json!({ "n": 5, "list": [3, 1, 2] });
        let _ = plan(&spec, params.as_object().expect("an object"), &run());
    }
}

/// Expressions that are as deep, wide or long as their limits allow, and beyond, on the small stack of a test thread.
#[test]
fn no_expression_overflows_the_stack() {
    let repeated = |unit: &str| unit.repeat(4_090 / unit.len());
    let chains = [
        "+1",
        ".a",
        "[0]",
        " && true",
        " || false",
        " ? 1 : 1",
        ".map(x, x)",
        " == 1",
        "-1",
        "*1",
        ", 1",
        " in [1]",
    ];
    let nests = [
        "(",
        "[",
        "{",
        "{1:",
        "!",
        "-",
        "- ",
        "! ",
        "size(",
        "[1].map(x, ",
        "true ? ",
        "1 + (",
        "a[",
        "has(",
        "f(1, ",
    ];
    for expression in
        chains.map(|chain| format!("1{}", repeated(chain))).into_iter().chain(nests.map(repeated))
    {
        for depth in [10, 23, 24, 25, 60, 90, 97, 100, 4_000] {
            let cut: String = expression.chars().take(depth * 4).collect();
            let _ = checked(format!(
                "pipeline: a\nsteps:\n  b:\n    uses: shell\n    with: {{ argv: [{}] }}\n",
                json!(format!("${{{cut}}}"))
            ));
        }
    }
    for (open, close) in
        [("(", ")"), ("[", "]"), ("[1].map(x, ", ")"), ("size([", "])"), ("!(", ")"), ("true ? (", ") : 1")]
    {
        for depth in [1, 12, 24, 48] {
            let expression = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let spec = json!({
                "name": "a", "params": [],
                "steps": [{ "name": "s", "uses": "shell", "with": { "x": format!("${{{expression}}}") }, "pool": "cpu",
                    "retry": { "attempts": 1, "backoff_base_ms": 1, "backoff_cap_ms": 1 } }],
            });
            let spec: PipelineSpec = serde_json::from_value(spec).expect("a spec");
            let _ = plan(&spec, &Map::new(), &run());
        }
    }
}

/// Ten thousand steps that each read the one before. Prints how long they take; nothing depends on it.
#[test]
fn ten_thousand_steps_are_checked_and_planned() {
    let mut text = String::from("pipeline: large\nparams: { n: { type: integer, default: 1 } }\nsteps:\n");
    for step in 0..10_000 {
        let _ = write!(
            text,
            "  s{step}:\n    uses: shell\n    timeout: 10m\n    with: {{ argv: [echo, \"${{params.n}}\""
        );
        if step > 0 {
            let _ = write!(text, ", \"${{steps.s{}.outputs.line}}\"", step - 1);
        }
        text.push_str("] }\n");
        if step % 100 == 0 {
            text.push_str("    when: \"${params.n > 0}\"\n");
        }
    }
    let bytes = text.len();
    let start = Instant::now();
    let spec = checked(text).expect("a pipeline");
    let checked_in = start.elapsed();
    let start = Instant::now();
    let params = json!({ "n": 1 });
    let plan = plan(&spec, params.as_object().expect("an object"), &run()).expect("a plan");
    println!("10,000 steps ({bytes} bytes): checked in {checked_in:.0?}, planned in {:.0?}", start.elapsed());
    assert_eq!(plan.steps.len(), 10_000);
    assert_eq!(plan.steps[5_000].needs, [4_999]);
}

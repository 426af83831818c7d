//! What a stranger's text is put through: by the tests over a corpus and its mutations, and by the targets of cargo-fuzz.
//!
//! Each function takes any text. It must neither panic nor hang, and holds what comes out against what must be true of it.

use serde_json::{Value, json};
use tale_pipeline::{PipelineSpec, RunContext, Source, check, plan, resolve_params};
use tale_primitives::RunId;
use tale_timetable::Timetable;

#[path = "../catalog/mod.rs"]
mod catalog;

/// A pipeline file: its problems lie in it, and what has none is stored, read back and planned.
pub fn yaml(text: &str) {
    let source = Source { name: "stranger.yaml".to_owned(), text: text.to_owned() };
    match check(&source, &catalog::catalog(), None) {
        Err(problems) => {
            assert!(!problems.is_empty(), "a file is refused without a reason");
            for problem in problems {
                assert!(text.get(problem.span.clone()).is_some(), "{problem} lies outside the file");
                assert!(problem.line >= 1 && problem.column >= 1, "{problem} has no place");
            }
        }
        Ok(spec) => {
            let stored = spec.to_json().expect("a checked pipeline can be stored");
            let read = PipelineSpec::from_json(stored).expect("what was stored can be read");
            assert_eq!(read.digest().expect("a digest"), spec.digest().expect("a digest"));
            if let Ok(params) = resolve_params(&spec, &serde_json::Map::new()) {
                let _ = plan(&spec, &params, &run());
            }
        }
    }
}

/// An expression of CEL, evaluated for items of every sort.
pub fn expression(text: &str) {
    evaluate(json!({ "x": format!("${{{text}}}") }));
}

/// A text with expressions in it, in a value and in a key's place.
pub fn template(text: &str) {
    evaluate(json!({ "x": text, "list": [text, { "deep": text }] }));
}

/// A cron expression: what is due next comes later.
pub fn cron(text: &str) {
    let (expression, zone) = text.split_once('\n').unwrap_or((text, "UTC"));
    let Ok(timetable) = Timetable::parse(expression, zone.trim()) else { return };
    let now = "2026-11-26T12:00:00Z".parse().expect("an instant");
    let mut before = now;
    for fire in timetable.fires_after(now).take(5) {
        assert!(fire.at > before, "{expression:?} goes backwards");
        before = fire.at;
    }
}

fn evaluate(with: Value) {
    let spec = json!({
        "name": "stranger",
        "params": [],
        "steps": [{
            "name": "s", "uses": "shell", "for_each": [1, "b", [1.5], { "k": null }], "with": with, "pool": "cpu",
            "retry": { "attempts": 1, "backoff_base_ms": 1, "backoff_cap_ms": 1 },
        }],
    });
    let Ok(spec) = serde_json::from_value::<PipelineSpec>(spec) else { return };
    let params = json!({ "n": 5, "list": [3, 1, 2], "text": "é\u{0}", "map": { "a": [1, { "b": 2.5 }] } });
    let _ = plan(&spec, params.as_object().expect("an object"), &run());
}

fn run() -> RunContext {
    let id: RunId = "0190a0a0-0000-7000-8000-000000000001".parse().expect("an id");
    RunContext { id, date: "2026-02-28".parse().expect("a day"), fire_time: None, parent: None }
}

//! Resources and caches: what the language makes of them.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used)]

use serde_json::{Map, Value, json};
use tale_pipeline::{
    CacheSpec, KindCatalog, KindDescription, PipelineSpec, PlannedTasks, ResourceSpec, RunContext, RunPlan,
    Source, check, plan,
};

/// A kind that asks for a GPU unless its step says otherwise.
fn catalog() -> KindCatalog {
    KindCatalog::new([KindDescription {
        name: "render".to_owned(),
        summary: "Renders.".to_owned(),
        arguments: json!({ "type": "object" }),
        outputs: json!({}),
        pool: Some("gpu".to_owned()),
        resources: ResourceSpec {
            memory_bytes: Some(8 << 30),
            gpus: Some(1),
            labels: Some(vec!["a100".to_owned()]),
            ..ResourceSpec::default()
        },
        cacheable: true,
    }])
}

fn checked(text: &str) -> PipelineSpec {
    let source = Source { name: "resources.yaml".to_owned(), text: text.to_owned() };
    check(&source, &catalog(), None).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn planned(spec: &PipelineSpec, params: Value) -> RunPlan {
    let id = "0190a0a0-0000-7000-8000-000000000001".parse().expect("an id");
    let run = RunContext { id, date: "2026-02-28".parse().expect("a day"), parent: None, fire_time: None };
    let params = params.as_object().cloned().unwrap_or_else(Map::new);
    plan(spec, &params, &run).expect("a plan")
}

#[test]
fn a_step_asks_for_what_it_says_and_else_for_what_its_kind_says() {
    let spec = checked(
        "pipeline: p\nsteps:\n  \
         kind: { uses: render }\n  \
         own: { uses: render, resources: { cpu: 500m, memory: 512MiB, gpu: 0, labels: [zone-a, b, zone-a] } }\n  \
         some: { uses: render, resources: { cpu: 2 } }\n  \
         half: { uses: render, resources: { cpu: 0.5, labels: [] } }\n",
    );
    let plan = planned(&spec, json!({}));
    let asks = |index: usize| plan.steps[index].resources.clone();
    let labels = |labels: &[&str]| Some(labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>());
    let kind = ResourceSpec {
        cpu_millis: None,
        memory_bytes: Some(8 << 30),
        gpus: Some(1),
        labels: labels(&["a100"]),
    };
    assert_eq!(asks(0), kind);
    assert_eq!(
        asks(1),
        ResourceSpec {
            cpu_millis: Some(500),
            memory_bytes: Some(512 << 20),
            gpus: Some(0),
            labels: labels(&["b", "zone-a"]),
        }
    );
    assert_eq!(asks(2), ResourceSpec { cpu_millis: Some(2_000), ..kind.clone() });
    assert_eq!(asks(3), ResourceSpec { cpu_millis: Some(500), labels: labels(&[]), ..kind });
    assert!(!asks(3).is_empty());
    assert!(ResourceSpec { gpus: Some(0), labels: labels(&[]), ..ResourceSpec::default() }.is_empty());
}

#[test]
fn a_stored_pipeline_without_resources_and_cache_reads_as_it_was_written() {
    let spec = checked(
        "pipeline: p\nsteps:\n  own: { uses: render, resources: { gpu: 0, memory: 0MiB, labels: [] } }\n",
    );
    let stored = spec.to_json().expect("JSON");
    assert_eq!(stored.pointer("/steps/0/resources"), None, "nothing is asked for");
    assert_eq!(stored.pointer("/steps/0/cache"), None);
    let read = PipelineSpec::from_json(stored).expect("a spec");
    assert!(read.steps[0].resources.is_empty());
}

#[test]
fn the_key_of_a_cached_result_is_evaluated_for_each_task() {
    let spec = checked(
        "pipeline: p\nparams: { day: { type: string } }\nsteps:\n  \
         plain: { uses: render, cache: true }\n  \
         none: { uses: render, cache: false }\n  \
         each: { uses: render, for_each: [a, b], cache: { key: \"${params.day}/${item}/${index}\", ttl: 7d } }\n",
    );
    let plan = planned(&spec, json!({ "day": "monday" }));
    assert_eq!(plan.steps[0].cache, Some(CacheSpec::default()));
    assert_eq!(plan.steps[1].cache, None);
    assert_eq!(plan.steps[2].cache.as_ref().and_then(|cache| cache.ttl_ms), Some(7 * 86_400_000));
    let PlannedTasks::Now(tasks) = &plan.steps[2].tasks else { panic!("they are known") };
    let keys: Vec<_> = tasks.iter().map(|task| task.cache_key.as_deref()).collect();
    assert_eq!(keys, [Some("monday/a/0"), Some("monday/b/1")]);
}

#[test]
fn a_key_that_reads_a_step_waits_for_it() {
    let spec = checked(
        "pipeline: p\nsteps:\n  \
         first: { uses: render }\n  \
         second: { uses: render, cache: { key: \"${steps.first.outputs.version}\" } }\n",
    );
    let plan = planned(&spec, json!({}));
    assert_eq!(plan.steps[1].needs, [0]);
    assert_eq!(plan.steps[1].tasks, PlannedTasks::Later);
}

//! Joins, finally, limits, tenants: what the language makes of them.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used)]

mod catalog;

use serde_json::{Map, json};
use tale_pipeline::{
    JoinRule, PipelineSpec, PlannedTasks, RateSpec, RunContext, RunPlan, Source, check, plan,
};

const FLOW: &str = r#"
pipeline: flow
params: { owner: { type: string, default: ann } }
concurrency: 3
tenant: "team-${params.owner}"
steps:
  left: { uses: sleep, with: { seconds: 0 } }
  right: { uses: sleep, with: { seconds: 0 } }
  first: { uses: sleep, with: { seconds: 0 }, needs: [left, right], join: any_success }
  each:
    uses: sleep
    for_each: [a, b]
    with: { seconds: 0 }
    limit: { key: "${params.owner}-${item}-${index}", concurrency: 2, rate: { count: 10, per: 1m } }
  ask: { uses: approve, with: { prompt: "go on?" }, needs: [each], pool: cpu }
  tidy: { uses: sleep, with: { seconds: 0 }, finally: true }
"#;

fn checked(text: &str) -> PipelineSpec {
    let source = Source { name: "flow.yaml".to_owned(), text: text.to_owned() };
    check(&source, &catalog::catalog(), None).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn planned(spec: &PipelineSpec, owner: &str) -> RunPlan {
    let id = "0190a0a0-0000-7000-8000-000000000001".parse().expect("an id");
    let run = RunContext { id, date: "2026-02-28".parse().expect("a day"), parent: None, fire_time: None };
    let params = Map::from_iter([("owner".to_owned(), json!(owner))]);
    plan(spec, &params, &run).expect("a plan")
}

#[test]
fn joins_limits_and_tenants_reach_the_plan() {
    let spec = checked(FLOW);
    assert_eq!(spec.concurrency, Some(3));
    let plan = planned(&spec, "bob");
    assert_eq!(plan.tenant.as_deref(), Some("team-bob"));
    assert_eq!(plan.steps[2].join, JoinRule::AnySuccess);
    let each = &plan.steps[3];
    assert_eq!((each.concurrency, each.rate), (Some(2), Some(RateSpec { count: 10, per_ms: 60_000 })));
    let PlannedTasks::Now(tasks) = &each.tasks else { panic!("they are known: {:?}", each.tasks) };
    let keys: Vec<_> = tasks.iter().map(|task| task.limit_key.as_deref()).collect();
    assert_eq!(keys, [Some("bob-a-0"), Some("bob-b-1")]);
    assert_eq!(plan.steps[4].pool, "@scheduler", "a question holds no worker, whatever pool is written");
}

#[test]
fn a_finally_step_needs_every_other_step_however_it_ends() {
    let plan = planned(&checked(FLOW), "ann");
    let tidy = plan.steps.last().expect("a step");
    assert_eq!(
        (tidy.needs.as_slice(), tidy.join, tidy.finally),
        (&[0, 1, 2, 3, 4][..], JoinRule::AllDone, true)
    );
    assert!(plan.steps[..5].iter().all(|step| step.dependents.contains(&5)));
}

#[test]
fn a_limit_without_a_usable_key_is_refused_with_its_place() {
    let spec = checked(&FLOW.replace("${params.owner}-${item}-${index}", "${params.owner}"));
    let id = "0190a0a0-0000-7000-8000-000000000001".parse().expect("an id");
    let run = RunContext { id, date: "2026-02-28".parse().expect("a day"), parent: None, fire_time: None };
    let params = Map::from_iter([("owner".to_owned(), json!(""))]);
    let error = plan(&spec, &params, &run).expect_err("an empty key");
    assert!(error.to_string().contains("limit.key"), "{error}");
}

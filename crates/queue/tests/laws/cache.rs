use serde_json::json;
use tale_primitives::{Digest, TaskId};
use tale_queue::{
    CacheLookup, CachePolicy, NewCachedResult, NewStep, NewTask, Parent, expand_step, keep_result,
    look_up_result, start_run,
};

use crate::bench::{Bench, Hand, step, sub_run, unplanned};

fn cached(step: NewStep) -> NewStep {
    NewStep { cache: Some(CachePolicy { ttl_ms: Some(60_000) }), ..step }
}

fn keyed(key: Option<&str>) -> [NewTask; 1] {
    [NewTask { index: 0, arguments: json!({}), limit_key: None, cache_key: key.map(str::to_owned) }]
}

async fn look_up(hand: &mut Hand, task: TaskId) -> CacheLookup {
    look_up_result(&mut hand.connection, task, Digest::of("content"), "prefix/").await.unwrap()
}

#[tokio::test]
async fn a_task_is_known_by_its_content_or_by_the_key_of_its_step_also_where_it_is_found_at_run_time() {
    let bench = Bench::set_up().await;
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    let steps = vec![
        cached(NewStep { tasks: Some(keyed(None).into()), ..step("content", 0, &[], 0) }),
        cached(NewStep { tasks: Some(keyed(Some("monday")).into()), ..step("key", 0, &[], 0) }),
        cached(unplanned("found", 0, &[])),
        step("plain", 0, &[], 1),
    ];
    bench.start(&mut worker.connection, steps).await;
    let expansion = scheduler.claim_one().await;
    let found = keyed(Some("monday"));
    expand_step(&mut scheduler.connection, expansion.lease, Some((1, &found))).await.unwrap();
    let claimed = worker.claim(10).await;
    let task = |name: &str| claimed.iter().find(|task| task.step_name == name).unwrap().lease.task;
    let content = look_up(&mut worker, task("content")).await;
    assert_eq!((content.key, content.written_key), (Digest::of("content"), None));
    assert_eq!(content.ttl, Some(std::time::Duration::from_secs(60)));
    for name in ["key", "found"] {
        let lookup = look_up(&mut worker, task(name)).await;
        assert_eq!(lookup.written_key.as_deref(), Some("monday"), "{name}");
        assert_eq!(lookup.key, Digest::of("prefix/monday"));
        assert!(lookup.caches && lookup.uses_cache && lookup.found.is_none() && lookup.newest.is_none());
    }
    assert!(!look_up(&mut worker, task("plain")).await.caches);
}

#[tokio::test]
async fn results_are_found_within_their_step_and_pipeline_alone() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    bench
        .start(&mut worker.connection, vec![cached(step("a", 0, &[], 1)), cached(step("b", 0, &[], 1))])
        .await;
    let claimed = worker.claim(2).await;
    let result = |pipeline: &str| NewCachedResult {
        pipeline: pipeline.to_owned(),
        step: "a".to_owned(),
        key: Digest::of("content"),
        kind: "test".to_owned(),
        kind_version: 1,
        inputs: None,
        outputs: json!(pipeline),
        artifacts: json!([]),
        run: claimed[0].run,
        task: claimed[0].lease.task,
    };
    for pipeline in ["other", "law"] {
        keep_result(&mut worker.connection, &result(pipeline)).await.unwrap();
    }
    let of = |name: &str| claimed.iter().find(|task| task.step_name == name).unwrap().lease.task;
    let found = look_up(&mut worker, of("a")).await.found.unwrap();
    assert_eq!((found.outputs, found.task), (json!("law"), claimed[0].lease.task));
    let other = look_up(&mut worker, of("b")).await;
    assert!(other.found.is_none() && other.newest.is_none());
}

#[tokio::test]
async fn a_sub_run_takes_no_results_where_the_run_that_waits_for_it_takes_none() {
    let bench = Bench::set_up().await;
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    for uses_cache in [true, false] {
        let mut run = bench.run_of(vec![sub_run("child", 0, &[])]);
        run.uses_cache = uses_cache;
        start_run(&mut worker.connection, &run).await.unwrap();
        let parent = scheduler.claim_one().await.lease;
        let mut child = bench.run_of(vec![cached(step("a", 0, &[], 1))]);
        child.parent = Some(Parent { task: parent.task, attempt: parent.attempt });
        start_run(&mut scheduler.connection, &child).await.unwrap();
        let task = worker.claim_one().await.lease.task;
        assert_eq!(look_up(&mut worker, task).await.uses_cache, uses_cache);
    }
}

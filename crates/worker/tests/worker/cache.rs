use std::sync::atomic::{AtomicU32, Ordering};

use futures::FutureExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tale_primitives::RunId;
use tale_queue::{
    CacheDecision, CachePolicy, NewStep, NewTask, RunReport, RunState, cache_decisions, clear_cached_results,
    list_cached_results,
};
use tale_storage::{NewArtifact, list_artifacts};
use tale_worker::{Caching, Completion, Kind, KindRegistry, TaskContext, TaskError};

use crate::plant::{Plant, Running, settings, step};

/// How many attempts have run; each test has a process of its own.
static RAN: AtomicU32 = AtomicU32::new(0);

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Asked {
    word: String,
    #[serde(default)]
    milliseconds: u64,
    #[serde(default)]
    changes: bool,
}

/// Makes its word an artifact, and says how many attempts have run before it.
struct Counts<const VERSION: u32>;

impl<const VERSION: u32> Kind for Counts<VERSION> {
    const NAME: &'static str = "test.counts";
    const SUMMARY: &'static str = "Counts its attempts.";
    const VERSION: u32 = VERSION;
    const CACHING: Caching = Caching::ByArguments;
    type Arguments = Asked;
    type Outputs = u32;

    async fn run(context: TaskContext, arguments: Asked) -> Result<Completion<u32>, TaskError> {
        let ran = RAN.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(std::time::Duration::from_millis(arguments.milliseconds)).await;
        let object = context.store.put(arguments.word.into()).await.map_err(TaskError::retry)?;
        let artifact = NewArtifact { name: "word".to_owned(), media_type: "text/plain".to_owned(), object };
        let completion = Completion::of(ran).artifact(artifact);
        Ok(match arguments.changes {
            true => completion.effect(|_| async { Ok(()) }.boxed()),
            false => completion,
        })
    }

    fn uncacheable(arguments: &Value) -> Option<String> {
        (arguments["word"] == "never").then(|| "it is that word".to_owned())
    }
}

fn counting(plant: &Plant) -> Running {
    plant.work_with(settings(), KindRegistry::default().with::<Counts<1>>())
}

fn cached(arguments: Vec<Value>) -> NewStep {
    NewStep { kind: "test.counts".to_owned(), cache: Some(CachePolicy::default()), ..step(arguments) }
}

fn saying(word: &str) -> Vec<Value> {
    vec![json!({ "word": word })]
}

impl Plant {
    async fn ended(&self, step: NewStep) -> RunReport {
        let run = self.start_step(step).await;
        let report = self.end_of(run).await;
        assert_eq!(report.state, RunState::Succeeded);
        report
    }

    async fn decisions(&self, run: RunId) -> Vec<CacheDecision> {
        cache_decisions(&mut self.pool.acquire().await.unwrap(), run).await.unwrap()
    }

    /// Why the only task of a run was refused an earlier result.
    async fn refusal(&self, run: RunId) -> String {
        let mut decisions = self.decisions(run).await;
        assert_eq!(decisions.len(), 1);
        assert!(!decisions[0].is_hit, "{}", decisions[0]);
        decisions.remove(0).reason
    }

    async fn kept(&self) -> usize {
        list_cached_results(&mut self.pool.acquire().await.unwrap(), None, None).await.unwrap().len()
    }
}

fn ran() -> u32 {
    RAN.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_task_with_the_same_arguments_takes_the_result_with_its_artifacts() {
    let plant = Plant::set_up().await;
    let worker = counting(&plant);
    let first = plant.ended(cached(saying("a"))).await;
    assert_eq!(plant.refusal(first.id).await, "there is no earlier result of this step");
    let second = plant.ended(cached(saying("a"))).await;
    assert_eq!(ran(), 1);
    assert_eq!(second.tasks[0].outputs, first.tasks[0].outputs);
    let mut connection = plant.pool.acquire().await.unwrap();
    let artifacts = list_artifacts(&mut connection, second.id).await.unwrap();
    assert_eq!((artifacts.len(), artifacts[0].task), (1, second.tasks[0].id), "they are its own");
    assert_eq!(plant.store.get(&artifacts[0].object).await.unwrap(), "a");
    let decision = plant.decisions(second.id).await.remove(0);
    assert!(decision.is_hit);
    assert_eq!((decision.from_run, decision.from_task), (Some(first.id), Some(first.tasks[0].id)));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_arguments_are_computed_and_the_refusal_names_what_differs() {
    let plant = Plant::set_up().await;
    let worker = counting(&plant);
    plant.ended(cached(saying("a"))).await;
    let other = plant.ended(cached(saying("b"))).await;
    assert_eq!(plant.refusal(other.id).await, "differs from the last result of this step in with.word");
    assert_eq!((ran(), plant.kept().await), (2, 2));
    plant.ended(cached(saying("a"))).await;
    assert_eq!(ran(), 2, "older results of the step are taken too");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_of_a_fan_out_is_compared_with_the_same_item_of_the_last_run() {
    let plant = Plant::set_up().await;
    let worker = counting(&plant);
    let items = |words: [&str; 2]| {
        let item = |(milliseconds, word)| json!({ "word": word, "milliseconds": milliseconds });
        (0..).zip(words).map(item).collect::<Vec<Value>>()
    };
    plant.ended(cached(items(["a", "b"]))).await;
    let second = plant.ended(cached(items(["x", "y"]))).await;
    for decision in plant.decisions(second.id).await {
        assert_eq!(decision.reason, "differs from the last result of this step in with.word");
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_has_expired_is_computed_again_and_stands_in_from_then_on() {
    let plant = Plant::set_up().await;
    let worker = counting(&plant);
    let lasting = || NewStep { cache: Some(CachePolicy { ttl_ms: Some(3_600_000) }), ..cached(saying("a")) };
    let first = plant.ended(lasting()).await;
    sqlx::query("update queue.cached_result set created_at = created_at - interval '3 hours 1 minute'")
        .execute(&plant.pool)
        .await
        .unwrap();
    let second = plant.ended(lasting()).await;
    assert_eq!(plant.refusal(second.id).await, format!("the result of run {} expired 2 h ago", first.id));
    let third = plant.ended(lasting()).await;
    assert_eq!((ran(), plant.kept().await), (2, 1));
    assert_eq!(plant.decisions(third.id).await[0].from_run, Some(second.id));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_of_another_version_of_its_kind_is_not_taken() {
    let plant = Plant::set_up().await;
    let worker = counting(&plant);
    plant.ended(cached(saying("a"))).await;
    worker.stop().await;
    let worker = plant.work_with(settings(), KindRegistry::default().with::<Counts<2>>());
    let second = plant.ended(cached(saying("a"))).await;
    assert_eq!(
        plant.refusal(second.id).await,
        "kind test.counts is of version 2 now, and was of version 1 for the last result of this step"
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_whose_artifact_is_gone_is_computed_again() {
    let plant = Plant::set_up().await;
    let worker = counting(&plant);
    let first = plant.ended(cached(saying("a"))).await;
    let mut connection = plant.pool.acquire().await.unwrap();
    let artifacts = list_artifacts(&mut connection, first.id).await.unwrap();
    plant.lose(&artifacts[0].object);
    let second = plant.ended(cached(saying("a"))).await;
    assert_eq!(
        plant.refusal(second.id).await,
        format!("artifact \"word\" of run {} is missing from the store", first.id)
    );
    assert_eq!(plant.store.get(&artifacts[0].object).await.unwrap(), "a");
    assert!(plant.decisions(plant.ended(cached(saying("a"))).await.id).await[0].is_hit);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_without_the_cache_takes_nothing_and_keeps_what_it_computes() {
    let plant = Plant::set_up().await;
    let worker = counting(&plant);
    plant.ended(cached(saying("a"))).await;
    let fresh = plant.start_run(cached(saying("a")), false).await;
    plant.end_of(fresh).await;
    assert_eq!(plant.refusal(fresh).await, "the run was started with --no-cache");
    assert_eq!(ran(), 2);
    let third = plant.ended(cached(saying("a"))).await;
    assert_eq!(plant.decisions(third.id).await[0].from_run, Some(fresh), "the newest result is taken");

    let mut connection = plant.pool.acquire().await.unwrap();
    assert_eq!(clear_cached_results(&mut connection, "other", None, None).await.unwrap(), 0);
    assert_eq!(clear_cached_results(&mut connection, "worker-test", Some("other"), None).await.unwrap(), 0);
    let old = Some(std::time::Duration::from_secs(3600));
    assert_eq!(clear_cached_results(&mut connection, "worker-test", None, old).await.unwrap(), 0);
    assert_eq!(clear_cached_results(&mut connection, "worker-test", Some("only"), None).await.unwrap(), 1);
    plant.ended(cached(saying("a"))).await;
    assert_eq!(ran(), 3);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_the_steps_own_stands_for_the_arguments() {
    let plant = Plant::set_up().await;
    let worker = counting(&plant);
    let keyed = |word: &str, key: &str| {
        let task =
            |arguments| NewTask { index: 0, arguments, limit_key: None, cache_key: Some(key.to_owned()) };
        NewStep { tasks: Some(vec![task(json!({ "word": word }))]), ..cached(vec![]) }
    };
    plant.ended(keyed("a", "monday")).await;
    assert!(plant.decisions(plant.ended(keyed("b", "monday")).await.id).await[0].is_hit);
    let third = plant.ended(keyed("b", "tuesday")).await;
    assert_eq!(
        plant.refusal(third.id).await,
        "the key is \"tuesday\", and that of the last result of this step is \"monday\""
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identical_tasks_at_the_same_time_all_end_well_and_leave_one_result() {
    let plant = Plant::set_up().await;
    let (one, other) = (counting(&plant), counting(&plant));
    let same = vec![json!({ "word": "a", "milliseconds": 100 }); 24];
    let report = plant.ended(cached(same)).await;
    assert_eq!(report.attempts.len(), 24);
    assert!(ran() >= 2 && ran() <= 24);
    assert_eq!(plant.kept().await, 1);
    let hits = plant.decisions(report.id).await.iter().filter(|decision| decision.is_hit).count();
    assert_eq!(hits as u32, 24 - ran());
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_attempt_keeps_nothing() {
    let plant = Plant::set_up().await;
    let worker = counting(&plant);
    let run = plant.start_step(cached(vec![json!({ "word": "a", "milliseconds": 1000 })])).await;
    plant.until_running(run).await;
    plant.steal_leases().await;
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    assert_eq!((ran(), plant.kept().await), (1, 0));
    assert!(plant.decisions(run).await.is_empty());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_something_or_may_not_be_cached_is_computed_each_time_and_says_so() {
    let plant = Plant::set_up().await;
    let worker = counting(&plant);
    for _ in 0..2 {
        let report = plant.ended(cached(saying("never"))).await;
        assert_eq!(plant.refusal(report.id).await, "cannot be cached: it is that word");
        let report = plant.ended(cached(vec![json!({ "word": "a", "changes": true })])).await;
        assert!(plant.refusal(report.id).await.ends_with("; not kept: it has changed the database"));
    }
    assert_eq!((ran(), plant.kept().await), (4, 0));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_without_a_cache_neither_takes_nor_keeps() {
    let plant = Plant::set_up().await;
    let worker = counting(&plant);
    for _ in 0..2 {
        let report = plant.ended(NewStep { cache: None, ..cached(saying("a")) }).await;
        assert!(plant.decisions(report.id).await.is_empty());
    }
    assert_eq!((ran(), plant.kept().await), (2, 0));
    worker.stop().await;
}

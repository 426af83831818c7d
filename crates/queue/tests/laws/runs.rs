use serde_json::json;
use sqlx::Connection;
use tale_primitives::Digest;
use tale_queue::{
    QueueError, RunFilter, RunState, apply_pipeline, complete, find_pipeline, find_version, list_pipelines,
    list_runs, run_progress, run_state, start_run,
};

use crate::bench::{Bench, step, success};

#[tokio::test]
async fn a_second_start_with_the_same_key_returns_the_first_run() {
    let bench = Bench::set_up().await;
    let mut connection = bench.connect().await;
    let start = |key: Option<&str>| {
        let mut run = bench.run_of(vec![step("a", 0, &[], 1)]);
        run.dedup_key = key.map(str::to_owned);
        run
    };
    let first = start_run(&mut connection, &start(Some("night"))).await.unwrap().unwrap();
    let second = start_run(&mut connection, &start(Some("night"))).await.unwrap().unwrap();
    assert!(first.is_new && !second.is_new);
    assert_eq!(first.run, second.run);
    assert!(start_run(&mut connection, &start(Some("day"))).await.unwrap().unwrap().is_new);
    assert!(start_run(&mut connection, &start(None)).await.unwrap().unwrap().is_new);
    assert!(start_run(&mut connection, &start(None)).await.unwrap().unwrap().is_new);
    assert_eq!(bench.rows(&["run"]).await, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_starts_with_the_same_key_make_one_run() {
    let bench = Bench::set_up().await;
    let mut starts = Vec::new();
    for _ in 0..8 {
        let mut connection = bench.connect().await;
        let mut run = bench.run_of(vec![step("a", 0, &[], 3)]);
        run.dedup_key = Some("night".to_owned());
        starts.push(tokio::spawn(async move {
            let mut transaction = connection.begin().await.unwrap();
            let started = start_run(&mut transaction, &run).await.unwrap().unwrap();
            transaction.commit().await.unwrap();
            started
        }));
    }
    let mut started = Vec::new();
    for start in starts {
        started.push(start.await.unwrap());
    }
    assert_eq!(started.iter().filter(|start| start.is_new).count(), 1);
    assert!(started.iter().all(|start| start.run == started[0].run));
    assert_eq!(bench.rows(&["ready"]).await, 3);
}

#[tokio::test]
async fn a_start_whose_key_was_taken_by_one_that_rolled_back_makes_the_run() {
    let bench = Bench::set_up().await;
    let (mut one, mut two) = (bench.connect().await, bench.connect().await);
    let keyed = || {
        let mut run = bench.run_of(vec![step("a", 0, &[], 1)]);
        run.dedup_key = Some("night".to_owned());
        run
    };
    let (doomed, lasting) = (keyed(), keyed());
    let mut transaction = one.begin().await.unwrap();
    start_run(&mut transaction, &doomed).await.unwrap();
    let (started, ()) = tokio::join!(start_run(&mut two, &lasting), async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        transaction.rollback().await.unwrap();
    });
    let started = started.unwrap().unwrap();
    assert!(started.is_new);
    assert_eq!(started.run, lasting.id);
}

#[tokio::test]
async fn a_run_ends_once_and_its_end_is_never_moved() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let run = bench.start(&mut worker.connection, vec![step("a", 0, &[], 2)]).await;
    let claimed = worker.claim(2).await;
    let (mut one, mut two) = (bench.connect().await, bench.connect().await);
    let (first, second) = ([success(claimed[0].lease)], [success(claimed[1].lease)]);
    let (a, b) = tokio::join!(complete(&mut one, &first), complete(&mut two, &second));
    assert_eq!(a.unwrap().won.len() + b.unwrap().won.len(), 2);
    let ended = bench.report(run).await;
    assert_eq!(ended.state, RunState::Succeeded);
    complete(&mut one, &[success(claimed[0].lease), success(claimed[1].lease)]).await.unwrap();
    let later = bench.report(run).await;
    assert_eq!((later.finished_at, later.state), (ended.finished_at, ended.state));
}

#[tokio::test]
async fn the_database_refuses_a_run_that_is_over_with_open_steps() {
    let bench = Bench::set_up().await;
    let mut connection = bench.connect().await;
    bench.start(&mut connection, vec![step("a", 0, &[], 1)]).await;
    for (illegal, constraint) in [
        ("update queue.run set state = 'succeeded', finished_at = now()", "run_success_is_whole"),
        ("update queue.run set finished_at = now()", "run_ends_with_its_last_step"),
        ("update queue.step set state = 'succeeded', finished_at = now()", "step_success_is_whole"),
        ("update queue.step set unmet = 1", "step_runs_when_met"),
        ("update queue.task set state = 'succeeded'", "task_ends_once"),
    ] {
        let error = sqlx::query(illegal).execute(&mut connection).await.unwrap_err();
        assert_eq!(error.as_database_error().and_then(|error| error.constraint()), Some(constraint));
    }
}

#[tokio::test]
async fn the_same_pipeline_applied_again_changes_nothing_and_runs_keep_their_version() {
    let bench = Bench::set_up().await;
    let mut connection = bench.connect().await;
    let run = bench.start(&mut connection, vec![step("a", 0, &[], 1)]).await;
    let again = apply_pipeline(&mut connection, "law", Digest::of("law"), &json!({})).await.unwrap();
    assert_eq!((again.version_id, again.changed), (bench.version_id, false));
    let other =
        apply_pipeline(&mut connection, "law", Digest::of("new"), &json!({ "new": true })).await.unwrap();
    assert!(other.changed);
    assert_eq!(find_pipeline(&mut connection, "law").await.unwrap().id, other.version_id);
    assert_eq!(bench.report(run).await.version, Digest::of("law"));
    assert_eq!(find_version(&mut connection, bench.version_id).await.unwrap().spec, json!({}));
    let back = apply_pipeline(&mut connection, "law", Digest::of("law"), &json!({})).await.unwrap();
    assert_eq!((back.version_id, back.changed), (bench.version_id, true));
    assert_eq!(list_pipelines(&mut connection).await.unwrap().len(), 1);
    assert!(matches!(
        find_pipeline(&mut connection, "unknown").await,
        Err(QueueError::UnknownPipeline(name)) if name == "unknown"
    ));
}

#[tokio::test]
async fn listings_and_progress_follow_a_run() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let run = bench.start(&mut worker.connection, vec![step("a", 0, &[1], 2), step("b", 1, &[], 1)]).await;
    let progress = run_progress(&mut worker.connection, run).await.unwrap();
    assert_eq!((progress.tasks, progress.tasks_done, progress.running.as_deref()), (3, 0, Some("a")));
    worker.work_off().await;
    let progress = run_progress(&mut worker.connection, run).await.unwrap();
    assert_eq!((progress.tasks, progress.tasks_done, progress.running), (3, 3, None));
    let matching = async |pipeline: Option<&str>, state: Option<RunState>| {
        let filter =
            RunFilter { pipeline: pipeline.map(str::to_owned), state, limit: 10, ..RunFilter::default() };
        list_runs(&mut bench.connect().await, &filter).await.unwrap().len()
    };
    assert_eq!(matching(None, None).await, 1);
    assert_eq!(matching(Some("law"), Some(RunState::Succeeded)).await, 1);
    assert_eq!(matching(Some("other"), None).await, 0);
    assert_eq!(matching(None, Some(RunState::Running)).await, 0);
    let unknown = run_state(&mut worker.connection, tale_primitives::RunId::generate()).await;
    assert!(matches!(unknown, Err(QueueError::UnknownRun(_))));
}

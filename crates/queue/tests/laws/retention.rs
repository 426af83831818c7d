//! Retention: a run is whole in one place, and nothing that is needed goes.

use std::sync::atomic::Ordering;

use serde_json::Value;
use sqlx::{Connection, PgConnection};
use tale_primitives::RunId;
use tale_queue::{
    Decision, EVERY_PIPELINE, ExpiredRun, LogFilter, LogReader, LoggedAttempt, NewLogLine, Question,
    QueueError, RunFilter, RunReport, RunState, append_logs, archive_log, archive_runs, archived_report,
    await_approval, clear_archived_logs, decide, drop_archived, expired_runs, fail, find_archived_run,
    list_archived_runs, list_retention, list_runs, lock_retention, open_questions, retry_run, run_report,
    set_retention, start_run, unlock_retention, unset_retention,
};

use crate::{
    bench::{Bench, Hand, final_failure, step, sub_run},
    memory::Memory,
};

/// What a run leaves in the queue's tables.
const LEFT_BY_RUNS: &[&str] =
    &["run", "step", "task", "attempt", "approval", "attempt_log", "log", "place", "tally"];

async fn ended(bench: &Bench, worker: &mut Hand, tasks: u32) -> RunId {
    let run =
        bench.start(&mut worker.connection, vec![step("a", 0, &[1], tasks), step("b", 1, &[], 1)]).await;
    worker.work_off().await;
    run
}

async fn expired(connection: &mut PgConnection) -> Vec<RunId> {
    expired_runs(connection, &[], 100).await.unwrap().into_iter().map(|run| run.run).collect()
}

async fn drop_all(connection: &mut PgConnection, rows: u32) -> u32 {
    let mut transactions = 0;
    while drop_archived(connection, rows).await.unwrap() > 0 {
        transactions += 1;
    }
    transactions
}

/// Archives and drops everything that no policy keeps.
async fn retain(connection: &mut PgConnection, archive: &Memory) {
    let runs = expired_runs(connection, &[], 100).await.unwrap();
    let mut rest = runs.as_slice();
    while !rest.is_empty() {
        let taken = archive_runs(connection, archive, rest).await.unwrap();
        rest = &rest[taken..];
    }
    drop_all(connection, 7).await;
}

async fn from_archive(connection: &mut PgConnection, archive: &Memory, run: RunId) -> RunReport {
    let archived = find_archived_run(connection, run).await.unwrap().expect("it is archived");
    archived_report(archive, &archived).await.unwrap()
}

fn as_json(report: &RunReport) -> Value {
    serde_json::to_value(report).unwrap()
}

#[tokio::test]
async fn an_archived_run_reads_as_it_did_before_and_leaves_nothing_behind() {
    let (bench, archive) = (Bench::set_up().await, Memory::default());
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    let mut other = bench.connect().await;
    let steps = vec![step("a", 0, &[], 3), sub_run("below", 0, &[]), sub_run("ask", 0, &[])];
    let run = bench.start(&mut worker.connection, steps).await;
    let (first, second) = (scheduler.claim_one().await, scheduler.claim_one().await);
    let (below, ask) = if first.step_name == "below" { (first, second) } else { (second, first) };
    let child = bench.start_below(&mut scheduler.connection, below.lease, vec![step("b", 0, &[], 2)]).await;
    let question =
        Question { prompt: Some("well?".to_owned()), timeout_ms: None, on_timeout: Decision::Rejected };
    assert!(await_approval(&mut scheduler.connection, ask.lease, &question).await.unwrap());
    let open = open_questions(&mut other, Some(run)).await.unwrap();
    decide(&mut other, &open, Decision::Approved, "ann", None).await.unwrap();
    // one that prints, and fails
    let task = worker.claim_one().await;
    let line = NewLogLine {
        run: task.run,
        lease: task.lease,
        attempt_number: 1,
        seq: 0,
        logged_at: "2026-11-23T00:00:00Z".parse().unwrap(),
        line: "hello".to_owned(),
    };
    append_logs(&mut other, &[line]).await.unwrap();
    fail(&mut other, &[final_failure(task.lease)]).await.unwrap();
    worker.work_off().await;
    let before = [bench.report(run).await, bench.report(child).await];
    assert_eq!(before[0].state, RunState::Failed);

    set_retention(&mut other, EVERY_PIPELINE, Some(0), 0).await.unwrap();
    assert!(expired(&mut other).await.is_empty(), "its log is not an object yet");
    let logged = LoggedAttempt { run: task.run, attempt: task.lease.attempt };
    archive_log(&mut other, &archive, logged, Some(0)).await.unwrap();
    assert!(expired(&mut other).await.is_empty(), "hot lines are left");
    clear_archived_logs(&mut other, 100).await.unwrap();
    assert_eq!(expired(&mut other).await, [run]);
    retain(&mut other, &archive).await;

    assert_eq!(bench.rows(LEFT_BY_RUNS).await, 0);
    assert!(matches!(run_report(&mut other, run).await, Err(QueueError::UnknownRun(_))));
    for before in &before {
        let after = from_archive(&mut other, &archive, before.id).await;
        assert_eq!(as_json(&after), as_json(before));
    }
    let mut lines = Vec::new();
    let mut reader = LogReader::new(run, LogFilter::default());
    for _ in 0..2 {
        let read = reader.read::<QueueError>(&mut other, &archive, |line| {
            lines.push(line.line);
            Ok(())
        });
        read.await.unwrap();
    }
    assert_eq!(lines, ["hello"]);
    let filter = RunFilter { with_sub_runs: true, limit: 10, ..RunFilter::default() };
    assert!(list_runs(&mut other, &filter).await.unwrap().is_empty());
    assert_eq!(list_archived_runs(&mut other, &filter).await.unwrap().len(), 2);
    let roots = RunFilter { limit: 10, ..RunFilter::default() };
    assert_eq!(list_archived_runs(&mut other, &roots).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_policy_keeps_by_age_and_by_number_and_a_pipelines_own_goes_before_the_general_one() {
    let bench = Bench::set_up().await;
    let (mut worker, mut other) = (bench.worker().await, bench.connect().await);
    let mut runs = vec![];
    for _ in 0..4 {
        runs.push(ended(&bench, &mut worker, 1).await);
    }
    let open = bench.start(&mut worker.connection, vec![step("a", 0, &[], 1)]).await;
    assert!(expired(&mut other).await.is_empty(), "without a policy runs stay for ever");
    for (keep_seconds, keep_last, expected) in [
        (Some(0), 0, &runs[..]),
        (Some(0), 3, &runs[..1]),
        (Some(0), 4, &[]),
        (Some(3600), 0, &[]),
        (None, 0, &[]),
    ] {
        set_retention(&mut other, EVERY_PIPELINE, keep_seconds, keep_last).await.unwrap();
        assert_eq!(expired(&mut other).await, expected, "{keep_seconds:?} {keep_last}");
        // the same as the pipeline's own, beside a general one that says otherwise
        set_retention(&mut other, "law", keep_seconds, keep_last).await.unwrap();
        set_retention(&mut other, EVERY_PIPELINE, Some(0), 2).await.unwrap();
        assert_eq!(expired(&mut other).await, expected, "{keep_seconds:?} {keep_last}");
        assert_eq!(list_retention(&mut other).await.unwrap().len(), 2);
        assert!(unset_retention(&mut other, "law").await.unwrap());
    }
    set_retention(&mut other, EVERY_PIPELINE, Some(0), 0).await.unwrap();
    assert!(!expired(&mut other).await.contains(&open));
    let needed = expired_runs(&mut other, &runs[1..], 100).await.unwrap();
    assert_eq!(needed.iter().map(|run| run.run).collect::<Vec<_>>(), runs[..1]);
    assert!(!unset_retention(&mut other, "law").await.unwrap());
}

#[tokio::test]
async fn a_run_that_is_retried_while_it_is_archived_stays_and_an_archived_one_is_not_retried() {
    let (bench, archive) = (Bench::set_up().await, Memory::default());
    let (mut worker, mut other) = (bench.worker().await, bench.connect().await);
    let run = bench.start(&mut worker.connection, vec![step("a", 0, &[], 1)]).await;
    let failing = worker.claim_one().await.lease;
    fail(&mut other, &[final_failure(failing)]).await.unwrap();
    set_retention(&mut other, EVERY_PIPELINE, Some(0), 0).await.unwrap();
    let runs: Vec<ExpiredRun> = expired_runs(&mut other, &[], 100).await.unwrap();
    let again = tale_queue::Again { from: vec![], only_failed: false };
    assert_eq!(retry_run(&mut other, run, &again).await.unwrap(), 1);
    // it has been found, and goes on again: the object does not count
    archive_runs(&mut other, &archive, &runs).await.unwrap();
    assert!(find_archived_run(&mut other, run).await.unwrap().is_none());
    assert_eq!(drop_archived(&mut other, 100).await.unwrap(), 0);
    let failing = worker.claim_one().await.lease;
    fail(&mut other, &[final_failure(failing)]).await.unwrap();
    let runs = expired_runs(&mut other, &[], 100).await.unwrap();
    archive_runs(&mut other, &archive, &runs).await.unwrap();
    assert!(find_archived_run(&mut other, run).await.unwrap().is_some());
    // archived, and not a row of it dropped yet
    assert_eq!(retry_run(&mut other, run, &again).await.unwrap(), 0);
    assert!(expired(&mut other).await.is_empty());
    let filter = RunFilter { limit: 10, ..RunFilter::default() };
    assert!(list_runs(&mut other, &filter).await.unwrap().is_empty());
    assert_eq!(from_archive(&mut other, &archive, run).await.attempts.len(), 2);
}

#[tokio::test]
async fn rows_go_in_small_transactions_and_whoever_dies_in_between_leaves_no_half_run() {
    let (bench, archive) = (Bench::set_up().await, Memory::default());
    let (mut worker, mut other) = (bench.worker().await, bench.connect().await);
    let run = ended(&bench, &mut worker, 300).await;
    set_retention(&mut other, EVERY_PIPELINE, Some(0), 0).await.unwrap();
    let before = bench.report(run).await;
    archive.is_full.store(true, Ordering::Relaxed);
    let runs = expired_runs(&mut other, &[], 100).await.unwrap();
    let refused = archive_runs(&mut other, &archive, &runs).await.unwrap_err();
    assert!(matches!(refused, QueueError::Keep { .. }), "{refused}");
    assert_eq!(as_json(&bench.report(run).await), as_json(&before), "nothing happened");
    archive.is_full.store(false, Ordering::Relaxed);

    archive_runs(&mut other, &archive, &runs).await.unwrap();
    // a transaction that does not come to its end
    let mut doomed = bench.connect().await;
    let mut transaction = doomed.begin().await.unwrap();
    assert_eq!(drop_archived(&mut transaction, 50).await.unwrap(), 50);
    // meanwhile another does not wait for it
    assert_eq!(drop_archived(&mut other, 50).await.unwrap(), 0);
    transaction.rollback().await.unwrap();
    assert_eq!(bench.rows(&["task"]).await, 301);
    let archived = from_archive(&mut other, &archive, run).await;
    assert_eq!(drop_all(&mut other, 50).await, 7);
    assert_eq!(bench.rows(LEFT_BY_RUNS).await, 0);
    assert_eq!(as_json(&archived), as_json(&before));
    assert_eq!(as_json(&from_archive(&mut other, &archive, run).await), as_json(&before));
}

#[tokio::test]
async fn a_deduplication_key_outlives_its_run() {
    let (bench, archive) = (Bench::set_up().await, Memory::default());
    let (mut worker, mut other) = (bench.worker().await, bench.connect().await);
    let mut first = bench.run_of(vec![step("a", 0, &[], 1)]);
    first.dedup_key = Some("once".to_owned());
    assert!(start_run(&mut other, &first).await.unwrap().unwrap().is_new);
    worker.work_off().await;
    set_retention(&mut other, EVERY_PIPELINE, Some(0), 0).await.unwrap();
    retain(&mut other, &archive).await;
    let mut second = bench.run_of(vec![step("a", 0, &[], 1)]);
    second.dedup_key = Some("once".to_owned());
    let started = start_run(&mut other, &second).await.unwrap().unwrap();
    assert_eq!((started.run, started.is_new), (first.id, false));
    second.dedup_key = None;
    assert!(start_run(&mut other, &second).await.unwrap().unwrap().is_new);
}

#[tokio::test]
async fn one_process_at_a_time_archives_runs_and_its_death_frees_the_place() {
    let bench = Bench::set_up().await;
    let (mut one, mut two) = (bench.connect().await, bench.connect().await);
    assert!(lock_retention(&mut one).await.unwrap());
    assert!(!lock_retention(&mut two).await.unwrap());
    unlock_retention(&mut one).await.unwrap();
    assert!(lock_retention(&mut two).await.unwrap());
    two.close().await.unwrap();
    let mut three = bench.connect().await;
    for _ in 0..100 {
        if lock_retention(&mut three).await.unwrap() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the lock outlived its session");
}

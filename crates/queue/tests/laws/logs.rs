//! Logs: every line once and in order, wherever it is.

use std::{collections::HashMap, sync::atomic::Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sqlx::PgConnection;
use tale_primitives::{AttemptId, RunId};
use tale_queue::{
    Lease, LogFilter, LogLine, LogReader, LoggedAttempt, NewLogLine, QueueError, append_logs, archive_log,
    clear_archived_logs, complete, reap, unarchived_logs,
};
use tale_testkit::{announce_on_panic, seeds};

use crate::{
    bench::{Bench, LEASE, step, sub_run, success},
    memory::Memory,
};

fn start_of_time() -> DateTime<Utc> {
    "2026-11-23T00:00:00Z".parse().unwrap()
}

/// Lines of an attempt, from this place on.
fn lines(run: RunId, lease: Lease, from: i64, texts: &[&str]) -> Vec<NewLogLine> {
    let numbered = (from..).zip(texts);
    numbered
        .map(|(seq, text)| NewLogLine {
            run,
            lease,
            attempt_number: 1,
            seq,
            logged_at: start_of_time() + TimeDelta::seconds(seq),
            line: (*text).to_owned(),
        })
        .collect()
}

async fn read(reader: &mut LogReader, connection: &mut PgConnection, archive: &Memory) -> Vec<LogLine> {
    let mut given = Vec::new();
    let count = reader
        .read::<QueueError>(connection, archive, |line| {
            given.push(line);
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(count, given.len() as u64);
    given
}

async fn read_all(run: RunId, connection: &mut PgConnection, archive: &Memory) -> Vec<LogLine> {
    read(&mut LogReader::new(run, LogFilter::default()), connection, archive).await
}

#[tokio::test]
async fn log_lines_come_back_in_order_and_overlong_or_unprintable_ones_are_kept_in_part() {
    let (bench, archive) = (Bench::set_up().await, Memory::default());
    let mut worker = bench.worker().await;
    let run = bench.start(&mut worker.connection, vec![step("a", 0, &[], 1)]).await;
    let lease = worker.claim_one().await.lease;
    let printed = lines(run, lease, 0, &["first", "nul \0 byte", &"ü".repeat(10_000)]);
    append_logs(&mut worker.connection, &printed).await.unwrap();
    let kept = read_all(run, &mut worker.connection, &archive).await;
    assert_eq!(kept.iter().map(|line| line.line.chars().count()).collect::<Vec<_>>(), [5, 10, 8192]);
    assert_eq!(kept[1].line, "nul \u{fffd} byte");
    // storing them again, because the answer was lost, changes nothing
    append_logs(&mut worker.connection, &printed).await.unwrap();
    assert_eq!(read_all(run, &mut worker.connection, &archive).await, kept);
    // and neither does the object
    let logged = LoggedAttempt { run, attempt: lease.attempt };
    assert!(archive_log(&mut worker.connection, &archive, logged, Some(0)).await.unwrap());
    assert!(!archive_log(&mut worker.connection, &archive, logged, Some(0)).await.unwrap());
    assert_eq!(read_all(run, &mut worker.connection, &archive).await, kept);
    assert_eq!(clear_archived_logs(&mut worker.connection, 2).await.unwrap(), 2);
    assert_eq!(clear_archived_logs(&mut worker.connection, 100).await.unwrap(), 1);
    assert_eq!(read_all(run, &mut worker.connection, &archive).await, kept);
    assert_eq!((bench.rows(&["log"]).await, archive.count()), (0, 1));
}

#[tokio::test]
async fn a_filter_chooses_by_step_by_place_and_by_attempt_and_sub_runs_belong_to_their_run() {
    let (bench, archive) = (Bench::set_up().await, Memory::default());
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    let run = bench.start(&mut worker.connection, vec![step("a", 0, &[], 2), sub_run("below", 0, &[])]).await;
    let parent = scheduler.claim_one().await.lease;
    let below = bench.start_below(&mut scheduler.connection, parent, vec![step("b", 0, &[], 1)]).await;
    for task in worker.claim(3).await {
        let name = format!("{} {}", task.step_name, task.index);
        append_logs(&mut worker.connection, &lines(task.run, task.lease, 0, &[&name])).await.unwrap();
        if task.index == 1 {
            let logged = LoggedAttempt { run: task.run, attempt: task.lease.attempt };
            assert!(archive_log(&mut worker.connection, &archive, logged, None).await.unwrap());
        }
    }
    for (filter, expected) in [
        (LogFilter::default(), &["a 0", "a 1", "b 0"][..]),
        (LogFilter { step: Some("a".to_owned()), ..LogFilter::default() }, &["a 0", "a 1"]),
        (LogFilter { index: Some(0), ..LogFilter::default() }, &["a 0", "b 0"]),
        (LogFilter { attempt_number: Some(2), ..LogFilter::default() }, &[]),
    ] {
        let mut found = read(&mut LogReader::new(run, filter), &mut worker.connection, &archive).await;
        found.sort_by(|a, b| a.line.cmp(&b.line));
        assert_eq!(found.iter().map(|line| line.line.as_str()).collect::<Vec<_>>(), expected);
    }
    assert_eq!(read_all(below, &mut worker.connection, &archive).await.len(), 1);
}

#[tokio::test]
async fn lines_that_come_too_late_for_the_object_change_nothing() {
    let (bench, archive) = (Bench::set_up().await, Memory::default());
    let mut worker = bench.worker().await;
    let run = bench.start(&mut worker.connection, vec![step("a", 0, &[], 1)]).await;
    let lease = worker.claim_one().await.lease;
    append_logs(&mut worker.connection, &lines(run, lease, 0, &["in time"])).await.unwrap();
    let logged = LoggedAttempt { run, attempt: lease.attempt };
    assert!(archive_log(&mut worker.connection, &archive, logged, None).await.unwrap());
    append_logs(&mut worker.connection, &lines(run, lease, 1, &["too late"])).await.unwrap();
    let kept = read_all(run, &mut worker.connection, &archive).await;
    assert_eq!(kept.iter().map(|line| line.line.as_str()).collect::<Vec<_>>(), ["in time"]);
    assert_eq!(clear_archived_logs(&mut worker.connection, 100).await.unwrap(), 2);
}

#[tokio::test]
async fn what_had_arrived_of_a_lost_attempt_is_archived_and_what_runs_is_left_alone() {
    let (bench, archive) = (Bench::set_up().await, Memory::default());
    let (mut lost, mut alive) = (bench.worker().await, bench.worker().await);
    let run = bench.start(&mut lost.connection, vec![step("a", 0, &[], 3)]).await;
    let (doomed, running, done) =
        (lost.claim_one().await.lease, alive.claim_one().await.lease, alive.claim_one().await.lease);
    for lease in [doomed, running, done] {
        append_logs(&mut alive.connection, &lines(run, lease, 0, &["one", "two"])).await.unwrap();
    }
    bench.silence(lost.id).await;
    assert_eq!(reap(&mut alive.connection, LEASE, 3).await.unwrap().len(), 1);
    complete(&mut alive.connection, &[success(done)]).await.unwrap();
    // its own worker may be about to archive what has just ended
    assert!(unarchived_logs(&mut alive.connection, 60.0, 10).await.unwrap().is_empty());
    archive.is_full.store(true, Ordering::Relaxed);
    let found = unarchived_logs(&mut alive.connection, 0.0, 10).await.unwrap();
    let mut attempts: Vec<AttemptId> = found.iter().map(|logged| logged.attempt).collect();
    attempts.sort();
    let mut expected = vec![doomed.attempt, done.attempt];
    expected.sort();
    assert_eq!(attempts, expected);
    let refused = archive_log(&mut alive.connection, &archive, found[0], None).await.unwrap_err();
    assert!(matches!(refused, QueueError::Keep { .. }), "{refused}");
    archive.is_full.store(false, Ordering::Relaxed);
    for logged in found {
        assert!(archive_log(&mut alive.connection, &archive, logged, None).await.unwrap());
    }
    assert!(unarchived_logs(&mut alive.connection, 0.0, 10).await.unwrap().is_empty());
    assert_eq!(clear_archived_logs(&mut alive.connection, 100).await.unwrap(), 4);
    assert_eq!(read_all(run, &mut alive.connection, &archive).await.len(), 6);
}

/// The law: whatever happens in between, a reader is given every line of every attempt once, in the attempt's order.
#[tokio::test]
async fn no_line_is_lost_or_doubled_whenever_attempts_are_archived_while_somebody_reads() {
    let bench = Bench::set_up().await;
    for seed in seeds(6) {
        let _notice = announce_on_panic(seed);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let archive = Memory::default();
        let mut worker = bench.worker().await;
        let run = bench.start(&mut worker.connection, vec![step("a", 0, &[], 5)]).await;
        let leases: Vec<Lease> = worker.claim(5).await.into_iter().map(|task| task.lease).collect();
        let mut printed = [0_i64; 5];
        let mut is_over = [false; 5];
        let mut readers: Vec<(LogReader, Vec<LogLine>)> = Vec::new();
        for _ in 0..120 {
            let place = random.random_range(0..leases.len());
            let logged = LoggedAttempt { run, attempt: leases[place].attempt };
            match random.random_range(0..10) {
                0 if printed[place] > 0 => {
                    // ends when its object is there, or without one: somebody else makes it
                    archive_log(&mut worker.connection, &archive, logged, Some(0)).await.unwrap();
                    is_over[place] = true;
                }
                1 => drop(
                    clear_archived_logs(&mut worker.connection, random.random_range(1..700)).await.unwrap(),
                ),
                2 => readers.push((LogReader::new(run, LogFilter::default()), vec![])),
                3..6 if !readers.is_empty() => {
                    let chosen = random.random_range(0..readers.len());
                    let (reader, given) = &mut readers[chosen];
                    given.extend(read(reader, &mut worker.connection, &archive).await);
                }
                _ if !is_over[place] => {
                    // more than a page now and then
                    let count = if random.random_bool(0.1) { 700 } else { random.random_range(1..4) };
                    let texts: Vec<String> = (0..count).map(|n| format!("{}", printed[place] + n)).collect();
                    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                    let new = lines(run, leases[place], printed[place], &texts);
                    append_logs(&mut worker.connection, &new).await.unwrap();
                    printed[place] += count;
                }
                _ => {}
            }
        }
        readers.push((LogReader::new(run, LogFilter::default()), vec![]));
        for (mut reader, mut given) in readers {
            given.extend(read(&mut reader, &mut worker.connection, &archive).await);
            assert!(read(&mut reader, &mut worker.connection, &archive).await.is_empty());
            let mut next: HashMap<AttemptId, i64> = HashMap::new();
            for line in given {
                let expected = next.entry(line.attempt).or_default();
                assert_eq!((line.seq, line.line), (*expected, expected.to_string()));
                *expected += 1;
            }
            for (lease, printed) in leases.iter().zip(printed) {
                assert_eq!(next.get(&lease.attempt).copied().unwrap_or_default(), printed);
            }
        }
    }
}

//! Logs from the task to the object store.

use std::time::{Duration, Instant};

use serde_json::json;
use tale_primitives::RunId;
use tale_queue::{LogFilter, LogLine, LogReader, QueueError, RunState, clear_archived_logs};
use tale_worker::{StoreArchive, WorkerSettings};

use crate::plant::{Plant, settings};

async fn lines(plant: &Plant, run: RunId) -> Vec<LogLine> {
    let mut lines = Vec::new();
    LogReader::new(run, LogFilter::default())
        .read::<QueueError>(
            &mut plant.pool.acquire().await.unwrap(),
            &StoreArchive(plant.store.clone()),
            |line| {
                lines.push(line);
                Ok(())
            },
        )
        .await
        .unwrap();
    lines
}

fn texts(lines: &[LogLine]) -> Vec<&str> {
    lines.iter().map(|line| line.line.as_str()).collect()
}

async fn archived(plant: &Plant) -> Vec<(i64, Option<i64>)> {
    sqlx::query_as("select lines, left_out_bytes from queue.attempt_log")
        .fetch_all(&plant.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_task_prints_is_there_when_it_has_ended_in_order_and_cut_where_it_is_too_long() {
    let plant = Plant::set_up().await;
    let worker = plant.work(settings());
    let run = plant.start("test.prints", vec![json!({})]).await;
    plant.end_of(run).await;
    // at once: no line is on its way any more
    let printed = lines(&plant, run).await;
    let expected: Vec<String> = (0..50).map(|line| format!("line {line}")).collect();
    assert_eq!(texts(&printed[..50]), expected);
    assert_eq!((printed.len(), printed[50].line.len()), (52, 8192));
    assert_eq!(printed[51].line, format!("… {} bytes of log were left out", 100_000 - 8192));
    plant.until("the log is an object", async || archived(&plant).await == [(52, Some(91_808))]).await;
    clear_archived_logs(&mut plant.pool.acquire().await.unwrap(), 1000).await.unwrap();
    assert_eq!(lines(&plant, run).await, printed);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_can_be_read_within_a_second_while_its_task_runs() {
    let plant = Plant::set_up().await;
    let worker = plant.work(settings());
    let run = plant.start("test.prints", vec![json!({ "lines": 3, "milliseconds": 3000 })]).await;
    plant.until_running(run).await;
    let started = Instant::now();
    plant.until("the lines are there", async || lines(&plant, run).await.len() == 3).await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(plant.report(run).await.state, RunState::Running);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_has_a_limit_and_says_how_much_was_left_out() {
    let plant = Plant::set_up().await;
    let worker = plant.work(WorkerSettings { log_bytes_max: 70, ..settings() });
    let run = plant.start("test.prints", vec![json!({ "lines": 1000 })]).await;
    plant.end_of(run).await;
    let printed = lines(&plant, run).await;
    // ten lines of seven bytes, each with its end: eight of them, and seven more bytes do not fit
    let whole: u64 = (0..1000).map(|line| format!("line {line}\n").len() as u64).sum();
    assert_eq!(texts(&printed[..10]), (0..10).map(|line| format!("line {line}")).collect::<Vec<_>>());
    assert_eq!(
        texts(&printed[10..]),
        [
            "… the log's limit of 70 bytes is reached: what follows is left out".to_owned(),
            format!("… {} bytes of log were left out", whole - 70)
        ]
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_print_nothing_write_nothing_and_a_panic_keeps_what_was_printed() {
    let plant = Plant::set_up().await;
    let worker = plant.work(settings());
    let silent = plant.start("test.echo", vec![json!({ "word": "hush" }); 20]).await;
    let panics = plant.start("test.prints", vec![json!({ "lines": 2, "refuses": true })]).await;
    plant.end_of(silent).await;
    assert_eq!(plant.end_of(panics).await.state, RunState::Failed);
    assert_eq!(texts(&lines(&plant, panics).await), ["line 0", "line 1"]);
    plant.until("the log is an object", async || archived(&plant).await == [(2, Some(0))]).await;
    worker.stop().await;
    let objects = plant.store.list("sha256", 100).await.unwrap();
    assert_eq!(objects.len(), 1);
}

//! How much memory a large fan-out takes, in a process that does nothing else.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::time::{Duration, Instant};

use serde_json::json;
use tale_pipeline::{KindCatalog, KindDescription, ResourceSpec, Source, check};
use tale_queue::{Priority, Wake, apply_pipeline, parts_inserted, run_progress};
use tale_scheduler::{Scheduler, SchedulerSettings, Trigger, start};
use tale_testkit::TestDatabase;
use tokio_util::sync::CancellationToken;

/// `TALE_FAN_OUT_ITEMS=1000000 cargo nextest run -p tale-scheduler --test memory --no-capture` tries the largest one.
const ITEMS: u32 = 100_000;
const PATIENCE: Duration = Duration::from_secs(600);

const PIPELINE: &str = "
    pipeline: wide
    params: { items: { type: integer } }
    steps:
      each:
        uses: test.any
        for_each: '${range(params.items)}'
        with: { shard: '${item}', of: '${params.items}', name: 'shard ${item}' }
    ";

/// A figure of this process in kibibytes.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_of_a_fan_out_does_not_grow_with_its_list() {
    let items = std::env::var("TALE_FAN_OUT_ITEMS").map_or(ITEMS, |items| items.parse().unwrap());
    let database = TestDatabase::create().await;
    let kinds = KindCatalog::new([KindDescription {
        name: "test.any".to_owned(),
        summary: String::new(),
        arguments: json!({}),
        outputs: json!({}),
        pool: None,
        resources: ResourceSpec::default(),
        cacheable: false,
    }]);
    let source = Source { name: "wide.yaml".to_owned(), text: PIPELINE.to_owned() };
    let spec = check(&source, &kinds, None).unwrap();
    let mut connection = database.connection().await;
    apply_pipeline(&mut connection, "wide", spec.digest().unwrap(), &spec.to_json().unwrap()).await.unwrap();
    let before = status("VmRSS:");
    // the peak from here on
    std::fs::write("/proc/self/clear_refs", "5").unwrap();

    let began = Instant::now();
    let trigger = Trigger {
        pipeline: "wide".to_owned(),
        params: json!({ "items": items }).as_object().unwrap().clone(),
        dedup_key: None,
        logical_date: "2026-11-23".parse().unwrap(),
        fire_time: None,
        priority: Priority::Normal,
        started_by: "a test".to_owned(),
        reason: None,
        uses_cache: true,
    };
    let run = start(&mut connection, trigger).await.unwrap().run;
    let stop = CancellationToken::new();
    let scheduler = Scheduler {
        database: database.pool().clone(),
        settings: SchedulerSettings::default(),
        wake: Wake::start(database.pool().clone()),
    };
    let running = tokio::spawn(scheduler.run(stop.clone()));
    while parts_inserted(&mut connection, run, 0).await.unwrap() < items {
        assert!(began.elapsed() < PATIENCE, "{:?}", run_progress(&mut connection, run).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let grown = status("VmHWM:").saturating_sub(before);
    println!("{items} tasks were planned and inserted in {seconds:.2} s with {} MiB more", grown / 1024);
    stop.cancel();
    running.await.unwrap();
    assert!(grown < 100 * 1024, "the process grew by {grown} KiB");
}

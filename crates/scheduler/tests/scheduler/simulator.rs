//! Several schedulers that come and die at any moment, over schedules whose time is moved back under them.
//!
//! `TALE_SEED=n` replays one seed, `TALE_SIMULATOR_SEEDS=n` runs the first n/100: each takes seconds.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;
use tale_primitives::Seed;
use tale_queue::{RunFilter, list_runs};
use tale_scheduler::{find_schedule, pause_schedule, resume_schedule};
use tale_testkit::{announce_on_panic, seeds};
use tale_timetable::Timetable;

use crate::{
    engine::Engine,
    schedules::{clock, fires, set_back, ticking, until},
};

/// A pipeline, its expression, and what it does about what it missed.
const SCHEDULES: [(&str, &str, &str); 3] = [
    ("often", "*/3 * * * * *", "{ all: 10000 }"),
    ("odd", "*/7 * * * * *", "{ all: 10000 }"),
    ("latest", "*/5 * * * * *", "latest"),
];
const STEPS: usize = 14;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fire_happens_once_whatever_schedulers_come_and_go() {
    let count = std::env::var("TALE_SIMULATOR_SEEDS").map_or(2, |text| text.parse::<u64>().unwrap() / 100);
    for seed in seeds(count.max(1)) {
        let _notice = announce_on_panic(seed);
        simulate(seed).await;
    }
}

async fn simulate(seed: u64) {
    let mut rng = Seed::new(seed).child("schedulers").rng();
    let engine = Engine::set_up(0).await;
    let mut since: BTreeMap<&str, DateTime<Utc>> = BTreeMap::new();
    for (name, cron, missed) in SCHEDULES {
        engine.apply(&ticking(name, &format!("{{ cron: '{cron}', missed: {missed} }}"))).await;
        since.insert(name, clock(&engine).await);
    }
    let mut schedulers = vec![engine.scheduler()];
    for _ in 0..STEPS {
        match rng.random_range(0..10) {
            0..3 if schedulers.len() < 5 => schedulers.push(engine.scheduler()),
            // in the middle of whatever it does
            0..5 if !schedulers.is_empty() => {
                schedulers.swap_remove(rng.random_range(0..schedulers.len())).abort();
            }
            5..8 => {
                let (name, ..) = SCHEDULES[rng.random_range(0..SCHEDULES.len())];
                let back = TimeDelta::seconds(rng.random_range(5..90));
                let from = set_back(&engine, name, back).await;
                since.entry(name).and_modify(|since| *since = from.min(*since));
            }
            8 => {
                // applying what is there changes nothing
                let (name, cron, missed) = SCHEDULES[rng.random_range(0..SCHEDULES.len())];
                engine.apply(&ticking(name, &format!("{{ cron: '{cron}', missed: {missed} }}"))).await;
            }
            _ => {
                let mut connection = engine.connection().await;
                pause_schedule(&mut connection, "latest").await.unwrap();
                resume_schedule(&mut connection, "latest").await.unwrap();
            }
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..150))).await;
    }
    schedulers.push(engine.scheduler());
    let now = clock(&engine).await;
    for (name, ..) in SCHEDULES {
        until("what was due", async || {
            let schedule = find_schedule(&mut engine.connection().await, name).await.unwrap();
            schedule.next_fire.is_some_and(|next| next > now)
        })
        .await;
        pause_schedule(&mut engine.connection().await, name).await.unwrap();
    }
    let mut of_fires = Vec::new();
    for (name, cron, missed) in SCHEDULES {
        let found = fires(&engine, name).await;
        of_fires.extend(found.iter().map(|fire| fire.run.unwrap()));
        if missed == "latest" {
            continue;
        }
        let at: Vec<_> = found.iter().map(|fire| fire.at).collect();
        let timetable = Timetable::parse(cron, "UTC").unwrap();
        // a time that it was set back to is looked at as a fire of its own where it is one
        let before = since[name] - TimeDelta::seconds(1);
        let last = at.last().copied().unwrap_or(before);
        let due: Vec<_> =
            timetable.fires_after(before).map(|fire| fire.at).take_while(|at| *at <= last).collect();
        assert!(last > now - TimeDelta::seconds(7), "{name} has come to {last} at {now}");
        assert_eq!(at, due, "{name} since {}", since[name]);
    }
    let filter = RunFilter { limit: 10_000, ..RunFilter::default() };
    let listed = list_runs(&mut engine.connection().await, &filter).await.unwrap();
    let mut runs: Vec<_> = listed.into_iter().map(|run| run.id).collect();
    runs.sort();
    of_fires.sort();
    assert_eq!(runs, of_fires, "each fire has one run, and no run is without its fire");
    engine.stop().await;
}

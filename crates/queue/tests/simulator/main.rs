//! A seeded simulator of everything that can happen to a queue, with an auditor that keeps its own model.
//!
//! Random pipelines are worked off by workers and schedulers that die, wake up as zombies, forget what they were told
//! and try again, while people pause, stop, limit, answer and retry. After every step the auditor compares the whole database
//! with what it thinks must be there.
//! `TALE_SEED=n` replays one seed, `TALE_SEED=n..m` those, `TALE_SIMULATOR_SEEDS=n` runs the first n.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod again;
mod auditor;
mod gates;
mod ledger;
mod mutations;
mod operator;
mod places;
mod plan;
mod seat;
mod settling;
mod world;

use std::sync::Arc;

use rand::RngExt;
use tale_primitives::Seed;
use tale_testkit::TestDatabase;

use crate::{
    mutations::{MUTATIONS, Mutation},
    world::{Conditions, World},
};

/// How many seeds run at a time: as many as the machines that we test on have cores.
const LANES: u64 = 2;
/// After how many seeds a soak says how far it is.
const SEEDS_OF_A_WORD: u64 = 500;
/// How much happens to a world before it is left in peace.
const STEPS: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_loses_repeats_or_misplaces_a_task() {
    let count =
        std::env::var("TALE_SIMULATOR_SEEDS").ok().map_or(200, |text| text.parse().expect("a number"));
    let seeds: Vec<u64> = tale_testkit::seeds(count).collect();
    let mut lanes = Vec::new();
    for lane in 0..LANES {
        let seeds: Vec<u64> = seeds.iter().copied().filter(|seed| seed % LANES == lane).collect();
        lanes.push(tokio::spawn(async move {
            let database = TestDatabase::create().await;
            for seed in seeds {
                let _notice = tale_testkit::announce_on_panic(seed);
                simulate(seed, &database).await;
                if (seed + 1).is_multiple_of(SEEDS_OF_A_WORD) {
                    eprintln!("as far as seed {seed}");
                }
            }
        }));
    }
    for lane in lanes {
        lane.await.expect("no seed fails");
    }
}

/// How many seeds may pass before the auditor must have found a fault.
const SEEDS_TO_NOTICE: u64 = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_in_a_function_of_the_queue_is_noticed() {
    let mut lanes = Vec::new();
    for lane in 0..LANES as usize {
        lanes.push(tokio::spawn(async move {
            for fault in MUTATIONS.iter().skip(lane).step_by(LANES as usize) {
                let noticed_at = notice(fault).await;
                assert!(noticed_at.is_some(), "the auditor does not notice that {}", fault.name);
                println!("{}: noticed with seed {}", fault.name, noticed_at.unwrap());
            }
        }));
    }
    for lane in lanes {
        lane.await.expect("every fault is noticed");
    }
}

/// The first seed with which the auditor complains.
async fn notice(fault: &Mutation) -> Option<u64> {
    let database = Arc::new(TestDatabase::create().await);
    fault.apply(&mut database.connection().await).await;
    for seed in 0..SEEDS_TO_NOTICE {
        let database = database.clone();
        // what the auditor says goes to standard error, like the complaint of any test
        match tokio::spawn(async move { simulate(seed, &database).await }).await {
            Ok(()) => {}
            Err(error) if error.is_panic() => return Some(seed),
            Err(error) => panic!("{error}"),
        }
    }
    None
}

async fn simulate(seed: u64, database: &TestDatabase) {
    let mut rng = Seed::new(seed).child("queue simulator").rng();
    let plans: Vec<_> = (0..rng.random_range(1..=3)).map(|_| plan::random_run(&mut rng, 0)).collect();
    let conditions = Conditions {
        is_concurrent: seed % 4 == 3,
        is_tallying: seed % 3 == 1,
        is_operated: !seed.is_multiple_of(5),
    };
    let mut world = World::set_up(rng, conditions, database).await;
    for plan in &plans {
        world.start(plan).await;
    }
    for _ in 0..STEPS {
        world.step().await;
    }
    world.finish().await;
}

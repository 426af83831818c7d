//! A seeded simulator of everything that can happen to a queue, with an auditor that keeps its own model.
//!
//! Random pipelines are worked off by workers and schedulers that die, wake up as zombies, forget what they were told
//! and try again. After every step the auditor compares the whole database with what it thinks must be there.
//! `TALE_SEED=n` replays one seed, `TALE_SIMULATOR_SEEDS=n` runs the first n.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod auditor;
mod ledger;
mod plan;
mod seat;
mod world;

use rand::RngExt;
use tale_primitives::Seed;

use crate::world::{Conditions, World};

/// How many seeds run at a time: as many as the machines that we test on have cores.
const LANES: u64 = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_loses_repeats_or_misplaces_a_task() {
    let count = std::env::var("TALE_SIMULATOR_SEEDS").ok().map_or(60, |text| text.parse().expect("a number"));
    let seeds: Vec<u64> = tale_testkit::seeds(count).collect();
    let mut lanes = Vec::new();
    for lane in 0..LANES {
        let seeds: Vec<u64> = seeds.iter().copied().filter(|seed| seed % LANES == lane).collect();
        lanes.push(tokio::spawn(async move {
            for seed in seeds {
                simulate(seed).await;
            }
        }));
    }
    for lane in lanes {
        lane.await.expect("no seed fails");
    }
}

async fn simulate(seed: u64) {
    let _notice = tale_testkit::announce_on_panic(seed);
    let mut rng = Seed::new(seed).child("queue simulator").rng();
    let plans: Vec<_> = (0..rng.random_range(1..=2)).map(|_| plan::random_run(&mut rng, 0)).collect();
    let conditions = Conditions { is_concurrent: seed % 4 == 3, is_tallying: seed % 3 == 1 };
    let mut world = World::set_up(rng, conditions).await;
    for plan in &plans {
        world.start(plan).await;
    }
    for _ in 0..100 {
        world.step().await;
    }
    world.finish().await;
}

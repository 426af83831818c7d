//! A year of settlements under a seeded storm, with an auditor that keeps its own books.
//!
//! Two seeds drive a run. The first says what happens in the network: who joins, leaves and changes hands, what is
//! earned in time and late, what is slashed, corrected, claimed and held. The second says how it reaches the treasury:
//! in which order and batches, in which time zone, and where a settlement dies. What is computed follows from the first
//! alone.

mod auditor;
mod world;

use tale_testkit::{announce_on_panic, seeds};

use world::World;

/// How many seeds the year is simulated with: one unless this variable says more.
const SEEDS: &str = "TALE_SIMULATED_YEARS";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_of_joins_exits_slashes_corrections_rotations_and_crashes_loses_no_unit() {
    let years = std::env::var(SEEDS).ok().map_or(1, |text| text.parse().expect(SEEDS));
    for seed in seeds(years) {
        let _notice = announce_on_panic(seed);
        let mut world = World::new(seed, seed, "2026-01-01").await;
        for _ in 0..365 {
            world.live_a_day().await;
        }
        world.auditor.close_the_year(365);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_events_give_the_same_digests_whatever_order_zone_and_crashes_they_come_in() {
    for seed in seeds(2) {
        let _notice = announce_on_panic(seed);
        let mut found = Vec::new();
        for storm in 0..3 {
            // the clocks of New York and of Berlin change within these days
            let mut world = World::new(seed, 1000 + storm, "2026-03-05").await;
            for _ in 0..26 {
                world.live_a_day().await;
            }
            found.push(world.digests().await);
        }
        assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "a storm changed a byte");
    }
}

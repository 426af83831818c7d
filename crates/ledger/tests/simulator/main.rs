//! A seeded simulator of everything that can happen to a ledger, with an auditor that keeps its own model.
//!
//! Journals, holds, their ends, limits and batches come at random, more than there is money for; posters die before and
//! after their commits, try again, try something else under a known key, and race. After every step the auditor compares
//! balances, pending sums, holds, the chain's length and a balance of the past with what they must be.
//! `TALE_SEED=n` replays one seed, `TALE_SIMULATOR_SEEDS=n` runs the first n.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod model;
mod world;

use sqlx::AssertSqlSafe;
use tale_primitives::Seed;
use tale_testkit::TestDatabase;

use crate::world::World;

/// How many seeds run at a time: as many as the machines that we test on have cores.
const LANES: u64 = 2;
/// How much happens to a world.
const STEPS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_order_of_events_makes_the_ledger_another_than_its_model() {
    let count = std::env::var("TALE_SIMULATOR_SEEDS").ok().map_or(6, |text| text.parse().expect("a number"));
    let seeds: Vec<u64> = tale_testkit::seeds(count).collect();
    let mut lanes = Vec::new();
    for lane in 0..LANES {
        let seeds: Vec<u64> = seeds.iter().copied().filter(|seed| seed % LANES == lane).collect();
        lanes.push(tokio::spawn(async move {
            for seed in seeds {
                let _notice = tale_testkit::announce_on_panic(seed);
                simulate(seed, None).await;
            }
        }));
    }
    for lane in lanes {
        lane.await.expect("no seed fails");
    }
}

/// Faults in the database's functions: what is replaced, and by what.
const FAULTS: [(&str, &str, &str); 4] = [
    (
        "ledger.end_hold",
        "pending_credits = pending_credits - held.amount",
        "pending_credits = pending_credits",
    ),
    (
        "ledger.open_holds",
        "pending_debits = b.pending_debits + moved.debits",
        "pending_debits = b.pending_debits",
    ),
    (
        "ledger.post_entries",
        "credits = b.credits + moved.credits",
        "credits = b.credits + least(moved.credits, 50)",
    ),
    ("ledger.apply_limits", "floor = n.floor", "floor = null"),
];

/// How many seeds may pass before the auditor must have found a fault.
const SEEDS_TO_NOTICE: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_in_a_function_of_the_ledger_is_noticed() {
    for fault in FAULTS {
        let mut is_noticed = false;
        for seed in 0..SEEDS_TO_NOTICE {
            // what the auditor says goes to standard error, like the complaint of any test
            match tokio::spawn(async move { simulate(seed, Some(fault)).await }).await {
                Ok(()) => {}
                Err(error) if error.is_panic() => {
                    is_noticed = true;
                    break;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(is_noticed, "the auditor does not notice that {} has {}", fault.0, fault.2);
    }
}

async fn simulate(seed: u64, fault: Option<(&str, &str, &str)>) {
    let database = TestDatabase::create().await;
    if let Some((function, sound, faulty)) = fault {
        let mut conn = database.connection().await;
        let definition = format!("select pg_get_functiondef('{function}'::regproc)");
        let definition: String =
            sqlx::query_scalar(AssertSqlSafe(definition)).fetch_one(&mut conn).await.expect("a function");
        assert!(definition.contains(sound), "{function}: {definition}");
        let replaced = AssertSqlSafe(definition.replace(sound, faulty));
        sqlx::raw_sql(replaced).execute(&mut conn).await.expect("a faulty function");
    }
    let rng = Seed::new(seed).child("ledger simulator").rng();
    let mut world = World::set_up(rng, &database).await;
    for _ in 0..STEPS {
        world.step().await;
    }
    world.finish().await;
}

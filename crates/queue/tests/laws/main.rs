//! The queue's laws, tried against a real PostgreSQL.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod bench;
mod cache;
mod claims;
mod control;
mod countdown;
mod expansions;
mod fitting;
mod gauges;
mod interplay;
mod joins;
mod limits;
mod logs;
mod memory;
mod outcomes;
mod pains;
mod parts;
mod patience;
mod retention;
mod retries;
mod runs;
mod sub_runs;
mod upgrades;
mod workers;

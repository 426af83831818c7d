//! The queue's laws, tried against a real PostgreSQL.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod bench;
mod claims;
mod control;
mod countdown;
mod expansions;
mod joins;
mod limits;
mod outcomes;
mod pains;
mod parts;
mod patience;
mod retries;
mod runs;
mod sub_runs;
mod upgrades;
mod workers;

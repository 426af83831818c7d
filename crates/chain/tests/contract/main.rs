//! The contracts, run in this process by revm.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod bytecode;
mod claims;
mod keys;
mod model;
mod roots;
mod simulator;
mod world;

//! The `tale` binary as its users meet it: words, exit codes, files.

// Clippy takes only functions marked as tests for tests, not what they share.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cache;
mod chain;
mod claims;
mod control;
mod doctor;
mod epochs;
mod help;
mod history;
mod http;
mod income;
mod installation;
mod kinds;
mod ledger;
mod patience;
mod pipelines;
mod resources;
mod schedules;
mod staking;
mod tale;
mod traces;
mod vesting;
mod withdrawals;

// the node and the settled days with which the chain's own crate is tested
#[path = "../../../chain/tests/anvil/network.rs"]
#[allow(dead_code)]
mod network;
#[path = "../../../chain/tests/anvil/node.rs"]
#[allow(dead_code)]
mod node;

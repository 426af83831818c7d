//! The whole way of a root, over JSON-RPC, on a real node: anvil.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod kills;
mod network;
mod node;
mod nonces;
mod publishing;
mod refusals;
mod reorganisations;

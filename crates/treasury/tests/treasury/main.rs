//! Allocation, trees, claims, the settlement of epochs, vesting, staking and withdrawals.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod allocation;
mod capping;
mod claims;
mod classes;
mod corrections;
mod failures;
mod finality;
mod merkle;
mod network;
mod rewards;
mod rounding;
mod second;
mod settlement;
mod simulator;
mod staking;
mod staking_laws;
mod verification;
mod vesting;
mod withdrawal_laws;
mod withdrawals;

use tale_primitives::{Address, Amount};

fn amount(text: &str) -> Amount {
    text.parse().expect("a decimal amount")
}

fn owner(number: u32) -> Address {
    Address::derive(&format!("owner {number}"))
}

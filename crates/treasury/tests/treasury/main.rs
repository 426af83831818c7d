//! Allocation, trees, claims and the settlement of epochs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod allocation;
mod claims;
mod merkle;
mod rewards;
mod settlement;
mod staking;
mod staking_laws;
mod vesting;

use tale_primitives::{Address, Amount};

fn amount(text: &str) -> Amount {
    text.parse().expect("a decimal amount")
}

fn owner(number: u32) -> Address {
    Address::derive(&format!("owner {number}"))
}

//! Allocation, trees, claims, the settlement of epochs, vesting, staking and withdrawals.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod allocation;
mod claims;
mod merkle;
mod rewards;
mod settlement;
mod staking;
mod staking_laws;
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

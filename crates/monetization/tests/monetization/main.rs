//! Fees, dividends and sales.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod dividends;
mod epochs;
mod fees;
mod logs;
mod sale_model;
mod sale_races;
mod sales;

use tale_primitives::{Address, Amount, UtcDay};

fn amount(text: &str) -> Amount {
    text.parse().expect("a decimal amount")
}

fn wallet(number: u32) -> Address {
    Address::derive(&format!("wallet {number}"))
}

fn day(number: u32) -> UtcDay {
    format!("2024-03-{number:02}").parse().expect("a day of March")
}

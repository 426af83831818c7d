//! The laws of double entry, tried through the crate and around it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod audit;
mod batches;
mod grants;
mod holds;
mod laws;
mod limits;
mod past;
mod posting;

use tale_ledger::{AccountKey, AccountOwner, Asset, Entry, NewJournal};
use tale_primitives::{Address, Amount};

fn account(text: &str) -> AccountKey {
    text.parse().expect("a well-formed account")
}

fn pool() -> AccountKey {
    account("pool:generator:xTALE")
}

fn issuance() -> AccountKey {
    account("issuance:generator-pool:xTALE")
}

fn holder(number: u64) -> AccountKey {
    let asset: Asset = "xTALE".parse().expect("a well-formed asset");
    AccountKey::new(AccountOwner::Holder(Address::derive(&number.to_string())), asset)
}

fn units(number: u64) -> Amount {
    Amount::from(number)
}

fn journal(key: &str, entries: Vec<Entry>) -> NewJournal {
    NewJournal { key: key.to_owned(), epoch: None, description: "a test".to_owned(), entries }
}

/// Moves from one account to another.
fn transfer(key: &str, from: AccountKey, to: AccountKey, amount: u64) -> NewJournal {
    journal(key, vec![Entry::debit(from, units(amount)), Entry::credit(to, units(amount))])
}

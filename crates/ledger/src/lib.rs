#![doc = include_str!("../README.md")]

mod account;
mod audit;
mod chain;
mod content;
mod error;
mod journal;
mod posting;
mod reading;

pub use account::{AccountKey, AccountKind, AccountOwner, Asset};
pub use audit::{Discrepancy, VerifyReport, verify};
pub use chain::{ChainHead, chain_head};
pub use error::LedgerError;
pub use journal::{Entry, Journal, JournalId, JournalSummary, NewJournal, Side};
pub use posting::{Posted, post_journal};
pub use reading::{Balance, BalanceFilter, balance, balances, journal, list_journals};

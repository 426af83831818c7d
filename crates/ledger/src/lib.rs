#![doc = include_str!("../README.md")]

mod account;
mod asset;
mod audit;
mod batch;
mod chain;
mod content;
mod error;
mod event;
mod export;
mod hold;
mod journal;
mod limit;
mod past;
mod posting;
mod reading;

pub use account::{AccountKey, AccountKind, AccountOwner, Asset};
pub use asset::{RegisteredAsset, find_asset, list_assets, register_asset};
pub use audit::{Discrepancy, VerifyProgress, VerifyReport, verify, verify_against};
pub use batch::{BATCH_MEMBERS_MAX, BatchPosted, NewBatch, Operation, post_batch};
pub use chain::{ChainHead, chain_head};
pub use error::LedgerError;
pub use event::Event;
pub use export::{ExportedEntry, export_entries};
pub use hold::{
    Ending, Hold, HoldEnd, HoldFilter, HoldState, NewHold, end_hold, expire_holds, find_hold, list_holds,
    open_hold,
};
pub use journal::{Entry, Journal, JournalId, JournalSummary, NewJournal, Side};
pub use limit::{Limit, NewLimit, list_limits, set_limit};
pub use past::{At, PastBalance, balance_at};
pub use posting::{Posted, post_journal};
pub use reading::{Balance, BalanceFilter, balance, balances, journal, list_journals};

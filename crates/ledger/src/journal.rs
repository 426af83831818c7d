use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tale_primitives::{Amount, Digest, UtcDay};

use crate::{AccountKey, Event};

/// One link of the chain, a journal or another event: its place, from 1 and without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JournalId(i64);

impl JournalId {
    /// The id that a stored value stands for.
    pub const fn from_raw(raw: i64) -> Self {
        Self(raw)
    }

    /// The value to store.
    pub const fn raw(self) -> i64 {
        self.0
    }
}

impl fmt::Display for JournalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JournalId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// The side of an account on which an entry is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Takes from a credit-normal account, adds to a debit-normal one.
    Debit,
    /// Adds to a credit-normal account, takes from a debit-normal one.
    Credit,
}

impl Side {
    /// The side as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debit => "debit",
            Self::Credit => "credit",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Debit, Self::Credit].into_iter().find(|side| side.as_str() == text)
    }
}

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The account that it moves.
    pub account: AccountKey,
    /// The side on which it is written.
    pub side: Side,
    /// How much, in base units; never nothing.
    pub amount: Amount,
}

impl Entry {
    /// A debit of this account.
    pub const fn debit(account: AccountKey, amount: Amount) -> Self {
        Self { account, side: Side::Debit, amount }
    }

    /// A credit of this account.
    pub const fn credit(account: AccountKey, amount: Amount) -> Self {
        Self { account, side: Side::Credit, amount }
    }
}

/// A journal to post. The order of its entries carries no meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJournal {
    /// The idempotency key: posting it again is the first posting.
    pub key: String,
    /// The UTC day that it settles, if it settles one.
    pub epoch: Option<UtcDay>,
    /// Why, for people.
    pub description: String,
    /// What moves: debits equal credits in every asset.
    pub entries: Vec<Entry>,
}

/// A posted journal without its entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JournalSummary {
    /// Its id.
    pub id: JournalId,
    /// What it records; journals and posted holds have entries.
    pub event: Event,
    /// Its idempotency key.
    pub key: String,
    /// The UTC day that it settles, if it settles one.
    pub epoch: Option<UtcDay>,
    /// Why, for people.
    pub description: String,
    /// How many entries it has.
    pub entry_count: u32,
    /// The digest of its content.
    pub content_digest: Digest,
    /// Its link of the hash chain.
    pub chain_digest: Digest,
    /// When it was posted.
    pub posted_at: DateTime<Utc>,
}

/// A posted journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Journal {
    /// Everything but its entries.
    #[serde(flatten)]
    pub summary: JournalSummary,
    /// Its entries in canonical order.
    pub entries: Vec<Entry>,
}

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a link of the chain records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// Entries that moved balances.
    Journal,
    /// A hold that opened.
    Hold,
    /// A hold that was posted, in whole or in part: two entries.
    Post,
    /// A hold that was given up.
    Void,
    /// A hold that nobody ended in time.
    Expire,
    /// The limits of an account.
    Limit,
    /// The end of a batch: the links before it were its members.
    Batch,
}

impl Event {
    const ALL: [Self; 7] =
        [Self::Journal, Self::Hold, Self::Post, Self::Void, Self::Expire, Self::Limit, Self::Batch];

    /// The event as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Hold => "hold",
            Self::Post => "post",
            Self::Void => "void",
            Self::Expire => "expire",
            Self::Limit => "limit",
            Self::Batch => "batch",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == text)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

//! Revenue events: who paid what for which work, and when.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tale_ledger::Asset;
use tale_primitives::{Amount, UtcDay};

use crate::{IncomeKind, MonetizationError};

/// Names a work, as content ids do: 1 to 100 letters, digits, `.`, `_`, `:` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkId(String);

impl WorkId {
    /// The most characters in the id of a work.
    pub const LENGTH_MAX: usize = 100;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WorkId {
    type Err = MonetizationError;

    fn from_str(text: &str) -> Result<Self, MonetizationError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
        if (1..=Self::LENGTH_MAX).contains(&text.len()) && text.bytes().all(is_plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(MonetizationError::NotAWork(text.chars().take(100).collect()))
        }
    }
}

impl fmt::Display for WorkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for WorkId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for WorkId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// One payment for a work. Fields are in the order in which a digest takes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevenueEvent {
    /// What its source calls it, unique: the idempotency key, 1 to 200 characters.
    pub id: String,
    /// When it was earned.
    pub occurred_at: DateTime<Utc>,
    /// By what.
    pub kind: IncomeKind,
    /// With which work.
    pub work: WorkId,
    /// How much was paid, in base units; never nothing.
    pub gross: Amount,
    /// In what.
    pub asset: Asset,
    /// By whom, as the source names them: kept for the record, 1 to 200 characters.
    pub payer: String,
}

impl RevenueEvent {
    /// The UTC day on which it was earned.
    pub fn origin(&self) -> UtcDay {
        UtcDay::of(self.occurred_at)
    }
}

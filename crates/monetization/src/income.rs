//! What the network and its works earn by.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::MonetizationError;

/// A kind of income.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncomeKind {
    /// A work is published and sold.
    Publishing,
    /// A work is funded.
    Launchpad,
    /// A work, or a part of it, changes hands.
    Trading,
    /// An advertiser pays for a product's place in a work.
    PlacementAds,
    /// Credits for generation are bought.
    GenerationCredits,
    /// Licences of generators are sold.
    LicenceSales,
    /// Somebody takes tokens out: income by its fee alone.
    Withdrawals,
}

impl IncomeKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Publishing,
        Self::Launchpad,
        Self::Trading,
        Self::PlacementAds,
        Self::GenerationCredits,
        Self::LicenceSales,
        Self::Withdrawals,
    ];

    /// The kind as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publishing => "publishing",
            Self::Launchpad => "launchpad",
            Self::Trading => "trading",
            Self::PlacementAds => "placement_ads",
            Self::GenerationCredits => "generation_credits",
            Self::LicenceSales => "licence_sales",
            Self::Withdrawals => "withdrawals",
        }
    }
}

impl fmt::Display for IncomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for IncomeKind {
    type Err = MonetizationError;

    fn from_str(text: &str) -> Result<Self, MonetizationError> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| MonetizationError::NotAnIncomeKind(text.chars().take(100).collect()))
    }
}

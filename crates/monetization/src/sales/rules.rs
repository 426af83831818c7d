//! The rules of the licence sale.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use tale_ledger::Asset;

use super::SaleError;

/// Who a wallet is in the sale, the highest first: whoever may buy as `sl2` may buy as `sl1` too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// On special list 1.
    Sl1,
    /// On special list 2.
    Sl2,
    /// Any wallet.
    Public,
}

impl Tier {
    /// The tier as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sl1 => "sl1",
            Self::Sl2 => "sl2",
            Self::Public => "public",
        }
    }

    /// Whether somebody of this tier may buy where `least` is the lowest that may.
    pub fn reaches(self, least: Self) -> bool {
        self <= least
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Tier {
    type Err = SaleError;

    fn from_str(text: &str) -> Result<Self, SaleError> {
        let found = [Self::Sl1, Self::Sl2, Self::Public].into_iter().find(|tier| tier.as_str() == text);
        found.ok_or_else(|| SaleError::NotATier(text.chars().take(100).collect()))
    }
}

/// The rules of one version. A version never changes once a round follows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaleRules {
    /// The version; the file is `rulesets/<version>/sales.json`.
    pub version: u32,
    /// What prices are counted in.
    pub asset: Asset,
    /// The rounds, by number from 1.
    pub rounds: Vec<RoundRules>,
    /// How long units are held for a buyer who has not paid.
    pub reservation_minutes: u32,
    /// How long a payment can be taken back.
    pub refund_hours: u32,
    /// What becomes of the units that a round has not sold.
    pub unsold: Unsold,
    /// Where each value comes from, and which are ours.
    pub sources: BTreeMap<String, String>,
}

/// The rules of one round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundRules {
    /// Its number.
    pub round: u32,
    /// How many licences it sells.
    pub supply: u32,
    /// What one costs, in cents.
    pub price_cents: u32,
    /// The lowest tier that may buy.
    pub least_tier: Tier,
    /// How many one buyer may have.
    pub buyer_max: u32,
}

/// What becomes of the units that a round has not sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unsold {
    /// They are added to the next round; after the last they are not sold.
    NextRound,
    /// They are not sold.
    Withheld,
}

impl SaleRules {
    /// The rules with this version.
    pub fn load(version: u32) -> Result<Self, SaleError> {
        let text = match version {
            2 => include_str!("../../rulesets/2/sales.json"),
            _ => return Err(SaleError::UnknownRules(version)),
        };
        let rules: Self =
            serde_json::from_str(text).map_err(|source| SaleError::UnreadableRules { version, source })?;
        let numbers_ascend = rules.rounds.iter().map(|round| round.round).eq(1..=rules.rounds.len() as u32);
        let sells = |round: &RoundRules| round.supply > 0 && round.price_cents > 0 && round.buyer_max > 0;
        let is_possible = rules.version == version && numbers_ascend && rules.reservation_minutes > 0;
        if is_possible && rules.rounds.iter().all(sells) {
            Ok(rules)
        } else {
            Err(SaleError::ImpossibleRules(version))
        }
    }
}

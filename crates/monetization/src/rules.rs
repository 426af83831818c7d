//! How revenue is divided.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tale_ledger::Asset;
use tale_primitives::UtcDay;

use crate::{FeeSchedule, IncomeKind, MonetizationError, Share};

/// The rules of one version by which revenue becomes dividends. A version never changes once an epoch has used it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DividendRules {
    fees: FeeSchedule,
    splits: Splits,
}

/// `rulesets/<version>/dividends.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Splits {
    version: u32,
    assets: Vec<Asset>,
    network_ppm: NetworkShares,
    record_date: RecordDate,
    sources: BTreeMap<String, String>,
}

/// The network's share of each kind of revenue, after the fee; the rest belongs to the holders of the work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkShares {
    publishing: Share,
    launchpad: Share,
    trading: Share,
    placement_ads: Share,
    generation_credits: Share,
    licence_sales: Share,
}

/// When somebody must hold a work to share in what it earned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RecordDate {
    /// When the UTC day ends on which it earned, also where the event came late.
    EndOfOriginDay,
}

impl DividendRules {
    /// The rules with this version.
    pub fn load(version: u32) -> Result<Self, MonetizationError> {
        let text = match version {
            2 => include_str!("../rulesets/2/dividends.json"),
            _ => return Err(MonetizationError::UnknownRuleset(version)),
        };
        let splits: Splits = serde_json::from_str(text)
            .map_err(|source| MonetizationError::UnreadableRuleset { version, source })?;
        if splits.version != version {
            return Err(MonetizationError::ImpossibleRuleset(version));
        }
        Ok(Self { fees: FeeSchedule::load(version)?, splits })
    }

    /// The version.
    pub const fn version(&self) -> u32 {
        self.splits.version
    }

    /// What the treasury takes first.
    pub const fn fees(&self) -> &FeeSchedule {
        &self.fees
    }

    /// Where each value comes from, and which are ours.
    pub const fn sources(&self) -> &BTreeMap<String, String> {
        &self.splits.sources
    }

    /// What revenue may be counted in.
    pub fn assets(&self) -> &[Asset] {
        &self.splits.assets
    }

    /// The network's share of what is left after the fee; nothing for a kind that is no revenue of a work.
    pub const fn network_share(&self, kind: IncomeKind) -> Option<Share> {
        let shares = &self.splits.network_ppm;
        match kind {
            IncomeKind::Publishing => Some(shares.publishing),
            IncomeKind::Launchpad => Some(shares.launchpad),
            IncomeKind::Trading => Some(shares.trading),
            IncomeKind::PlacementAds => Some(shares.placement_ads),
            IncomeKind::GenerationCredits => Some(shares.generation_credits),
            IncomeKind::LicenceSales => Some(shares.licence_sales),
            IncomeKind::Withdrawals => None,
        }
    }

    /// The day at whose end the holders of a work share in what it earned on `origin`.
    pub const fn record_day(&self, origin: UtcDay) -> UtcDay {
        match self.splits.record_date {
            RecordDate::EndOfOriginDay => origin,
        }
    }
}

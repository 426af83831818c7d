//! What the treasury takes of each kind of income.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tale_primitives::Amount;

use crate::{IncomeKind, MonetizationError, Share};

/// The version of the rules that new epochs and sales use.
pub const CURRENT_RULESET: u32 = 2;

/// The fee schedule of one version of the rules. A version never changes once an epoch has used it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeSchedule {
    /// Its version; the file is `rulesets/<version>/fees.json`.
    pub version: u32,
    /// The rate of each kind, in millionths of the amount.
    fees_ppm: FeeRates,
    /// Where each rate comes from, and which are ours.
    pub sources: BTreeMap<String, String>,
}

/// One rate for each kind: a kind without one does not parse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FeeRates {
    publishing: Share,
    launchpad: Share,
    trading: Share,
    placement_ads: Share,
    generation_credits: Share,
    licence_sales: Share,
    withdrawals: Share,
}

/// An amount, divided into the treasury's fee and what is left: their sum is the amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Fee {
    /// What the treasury takes.
    pub fee: Amount,
    /// What is left.
    pub net: Amount,
}

impl FeeSchedule {
    /// The schedule with this version.
    pub fn load(version: u32) -> Result<Self, MonetizationError> {
        let text = match version {
            2 => include_str!("../rulesets/2/fees.json"),
            _ => return Err(MonetizationError::UnknownRuleset(version)),
        };
        let schedule: Self = serde_json::from_str(text)
            .map_err(|source| MonetizationError::UnreadableRuleset { version, source })?;
        if schedule.version == version {
            Ok(schedule)
        } else {
            Err(MonetizationError::ImpossibleRuleset(version))
        }
    }

    /// The rate of a kind.
    pub const fn rate(&self, kind: IncomeKind) -> Share {
        match kind {
            IncomeKind::Publishing => self.fees_ppm.publishing,
            IncomeKind::Launchpad => self.fees_ppm.launchpad,
            IncomeKind::Trading => self.fees_ppm.trading,
            IncomeKind::PlacementAds => self.fees_ppm.placement_ads,
            IncomeKind::GenerationCredits => self.fees_ppm.generation_credits,
            IncomeKind::LicenceSales => self.fees_ppm.licence_sales,
            IncomeKind::Withdrawals => self.fees_ppm.withdrawals,
        }
    }

    /// The fee on an amount of this kind, rounded down to the base unit: away from the treasury, so that nobody
    /// pays above the rate. What rounding takes from the treasury is less than one base unit.
    ///
    /// Take it of a day's sum rather than of each payment: then many small payments cost what a large one costs.
    pub fn fee_of(&self, kind: IncomeKind, amount: Amount) -> Fee {
        let fee = self.rate(kind).of(amount);
        // A share of an amount is at most the amount.
        Fee { fee, net: amount.checked_sub(fee).unwrap_or_default() }
    }
}

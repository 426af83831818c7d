use std::collections::BTreeMap;

use ruint::aliases::U256;
use serde::{Deserialize, Serialize};
use tale_ledger::Asset;
use tale_primitives::{Address, Amount};

use crate::TreasuryError;

/// The published rules by which an epoch is computed. A version never changes once an epoch has used it: another
/// rule is another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ruleset {
    /// Its version; the file is `rulesets/<version>.json`.
    pub version: u32,
    /// What the ledger calls the rewards.
    pub asset: Asset,
    /// How many decimal places the asset's base unit has.
    pub decimals: u8,
    /// The token's address in the claims tree.
    pub token: Address,
    /// The pool that generators are paid from.
    pub generator_pool: GeneratorPool,
    /// Where each value comes from, and which are ours.
    pub sources: BTreeMap<String, String>,
}

/// The Generator pool of the vesting table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorPool {
    /// The token's whole supply, in base units.
    pub supply: Amount,
    /// The pool's share of the supply, in millionths.
    pub share_ppm: u32,
    /// The part of the supply, in millionths, that was unlocked at the start and that no day emits.
    pub unlocked_at_start_ppm: u32,
    /// Over how many months the rest is emitted, in equal parts.
    pub months: u32,
    /// How many days a month has here.
    pub days_per_month: u32,
}

impl Ruleset {
    /// The version that new epochs use.
    pub const CURRENT_VERSION: u32 = 1;

    /// The ruleset with this version.
    pub fn load(version: u32) -> Result<Self, TreasuryError> {
        let text = match version {
            1 => include_str!("../rulesets/1.json"),
            _ => return Err(TreasuryError::UnknownRuleset(version)),
        };
        let ruleset: Self = serde_json::from_str(text)
            .map_err(|source| TreasuryError::UnreadableRuleset { version, source })?;
        // A pool that emits nothing, or a division by zero, is a mistake in the file.
        if ruleset.version != version || ruleset.generator_pool.days() == 0 {
            return Err(TreasuryError::ImpossibleRuleset(version));
        }
        ruleset.daily_pool()?;
        Ok(ruleset)
    }

    /// What the days of the Generator pool emit together.
    pub fn emission_total(&self) -> Result<Amount, TreasuryError> {
        let pool = &self.generator_pool;
        let impossible = TreasuryError::ImpossibleRuleset(self.version);
        let Some(ppm) = pool.share_ppm.checked_sub(pool.unlocked_at_start_ppm) else {
            return Err(impossible);
        };
        let Some(product) = pool.supply.to_u256().checked_mul(U256::from(ppm)) else {
            return Err(impossible);
        };
        Ok(Amount::from_u256(product / U256::from(1_000_000)))
    }

    /// What one day emits: the total divided by the number of days, rounded down. The fewer than one unit per day
    /// that are lost to rounding stay in the pool.
    pub fn daily_pool(&self) -> Result<Amount, TreasuryError> {
        let daily = self.emission_total()?.to_u256().checked_div(U256::from(self.generator_pool.days()));
        match daily {
            Some(daily) if !daily.is_zero() => Ok(Amount::from_u256(daily)),
            _ => Err(TreasuryError::ImpossibleRuleset(self.version)),
        }
    }
}

impl GeneratorPool {
    /// How many days emit.
    pub fn days(&self) -> u64 {
        u64::from(self.months) * u64::from(self.days_per_month)
    }
}

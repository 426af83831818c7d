use std::collections::{BTreeMap, BTreeSet};

use ruint::aliases::U256;
use serde::{Deserialize, Serialize};
use tale_ledger::{AccountKey, AccountKind, AccountOwner, Asset};
use tale_primitives::{Amount, Name};

use super::{Calendar, Terms, VestingError};
use crate::TreasuryError;

/// The vesting table of a ruleset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VestingRules {
    /// The ruleset's version; the file is `rulesets/<version>/vesting.json`.
    pub version: u32,
    /// What the ledger calls the token.
    pub asset: Asset,
    /// How many decimal places the asset's base unit has.
    pub decimals: u8,
    /// The token's whole supply, in base units.
    pub supply: Amount,
    /// What a month is.
    pub calendar: Calendar,
    /// The pools, which divide the supply among them.
    pub pools: Vec<VestingPool>,
    /// Where each value comes from, and which are ours.
    pub sources: BTreeMap<String, String>,
}

/// One row of the vesting table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VestingPool {
    /// Its name.
    pub name: Name,
    /// Its share of the supply, in millionths.
    pub share_ppm: u32,
    /// The part of the supply, in millionths, that is unlocked at the start.
    pub unlocked_at_start_ppm: u32,
    /// For how many months after the start nothing follows.
    pub cliff_months: u32,
    /// Over how many months the rest is released, in equal parts.
    pub months: u32,
    /// Where its releases are credited.
    pub account: AccountKey,
    /// Who releases its monthly parts.
    pub monthly_parts: MonthlyParts,
}

/// Who releases the monthly parts of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MonthlyParts {
    /// Vesting does, each part when it is due.
    PostedByVesting,
    /// Settlement does, day by day and as rewards; vesting posts what was unlocked at the start and nothing else.
    EmittedBySettlement,
}

const MILLION: u32 = 1_000_000;

impl VestingRules {
    /// The version by which releases are posted.
    pub const CURRENT_VERSION: u32 = 2;

    /// The vesting table of the ruleset with this version.
    pub fn load(version: u32) -> Result<Self, TreasuryError> {
        let text = match version {
            2 => include_str!("../../rulesets/2/vesting.json"),
            _ => return Err(TreasuryError::UnknownRuleset(version)),
        };
        let rules: Self = serde_json::from_str(text)
            .map_err(|source| TreasuryError::UnreadableRuleset { version, source })?;
        match rules.contradiction(version) {
            Some(reason) => Err(VestingError::ImpossibleTable { version, reason }.into()),
            None => Ok(rules),
        }
    }

    /// The pool of this name.
    pub fn pool(&self, name: &str) -> Result<&VestingPool, TreasuryError> {
        let found = self.pools.iter().find(|pool| pool.name.as_str() == name);
        found.ok_or_else(|| VestingError::UnknownPool(name.chars().take(100).collect()).into())
    }

    /// How a pool is released.
    pub fn terms(&self, pool: &VestingPool) -> Terms {
        Terms {
            allocation: self.part_of_supply(pool.share_ppm),
            unlocked: self.part_of_supply(pool.unlocked_at_start_ppm),
            cliff_months: pool.cliff_months,
            months: pool.months,
        }
    }

    /// The account that a pool's units come from: its balance is what was released of the pool.
    pub fn issuance(&self, pool: &VestingPool) -> AccountKey {
        AccountKey::new(AccountOwner::Issuance(pool.name.clone()), self.asset.clone())
    }

    /// So many millionths of the supply, of which a table that loads has whole units.
    fn part_of_supply(&self, ppm: u32) -> Amount {
        let (quotient, remainder) = self.supply.to_u256().div_rem(U256::from(MILLION));
        Amount::from_u256(quotient * U256::from(ppm) + remainder * U256::from(ppm) / U256::from(MILLION))
    }

    fn contradiction(&self, version: u32) -> Option<String> {
        if self.version != version {
            return Some(format!("its version is {}", self.version));
        }
        // Then every share is a whole number of units, and the shares of the pools add up to the supply.
        if !(self.supply.to_u256() % U256::from(MILLION)).is_zero() {
            return Some("a millionth of the supply is not a whole number of base units".to_owned());
        }
        let shares: u64 = self.pools.iter().map(|pool| u64::from(pool.share_ppm)).sum();
        if shares != u64::from(MILLION) {
            return Some(format!("the shares add up to {shares} millionths"));
        }
        let names: BTreeSet<&Name> = self.pools.iter().map(|pool| &pool.name).collect();
        if names.len() != self.pools.len() {
            return Some("two pools have one name".to_owned());
        }
        self.pools.iter().find_map(|pool| Some(format!("{}: {}", pool.name, self.contradiction_in(pool)?)))
    }

    fn contradiction_in(&self, pool: &VestingPool) -> Option<&'static str> {
        if pool.unlocked_at_start_ppm > pool.share_ppm {
            return Some("more is unlocked at the start than it has");
        }
        if pool.months == 0 && pool.unlocked_at_start_ppm != pool.share_ppm {
            return Some("what is left after the start is never released");
        }
        let is_ours = matches!(pool.account.kind(), AccountKind::Pool | AccountKind::Treasury);
        if !is_ours || *pool.account.asset() != self.asset {
            return Some("its account is not a pool or the treasury's, in the table's asset");
        }
        None
    }
}

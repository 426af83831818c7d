use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tale_ledger::{AccountKey, AccountOwner, Asset};
use tale_primitives::{Amount, Name};

use super::StakingError;
use crate::TreasuryError;

/// The staking rules of a ruleset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StakingRules {
    /// The ruleset's version; the file is `rulesets/<version>/staking.json`.
    pub version: u32,
    /// What is staked, and what rewards are paid in.
    pub asset: Asset,
    /// How many decimal places the asset's base unit has.
    pub decimals: u8,
    /// The least that may be staked, in base units.
    pub minimum: Amount,
    /// Over how many days an annual rate is spread.
    pub days_per_year: u32,
    /// The rate without a lock.
    pub flexible: FlexibleRate,
    /// The locks that are offered, by length.
    pub terms: Vec<Term>,
    /// The lock, in days, for which a position weighs its amount.
    pub ve_days: u32,
    /// What leaving before the end of a lock costs.
    pub early_exit: EarlyExit,
    /// The pool that operators fill the rewards' budget from.
    pub budget_source: AccountKey,
    /// Where each value comes from, and which are ours.
    pub sources: BTreeMap<String, String>,
}

/// An annual rate that falls as the total rises: `rate_ppm_max·h div (h + total)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlexibleRate {
    /// The rate while nothing is staked, in millionths a year.
    pub rate_ppm_max: u32,
    /// The total, in base units, at which the rate is half of that: the h of the formula.
    pub half_rate_at: Amount,
}

/// A lock with its fixed rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// For how many days it binds.
    pub days: u32,
    /// Its rate, in millionths a year.
    pub rate_ppm: u32,
}

/// What leaving before the end of a lock costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyExit {
    /// The part of the accrued rewards that returns to the budget, in millionths.
    pub rewards_forfeited_ppm: u32,
    /// The part of the principal that is lost, in millionths.
    pub principal_penalty_ppm: u32,
    /// Where that goes.
    pub penalty_account: AccountKey,
}

/// The accounts between which stakes and rewards move.
pub(crate) struct Accounts {
    /// Everybody's principal.
    pub staked: AccountKey,
    /// What may still be paid as rewards.
    pub budget: AccountKey,
    /// Rewards that have accrued to positions and are not paid out yet.
    pub accrued: AccountKey,
}

const MILLION: u32 = 1_000_000;

impl StakingRules {
    /// The version by which new positions are opened.
    pub const CURRENT_VERSION: u32 = 2;

    /// The staking rules of the ruleset with this version.
    pub fn load(version: u32) -> Result<Self, TreasuryError> {
        let text = match version {
            2 => include_str!("../../rulesets/2/staking.json"),
            _ => return Err(TreasuryError::UnknownRuleset(version)),
        };
        let rules: Self = serde_json::from_str(text)
            .map_err(|source| TreasuryError::UnreadableRuleset { version, source })?;
        match rules.contradiction(version) {
            Some(reason) => Err(StakingError::ImpossibleRules { version, reason: reason.to_owned() }.into()),
            None => Ok(rules),
        }
    }

    /// The lock of so many days.
    pub fn term(&self, days: u32) -> Result<Term, TreasuryError> {
        let found = self.terms.iter().find(|term| term.days == days);
        found.copied().ok_or_else(|| StakingError::UnknownTerm { given: days }.into())
    }

    pub(crate) fn accounts(&self) -> Result<Accounts, TreasuryError> {
        let account = |name: &str| -> Result<AccountKey, TreasuryError> {
            let name: Name = name
                .parse()
                .map_err(|_| TreasuryError::CorruptRow { table: "staking_position", row: name.to_owned() })?;
            Ok(AccountKey::new(AccountOwner::Pool(name), self.asset.clone()))
        };
        Ok(Accounts {
            staked: account("staked")?,
            budget: account("staking-rewards")?,
            accrued: account("staking-accrued")?,
        })
    }

    fn contradiction(&self, version: u32) -> Option<&'static str> {
        let days: BTreeSet<u32> = self.terms.iter().map(|term| term.days).collect();
        let of_asset = |account: &AccountKey| *account.asset() == self.asset;
        let EarlyExit { rewards_forfeited_ppm, principal_penalty_ppm, penalty_account } = &self.early_exit;
        if self.version != version {
            Some("its version is another")
        } else if self.days_per_year == 0 || self.ve_days == 0 {
            Some("a year, or the lock of full weight, has no days")
        } else if self.flexible.half_rate_at.is_zero() {
            Some("the flexible rate is never above nothing")
        } else if days.len() != self.terms.len() || days.first() == Some(&0) {
            Some("a lock is offered twice, or has no days")
        } else if *rewards_forfeited_ppm > MILLION || *principal_penalty_ppm > MILLION {
            Some("leaving early costs more than there is")
        } else if !of_asset(penalty_account) || !of_asset(&self.budget_source) {
            Some("an account is in another asset")
        } else {
            None
        }
    }
}

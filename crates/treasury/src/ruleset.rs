use std::{cmp::Reverse, collections::BTreeMap};

use ruint::aliases::U256;
use serde::{Deserialize, Serialize};
use tale_ledger::Asset;
use tale_primitives::{Address, AllocationOverflow, Amount, Digest};

use crate::{Class, PerClass, TreasuryError};

/// A whole, in millionths.
const WHOLE_PPM: u32 = 1_000_000;

/// The published rules by which an epoch is computed. A version never changes once an epoch has used it: another
/// rule is another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ruleset {
    /// Its version; the file is `rulesets/1.json`, and from 2 on `rulesets/<version>/rewards.json`.
    pub version: u32,
    /// What the ledger calls the rewards.
    pub asset: Asset,
    /// How many decimal places the asset's base unit has.
    pub decimals: u8,
    /// The token's address in the claims tree.
    pub token: Address,
    /// The pool that generators are paid from.
    pub generator_pool: GeneratorPool,
    /// How a day's pool is divided among classes; ruleset 1 pays for training alone, without a cap.
    #[serde(default = "training_alone")]
    pub classes: PerClass<ClassRules>,
    /// How long a published root may be disputed before its epoch is final.
    #[serde(default = "a_day")]
    pub dispute_hours: u32,
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

/// The part of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassRules {
    /// Its share of the day's pool, in millionths; those of all classes are a whole.
    pub share_ppm: u32,
    /// The most that one owner may receive of it, in millionths of the class's pool.
    pub cap_ppm: u32,
}

fn training_alone() -> PerClass<ClassRules> {
    let of = |share_ppm| ClassRules { share_ppm, cap_ppm: WHOLE_PPM };
    PerClass { compute: of(0), training: of(WHOLE_PPM), validation: of(0) }
}

const fn a_day() -> u32 {
    24
}

impl Ruleset {
    /// The version that new epochs use.
    pub const CURRENT_VERSION: u32 = 2;

    /// The ruleset with this version.
    pub fn load(version: u32) -> Result<Self, TreasuryError> {
        let text = Self::text(version)?;
        let ruleset: Self = serde_json::from_str(text)
            .map_err(|source| TreasuryError::UnreadableRuleset { version, source })?;
        // A pool that emits nothing, or a division by zero, is a mistake in the file.
        if ruleset.version != version || ruleset.generator_pool.days() == 0 || !ruleset.shares_are_whole() {
            return Err(TreasuryError::ImpossibleRuleset(version));
        }
        ruleset.daily_pool()?;
        Ok(ruleset)
    }

    /// The bytes of this version's file: what its digest is of.
    pub fn text(version: u32) -> Result<&'static str, TreasuryError> {
        match version {
            1 => Ok(include_str!("../rulesets/1.json")),
            2 => Ok(include_str!("../rulesets/2/rewards.json")),
            _ => Err(TreasuryError::UnknownRuleset(version)),
        }
    }

    /// The SHA-256 of this version's file.
    pub fn digest(version: u32) -> Result<Digest, TreasuryError> {
        Self::text(version).map(Digest::of)
    }

    /// Every version of this program.
    pub fn versions() -> impl Iterator<Item = u32> {
        1..=Self::CURRENT_VERSION
    }

    fn shares_are_whole(&self) -> bool {
        let shares: u64 = self.classes.iter().map(|(_, rules)| u64::from(rules.share_ppm)).sum();
        shares == u64::from(WHOLE_PPM) && self.classes.iter().all(|(_, rules)| rules.cap_ppm <= WHOLE_PPM)
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
        Ok(Amount::from_u256(product / U256::from(WHOLE_PPM)))
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

    /// The day's pool, divided among the classes by largest remainder, the first class first where remainders are
    /// equal: the parts add up to the pool.
    pub fn class_pools(&self) -> Result<PerClass<Amount>, TreasuryError> {
        let pool = self.daily_pool()?.to_u256();
        let whole = U256::from(WHOLE_PPM);
        let mut left = pool;
        let mut remainders = Vec::with_capacity(Class::ALL.len());
        let mut pools: PerClass<Amount> = PerClass::of(|class| {
            let product = pool.checked_mul(U256::from(self.classes[class].share_ppm));
            let (base, remainder) =
                product.ok_or(TreasuryError::ImpossibleRuleset(self.version))?.div_rem(whole);
            left -= base;
            remainders.push((Reverse(remainder), class));
            Ok::<_, TreasuryError>(Amount::from_u256(base))
        })?;
        remainders.sort_unstable();
        for (_, class) in remainders {
            if left.is_zero() {
                break;
            }
            pools[class] = Amount::from_u256(pools[class].to_u256() + U256::ONE);
            left -= U256::ONE;
        }
        Ok(pools)
    }

    /// The most that one owner may receive of a class's pool, rounded down.
    pub fn cap(&self, class: Class, pool: Amount) -> Result<Amount, TreasuryError> {
        let product = pool.to_u256().checked_mul(U256::from(self.classes[class].cap_ppm));
        let product = product.ok_or(AllocationOverflow { pool })?;
        Ok(Amount::from_u256(product / U256::from(WHOLE_PPM)))
    }
}

impl GeneratorPool {
    /// How many days emit.
    pub fn days(&self) -> u64 {
        u64::from(self.months) * u64::from(self.days_per_month)
    }
}

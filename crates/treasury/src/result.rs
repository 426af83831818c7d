use std::fmt;

use serde::{Deserialize, Serialize};
use tale_ledger::Asset;
use tale_primitives::{Address, Amount, Digest, UtcDay};

use crate::{
    PerClass, TreasuryError,
    canonical::{LinesHasher, address_text},
    inputs::points_as_text,
};

/// What one owner earned in one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Share {
    /// The signed sum over the owner's generators.
    #[serde(with = "points_as_text")]
    pub points: i64,
    /// The owner's part of the class's pool, in base units.
    pub amount: Amount,
}

/// What one owner earned in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reward {
    /// The beneficial owner.
    pub owner: Address,
    /// By class.
    pub shares: PerClass<Share>,
    /// The sum over the classes, in base units.
    pub gross: Amount,
    /// What of it repays over-payments.
    pub repaid: Amount,
    /// What the owner receives.
    pub net: Amount,
}

/// What of an epoch's earnings repays one over-payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repayment {
    /// The correction that found the over-payment.
    pub correction: String,
    /// Who repays.
    pub owner: Address,
    /// The epoch that had paid too much.
    pub origin: UtcDay,
    /// How much, in base units; never nothing.
    pub amount: Amount,
}

/// The part of a day's pool that one class divides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClassPool {
    /// Its part of the day's pool, in base units.
    pub pool: Amount,
    /// The most that one owner may receive.
    pub cap: Amount,
    /// The sum of all weights.
    pub weight: Amount,
    /// How many owners received the cap.
    pub capped: u64,
    /// What owners received.
    pub paid: Amount,
    /// What nobody may receive.
    pub carried: Amount,
}

/// The result of an epoch, in canonical order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochResult {
    /// The day.
    pub epoch: UtcDay,
    /// The version of the ruleset that computed it.
    pub ruleset: u32,
    /// The digest of that ruleset.
    pub ruleset_digest: Digest,
    /// The digest of the inputs that it follows from.
    pub inputs_digest: Digest,
    /// What the ledger calls the rewards.
    pub asset: Asset,
    /// The token's address in the claims tree.
    pub token: Address,
    /// What the day emits.
    pub pool: Amount,
    /// How it is divided.
    pub classes: PerClass<ClassPool>,
    /// The part that owners earned.
    pub paid: Amount,
    /// What of that repays over-payments.
    pub repaid: Amount,
    /// The part that nobody earned, or may receive.
    pub carried: Amount,
    /// One for each owner that contributed, by address; nothing where its points are not above zero.
    pub rewards: Vec<Reward>,
    /// What was repaid, by owner, origin and correction.
    pub repayments: Vec<Repayment>,
}

impl fmt::Display for Reward {
    /// The canonical line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&address_text(&self.owner))?;
        for (_, Share { points, amount }) in self.shares.iter() {
            write!(f, ",{points},{amount}")?;
        }
        write!(f, ",{},{},{}", self.gross, self.repaid, self.net)
    }
}

impl EpochResult {
    /// The SHA-256 of the canonical form: under ruleset 1 JSON of everything, in the order that it had then; from 2 on
    /// a JSON head with the digests of the lines of rewards and repayments.
    pub fn digest(&self) -> Result<Digest, TreasuryError> {
        self.canonical_head().map(Digest::of)
    }

    /// What the digest is of.
    pub fn canonical_head(&self) -> Result<Vec<u8>, TreasuryError> {
        if self.ruleset == 1 {
            return self.canonical_bytes_of_version_1();
        }
        #[derive(Serialize)]
        struct Head<'a> {
            epoch: UtcDay,
            ruleset: u32,
            ruleset_digest: Digest,
            inputs_digest: Digest,
            asset: &'a Asset,
            token: Address,
            pool: Amount,
            classes: PerClass<ClassPool>,
            paid: Amount,
            repaid: Amount,
            carried: Amount,
            accounts: usize,
            rewards: Digest,
            repayments: Digest,
        }
        let mut rewards = LinesHasher::default();
        for reward in &self.rewards {
            rewards.line(format_args!("{reward}"));
        }
        let mut repayments = LinesHasher::default();
        for Repayment { correction, owner, origin, amount } in &self.repayments {
            let owner = address_text(owner);
            repayments.line(format_args!("{owner},{origin},{correction},{amount}"));
        }
        let head = Head {
            epoch: self.epoch,
            ruleset: self.ruleset,
            ruleset_digest: self.ruleset_digest,
            inputs_digest: self.inputs_digest,
            asset: &self.asset,
            token: self.token,
            pool: self.pool,
            classes: self.classes,
            paid: self.paid,
            repaid: self.repaid,
            carried: self.carried,
            accounts: self.rewards.len(),
            rewards: rewards.finish(),
            repayments: repayments.finish(),
        };
        serde_json::to_vec(&head).map_err(TreasuryError::Canonical)
    }

    fn canonical_bytes_of_version_1(&self) -> Result<Vec<u8>, TreasuryError> {
        #[derive(Serialize)]
        struct Line {
            owner: Address,
            #[serde(with = "points_as_text")]
            points: i64,
            amount: Amount,
        }
        #[derive(Serialize)]
        struct Canonical<'a> {
            epoch: UtcDay,
            ruleset: u32,
            inputs_digest: Digest,
            asset: &'a Asset,
            token: Address,
            pool: Amount,
            paid: Amount,
            carried: Amount,
            rewards: Vec<Line>,
        }
        let line = |reward: &Reward| {
            let Share { points, amount } = reward.shares.training;
            Line { owner: reward.owner, points, amount }
        };
        let canonical = Canonical {
            epoch: self.epoch,
            ruleset: self.ruleset,
            inputs_digest: self.inputs_digest,
            asset: &self.asset,
            token: self.token,
            pool: self.pool,
            paid: self.paid,
            carried: self.carried,
            rewards: self.rewards.iter().map(line).collect(),
        };
        serde_json::to_vec(&canonical).map_err(TreasuryError::Canonical)
    }

    /// The whole result as JSON: what is kept beside the digest. Integers beyond a day's ruleset are decimal text.
    pub fn to_json(&self) -> Result<Vec<u8>, TreasuryError> {
        serde_json::to_vec(self).map_err(TreasuryError::Canonical)
    }

    /// How many owners earned something.
    pub fn paid_accounts(&self) -> usize {
        self.rewards.iter().filter(|reward| !reward.gross.is_zero()).count()
    }
}

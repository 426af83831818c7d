use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tale_ledger::Asset;
use tale_primitives::{Address, Amount, Digest, GeneratorId, UtcDay, allocate};

use crate::{Ruleset, TreasuryError};

/// Points as decimal text in canonical JSON, since programs read larger numbers into floats.
mod points_as_text {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(points: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(points)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// What one generator earned in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    /// The generator.
    pub generator: GeneratorId,
    /// To whom its rewards accrued when the epoch was sealed.
    pub owner: Address,
    /// Signed fixed-point points.
    #[serde(with = "points_as_text")]
    pub points: i64,
}

/// Everything that the result of an epoch follows from, in canonical order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedInputs")]
pub struct SealedInputs {
    epoch: UtcDay,
    ruleset: u32,
    contributions: Vec<Contribution>,
    /// Names of runs, which differ where nothing else does: kept for the record, and out of the digest.
    sources: Vec<String>,
}

/// Inputs as they are written, before it is known that no generator stands twice.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedInputs {
    epoch: UtcDay,
    ruleset: u32,
    contributions: Vec<Contribution>,
    sources: Vec<String>,
}

impl TryFrom<UncheckedInputs> for SealedInputs {
    type Error = TreasuryError;

    fn try_from(inputs: UncheckedInputs) -> Result<Self, TreasuryError> {
        let UncheckedInputs { epoch, ruleset, contributions, sources } = inputs;
        Ok(Self::new(epoch, ruleset, contributions)?.with_sources(sources))
    }
}

impl SealedInputs {
    /// Inputs in canonical order, by generator; a generator may be named once.
    pub fn new(
        epoch: UtcDay,
        ruleset: u32,
        mut contributions: Vec<Contribution>,
    ) -> Result<Self, TreasuryError> {
        contributions.sort_unstable_by_key(|contribution| contribution.generator);
        match contributions.windows(2).find(|pair| pair[0].generator == pair[1].generator) {
            Some(pair) => Err(TreasuryError::GeneratorTwice(pair[0].generator)),
            None => Ok(Self { epoch, ruleset, contributions, sources: Vec::new() }),
        }
    }

    /// The same inputs, settling these recorded batches.
    pub(crate) fn with_sources(self, sources: Vec<String>) -> Self {
        Self { sources, ..self }
    }

    /// The day.
    pub const fn epoch(&self) -> UtcDay {
        self.epoch
    }

    /// The version of the ruleset that computes it.
    pub const fn ruleset(&self) -> u32 {
        self.ruleset
    }

    /// What each generator earned, by generator.
    pub fn contributions(&self) -> &[Contribution] {
        &self.contributions
    }

    /// The recorded batches that these inputs settle.
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// The SHA-256 of epoch, ruleset and contributions as canonical JSON.
    pub fn digest(&self) -> Result<Digest, TreasuryError> {
        #[derive(Serialize)]
        struct Canonical<'a> {
            epoch: UtcDay,
            ruleset: u32,
            contributions: &'a [Contribution],
        }
        let Self { epoch, ruleset, contributions, .. } = self;
        let canonical = Canonical { epoch: *epoch, ruleset: *ruleset, contributions };
        serde_json::to_vec(&canonical).map(Digest::of).map_err(TreasuryError::Canonical)
    }
}

/// What one owner earned in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reward {
    /// The beneficial owner.
    pub owner: Address,
    /// The signed sum over the owner's generators.
    #[serde(with = "points_as_text")]
    pub points: i64,
    /// The owner's share of the pool, in base units.
    pub amount: Amount,
}

/// The result of an epoch, in canonical order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochResult {
    /// The day.
    pub epoch: UtcDay,
    /// The version of the ruleset that computed it.
    pub ruleset: u32,
    /// The digest of the inputs that it follows from.
    pub inputs_digest: Digest,
    /// What the ledger calls the rewards.
    pub asset: Asset,
    /// The token's address in the claims tree.
    pub token: Address,
    /// What the day emits.
    pub pool: Amount,
    /// The part that owners earned.
    pub paid: Amount,
    /// The part that nobody earned.
    pub carried: Amount,
    /// One for each owner that contributed, by address; nothing where its points are not above zero.
    pub rewards: Vec<Reward>,
}

impl EpochResult {
    /// The result as canonical JSON: fields in the order above, no white space, integers beyond a day's ruleset as
    /// decimal text.
    pub fn canonical_bytes(&self) -> Result<Vec<u8>, TreasuryError> {
        serde_json::to_vec(self).map_err(TreasuryError::Canonical)
    }

    /// The SHA-256 of [`EpochResult::canonical_bytes`].
    pub fn digest(&self) -> Result<Digest, TreasuryError> {
        self.canonical_bytes().map(Digest::of)
    }

    /// How many owners earned something.
    pub fn paid_accounts(&self) -> usize {
        self.rewards.iter().filter(|reward| !reward.amount.is_zero()).count()
    }
}

/// Computes an epoch: a pure function of its sealed inputs and the ruleset.
///
/// Points are added up per owner, with their signs, so that harm done by one generator is paid for by the others
/// of its owner; what is then above zero is the owner's weight in the day's pool. Where nobody has a weight the
/// whole pool is carried over.
pub fn compute(inputs: &SealedInputs, ruleset: &Ruleset) -> Result<EpochResult, TreasuryError> {
    if inputs.ruleset != ruleset.version {
        return Err(TreasuryError::RulesetDiffers {
            epoch: inputs.epoch,
            sealed: inputs.ruleset,
            given: ruleset.version,
        });
    }
    let mut points_by_owner: BTreeMap<Address, i64> = BTreeMap::new();
    for contribution in &inputs.contributions {
        let points = points_by_owner.entry(contribution.owner).or_default();
        *points = points
            .checked_add(contribution.points)
            .ok_or(TreasuryError::PointsOverflow { epoch: inputs.epoch })?;
    }
    let weights: Vec<(Address, u128)> = points_by_owner
        .iter()
        .map(|(owner, points)| (*owner, u128::try_from(*points).unwrap_or(0)))
        .collect();
    let pool = ruleset.daily_pool()?;
    let allocation = allocate(pool, &weights)?;
    let paid = pool.checked_sub(allocation.carried).unwrap_or_default();
    let rewards = allocation
        .shares
        .into_iter()
        .zip(points_by_owner)
        .map(|((owner, amount), (_, points))| Reward { owner, points, amount })
        .collect();
    Ok(EpochResult {
        epoch: inputs.epoch,
        ruleset: ruleset.version,
        inputs_digest: inputs.digest()?,
        asset: ruleset.asset.clone(),
        token: ruleset.token,
        pool,
        paid,
        carried: allocation.carried,
        rewards,
    })
}

use serde::{Deserialize, Serialize};
use tale_primitives::{Address, Amount, Digest, GeneratorId, UtcDay};

use crate::{
    Class, TreasuryError,
    canonical::{LinesHasher, address_text},
};

/// Points as decimal text in canonical JSON, since programs read larger numbers into floats.
pub(crate) mod points_as_text {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(points: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(points)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// What one generator earned in one class on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    /// The generator.
    pub generator: GeneratorId,
    /// What it is paid for.
    pub class: Class,
    /// When it was earned: the epoch's day, or an earlier one where it came late.
    pub origin: UtcDay,
    /// To whom its rewards accrued when the epoch was sealed.
    pub owner: Address,
    /// Signed fixed-point points.
    #[serde(with = "points_as_text")]
    pub points: i64,
}

/// An over-payment that its owner has not repaid.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OpenReceivable {
    /// Who owes it.
    pub owner: Address,
    /// The epoch that paid too much.
    pub origin: UtcDay,
    /// The correction that found it.
    pub correction: String,
    /// What earlier epochs have not repaid, in base units.
    pub outstanding: Amount,
}

/// Everything that the result of an epoch follows from, in canonical order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedInputs")]
pub struct SealedInputs {
    epoch: UtcDay,
    ruleset: u32,
    contributions: Vec<Contribution>,
    receivables: Vec<OpenReceivable>,
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
    receivables: Vec<OpenReceivable>,
    sources: Vec<String>,
}

impl TryFrom<UncheckedInputs> for SealedInputs {
    type Error = TreasuryError;

    fn try_from(inputs: UncheckedInputs) -> Result<Self, TreasuryError> {
        let UncheckedInputs { epoch, ruleset, contributions, receivables, sources } = inputs;
        Ok(Self::new(epoch, ruleset, contributions)?.with_receivables(receivables).with_sources(sources))
    }
}

impl SealedInputs {
    /// Inputs in canonical order: by class, generator and origin, each of which may be named once.
    pub fn new(
        epoch: UtcDay,
        ruleset: u32,
        mut contributions: Vec<Contribution>,
    ) -> Result<Self, TreasuryError> {
        let key = |one: &Contribution| (one.class, one.generator, one.origin);
        contributions.sort_unstable_by_key(key);
        // Ruleset 1 adds up all that a generator earned, whenever it did.
        let same = |pair: &&[Contribution]| match ruleset {
            1 => pair[0].generator == pair[1].generator,
            _ => key(&pair[0]) == key(&pair[1]),
        };
        if let Some(pair) = contributions.windows(2).find(same) {
            return Err(TreasuryError::GeneratorTwice(pair[0].generator));
        }
        if let Some(early) = contributions.iter().find(|one| one.origin > epoch) {
            return Err(TreasuryError::FromTheFuture { epoch, origin: early.origin });
        }
        Ok(Self { epoch, ruleset, contributions, receivables: Vec::new(), sources: Vec::new() })
    }

    /// The same inputs with these over-payments to repay, in canonical order: by owner, origin and correction.
    #[must_use]
    pub fn with_receivables(self, mut receivables: Vec<OpenReceivable>) -> Self {
        receivables.sort_unstable();
        Self { receivables, ..self }
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

    /// What each generator earned, by class, generator and origin.
    pub fn contributions(&self) -> &[Contribution] {
        &self.contributions
    }

    /// The lines that correct earlier days: what came late, by the day from which it comes.
    pub fn corrections(&self) -> impl Iterator<Item = &Contribution> {
        self.contributions.iter().filter(|one| one.origin != self.epoch)
    }

    /// The over-payments to repay, by owner, origin and correction.
    pub fn receivables(&self) -> &[OpenReceivable] {
        &self.receivables
    }

    /// The recorded batches that these inputs settle.
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// The SHA-256 of the canonical form: epoch, ruleset and contributions as JSON under ruleset 1; from 2 on a JSON
    /// head with the digests of the lines of contributions and receivables.
    pub fn digest(&self) -> Result<Digest, TreasuryError> {
        if self.ruleset == 1 {
            return self.digest_of_version_1();
        }
        #[derive(Serialize)]
        struct Canonical {
            epoch: UtcDay,
            ruleset: u32,
            contributions: Digest,
            receivables: Digest,
        }
        let mut contributions = LinesHasher::default();
        for Contribution { generator, class, origin, owner, points } in &self.contributions {
            let owner = address_text(owner);
            contributions.line(format_args!("{class},{generator},{origin},{owner},{points}"));
        }
        let mut receivables = LinesHasher::default();
        for OpenReceivable { owner, origin, correction, outstanding } in &self.receivables {
            let owner = address_text(owner);
            receivables.line(format_args!("{owner},{origin},{correction},{outstanding}"));
        }
        let canonical = Canonical {
            epoch: self.epoch,
            ruleset: self.ruleset,
            contributions: contributions.finish(),
            receivables: receivables.finish(),
        };
        serde_json::to_vec(&canonical).map(Digest::of).map_err(TreasuryError::Canonical)
    }

    fn digest_of_version_1(&self) -> Result<Digest, TreasuryError> {
        #[derive(Serialize)]
        struct Line {
            generator: GeneratorId,
            owner: Address,
            #[serde(with = "points_as_text")]
            points: i64,
        }
        #[derive(Serialize)]
        struct Canonical {
            epoch: UtcDay,
            ruleset: u32,
            contributions: Vec<Line>,
        }
        let line =
            |one: &Contribution| Line { generator: one.generator, owner: one.owner, points: one.points };
        let canonical = Canonical {
            epoch: self.epoch,
            ruleset: self.ruleset,
            contributions: self.contributions.iter().map(line).collect(),
        };
        serde_json::to_vec(&canonical).map(Digest::of).map_err(TreasuryError::Canonical)
    }
}

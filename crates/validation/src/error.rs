//! What the protocol refuses.

use tale_primitives::{Digest, GeneratorId};

/// Why a score, a decision or a piece of evidence is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValidationError {
    /// Losses of different rows, or of none, were compared.
    #[error("losses of the same rows, at least one, can be compared, not of {before} and {after}")]
    RowsDiffer {
        /// Losses before, or without the update.
        before: usize,
        /// Losses after, or with it.
        after: usize,
    },
    /// A validator is listed, or reports, twice.
    #[error("validator {0} appears twice")]
    RepeatedValidator(GeneratorId),
    /// A report from outside the panel.
    #[error("validator {0} is not on this round's panel")]
    StrangeValidator(GeneratorId),
    /// A validator judges one update twice.
    #[error("validator {0} judges the update of {1} twice")]
    RepeatedFinding(GeneratorId, GeneratorId),
    /// Reports on different models.
    #[error("reports on different base models: {0} and {1}")]
    BasesDiffer(Digest, Digest),
    /// A round that is recorded already, with other evidence.
    #[error("round {round} of {lineage} is recorded already, with other evidence")]
    RoundDiffers {
        /// The training that the round belongs to.
        lineage: String,
        /// The round, from 1.
        round: u32,
    },
    /// Contributions of a round that are recorded already, with other points.
    #[error("the contributions of round {round} of {lineage} are recorded already, with other points")]
    ContributionsDiffer {
        /// The training that the round belongs to.
        lineage: String,
        /// The round, from 1.
        round: u32,
    },
    /// A round that does not exist.
    #[error("there is no round {round} of {lineage}")]
    NoSuchRound {
        /// The training that was asked for.
        lineage: String,
        /// The round, from 1.
        round: u32,
    },
    /// Stored evidence that this version cannot read.
    #[error("the evidence of round {round} of {lineage} cannot be read")]
    Unreadable {
        /// The training that the round belongs to.
        lineage: String,
        /// The round, from 1.
        round: u32,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A stored digest that is none.
    #[error("a stored digest has {0} bytes instead of 32")]
    DigestLength(usize),
    /// The database failed.
    #[error("the evidence tables could not be used")]
    Database(#[from] sqlx::Error),
}

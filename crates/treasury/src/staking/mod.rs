//! Staking: flexible at a rate that falls as more is staked, or locked for a term at a fixed rate.

mod accrual;
mod arithmetic;
mod budget;
mod leaving;
mod position;
mod rules;
mod status;

pub use accrual::{Accrued, StakingDay, accrue_staking};
pub use arithmetic::{EarlySettlement, daily_reward, early_settlement, ve_weight};
pub use budget::fund_staking;
pub use leaving::{Leaving, Left, unstake};
pub use position::{
    NewStake, Position, PositionFilter, PositionId, PositionState, Staked, find_position, list_positions,
    stake,
};
pub use rules::{EarlyExit, FlexibleRate, StakingRules, Term};
pub use status::{StakingStatus, staking_status};

use tale_primitives::{Amount, UtcDay};

/// Why staking refused something.
#[derive(Debug, thiserror::Error)]
pub enum StakingError {
    /// The rules contradict themselves.
    #[error("the staking rules of ruleset {version} are impossible: {reason}")]
    ImpossibleRules {
        /// The ruleset's version.
        version: u32,
        /// What is wrong with them.
        reason: String,
    },
    /// A key that is empty or longer than is kept.
    #[error("the key of a stake has 1 to 100 characters, this one has {0}")]
    KeyLength(usize),
    /// The key belongs to another stake: a mistake of the caller, never a repetition.
    #[error("position {position} has the key {key} with another owner, amount or term")]
    KeyReused {
        /// The key.
        key: String,
        /// The position that has it.
        position: PositionId,
    },
    /// A stake below the least.
    #[error("a stake is at least {minimum} base units, this one has {given}")]
    BelowMinimum {
        /// The least, in base units.
        minimum: Amount,
        /// What was given.
        given: Amount,
    },
    /// A lock that the rules do not offer.
    #[error("there is no lock of {given} days")]
    UnknownTerm {
        /// What was given.
        given: u32,
    },
    /// No position has this id.
    #[error("there is no position {0}")]
    UnknownPosition(PositionId),
    /// A lock that is not over.
    #[error("position {position} is locked up to and including {matures_day}")]
    Locked {
        /// The position.
        position: PositionId,
        /// The last day of its lock.
        matures_day: UtcDay,
    },
    /// A day for which rewards were paid cannot change any more.
    #[error("{day} comes too late: rewards have accrued up to and including {accrued}")]
    DayAccrued {
        /// The day.
        day: UtcDay,
        /// The last day that accrued.
        accrued: UtcDay,
    },
    /// A position is left after it was opened.
    #[error("position {position} was opened on {opened}, after {day}")]
    BeforeOpening {
        /// The position.
        position: PositionId,
        /// When it was opened.
        opened: UtcDay,
        /// The day on which it was to be left.
        day: UtcDay,
    },
    /// Rewards accrue for days that are over.
    #[error("{day} is not over: today is {today}")]
    DayNotOver {
        /// The day.
        day: UtcDay,
        /// The database's day.
        today: UtcDay,
    },
    /// A product or sum beyond 256 bits.
    #[error("staking takes numbers beyond 256 bits")]
    Overflow,
}

//! The vesting table: nine pools, each with a part that is unlocked at the start, a cliff, and monthly parts.

mod release;
mod rules;
mod schedule;

pub use release::{PoolStatus, PostedRelease, Vested, VestingStatus, post_due_releases, vesting_status};
pub use rules::{MonthlyParts, VestingPool, VestingRules};
pub use schedule::{Calendar, Part, Release, Terms, parts};

use tale_primitives::UtcDay;

/// Why a release was refused.
#[derive(Debug, thiserror::Error)]
pub enum VestingError {
    /// The table contradicts itself.
    #[error("the vesting table of ruleset {version} is impossible: {reason}")]
    ImpossibleTable {
        /// The ruleset's version.
        version: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// No pool has this name.
    #[error("there is no vesting pool {0}")]
    UnknownPool(String),
    /// A part would be due after the last day that can be written.
    #[error("a part that follows {start} by {months} months is beyond the calendar")]
    BeyondCalendar {
        /// The first day.
        start: UtcDay,
        /// How many months later the part is due.
        months: u32,
    },
    /// What was posted is not what the table says.
    #[error("release {number} of {pool} was posted as another one than the table has")]
    OtherRelease {
        /// The pool.
        pool: String,
        /// The release.
        number: u32,
    },
}

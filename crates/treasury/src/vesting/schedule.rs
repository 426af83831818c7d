use chrono::{Days, Months};
use serde::{Deserialize, Serialize};
use tale_primitives::{Amount, Name, UtcDay};

use super::{VestingError, VestingPool, VestingRules};
use crate::TreasuryError;

/// What a month is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calendar {
    /// The same day of a later month, or that month's last day where it is shorter. Each part is counted from the
    /// first day, so that one short month does not pull the later parts forward: 31 January, 28 February, 31 March.
    Months,
    /// Thirty days.
    ThirtyDays,
}

/// How one allocation is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Everything, in base units.
    pub allocation: Amount,
    /// The part of it that is released on the first day; never more than the allocation.
    pub unlocked: Amount,
    /// For how many months nothing follows.
    pub cliff_months: u32,
    /// Over how many months the rest is released; 0 where there is no rest.
    pub months: u32,
}

/// One part of an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Part {
    /// 0 for what is unlocked on the first day, then 1, 2, 3 … for the months.
    pub number: u32,
    /// From when on it is released.
    pub day: UtcDay,
    /// How much, in base units; never nothing.
    pub amount: Amount,
    /// Everything up to and including this part.
    pub cumulative: Amount,
}

/// One part of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Release {
    /// The pool.
    pub pool: Name,
    /// Which part of it, when, and how much.
    #[serde(flatten)]
    pub part: Part,
}

impl Calendar {
    /// The day that lies so many months after `start`.
    pub fn months_after(self, start: UtcDay, months: u32) -> Option<UtcDay> {
        let date = match self {
            Self::Months => start.date().checked_add_months(Months::new(months)),
            Self::ThirtyDays => start.date().checked_add_days(Days::new(30 * u64::from(months))),
        };
        date.map(UtcDay::from_date)
    }
}

/// The parts of an allocation that vests from `start` on, in their order. They add up to it exactly.
///
/// The part k of n follows one month after part k − 1, and the first one month after the end of the cliff. With R
/// what the first day leaves, the parts 1 to k add up to `R·k div n`: rounding is never lost, it moves to a later
/// part. A part that comes to nothing is left out, and its number with it.
pub fn parts(terms: &Terms, calendar: Calendar, start: UtcDay) -> Result<Vec<Part>, VestingError> {
    let rest = terms.allocation.checked_sub(terms.unlocked).unwrap_or_default();
    let mut parts = Vec::with_capacity(terms.months as usize + 1);
    let mut cumulative = Amount::ZERO;
    for number in 0..=terms.months {
        let reached = terms.unlocked.checked_add(share(rest, number, terms.months)).unwrap_or(Amount::MAX);
        let amount = reached.checked_sub(cumulative).unwrap_or_default();
        if amount.is_zero() {
            continue;
        }
        cumulative = reached;
        let months = match number {
            0 => 0,
            number => terms.cliff_months.saturating_add(number),
        };
        let day =
            calendar.months_after(start, months).ok_or(VestingError::BeyondCalendar { start, months })?;
        parts.push(Part { number, day, amount, cumulative });
    }
    Ok(parts)
}

/// `rest·number div months`, without the product, which may need more than 256 bits.
fn share(rest: Amount, number: u32, months: u32) -> Amount {
    if months == 0 {
        return Amount::ZERO;
    }
    let (number, months) =
        (Amount::from(u64::from(number)).to_u256(), Amount::from(u64::from(months)).to_u256());
    let (quotient, remainder) = rest.to_u256().div_rem(months);
    // At most `rest`, and a product of two numbers of 32 bits.
    Amount::from_u256(quotient * number + remainder * number / months)
}

impl VestingRules {
    /// The releases of one pool, in their order.
    pub fn schedule(&self, pool: &VestingPool, start: UtcDay) -> Result<Vec<Release>, TreasuryError> {
        let parts = parts(&self.terms(pool), self.calendar, start)?;
        Ok(parts.into_iter().map(|part| Release { pool: pool.name.clone(), part }).collect())
    }
}

use sqlx::{Connection, PgConnection};
use tale_ledger::{AccountKey, Entry, NewJournal, post_journal};
use tale_primitives::{Amount, UtcDay};

use super::{
    EarlySettlement, Position, PositionId, PositionState, StakingError, StakingRules,
    accrual::{accrue_locked, day_before, lock_staking, refuse_accrued},
    early_settlement, find_position,
};
use crate::{TreasuryError, token_start::refuse_future};

/// How a position is to be left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaving {
    /// The position.
    pub position: PositionId,
    /// The UTC day on which it is left. It earns for the days before.
    pub day: UtcDay,
    /// Whether to pay the penalty where its lock is not over; without, such a lock is [`StakingError::Locked`].
    pub early: bool,
}

/// The answer to leaving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The position, ended.
    pub position: Position,
    /// Whether this call ended it.
    pub changed: bool,
}

/// Ends a position: principal and rewards go to its holder, less what leaving early costs.
///
/// Whatever accrues up to the day before does so first, so that nobody loses a day to a night that is late. Leaving
/// again changes nothing.
pub async fn unstake(conn: &mut PgConnection, leaving: &Leaving) -> Result<Left, TreasuryError> {
    let Leaving { position: id, day, early } = *leaving;
    let unknown = StakingError::UnknownPosition(id);
    let mut transaction = conn.begin().await?;
    lock_staking(&mut transaction).await?;
    let Some(position) = find_position(&mut transaction, id).await? else { return Err(unknown.into()) };
    if position.state.is_ended() {
        return Ok(Left { position, changed: false });
    }
    if day < position.opened_day {
        let opened = position.opened_day;
        return Err(StakingError::BeforeOpening { position: id, opened, day }.into());
    }
    refuse_future(&mut transaction, day).await?;
    if let Some(before) = day_before(day) {
        accrue_locked(&mut transaction, before).await?;
    }
    refuse_accrued(&mut transaction, day).await?;

    // Accruing may have ended its lock.
    let Some(position) = find_position(&mut transaction, id).await? else { return Err(unknown.into()) };
    let rules = StakingRules::load(position.ruleset)?;
    let ending = Ending::of(&rules, &position, early)?;
    let journal = ending.journal(&rules, &position, day)?;
    let posted = post_journal(&mut transaction, &journal).await?;
    sqlx::query_file!(
        "../../sql/treasury/set_staking_position_ended.sql",
        id.raw(),
        ending.state.as_str(),
        day.date(),
        position.accrued.to_string(),
        ending.settlement.returned.to_string(),
        ending.settlement.penalty.to_string(),
        ending.settlement.forfeited.to_string(),
        posted.journal_id.raw()
    )
    .execute(&mut *transaction)
    .await?;
    let position = find_position(&mut transaction, id).await?.ok_or(unknown)?;
    transaction.commit().await?;
    Ok(Left { position, changed: true })
}

/// What becomes of a position.
struct Ending {
    state: PositionState,
    settlement: EarlySettlement,
}

impl Ending {
    fn of(rules: &StakingRules, position: &Position, early: bool) -> Result<Self, TreasuryError> {
        let Position { principal, accrued, .. } = position;
        match position.matures_day {
            Some(matures_day) if position.state == PositionState::Open => {
                if !early {
                    return Err(StakingError::Locked { position: position.id, matures_day }.into());
                }
                let settlement = early_settlement(&rules.early_exit, *principal, *accrued)?;
                Ok(Self { state: PositionState::ExitedEarly, settlement })
            }
            _ => {
                let returned = principal.checked_add(*accrued).ok_or(StakingError::Overflow)?;
                let settlement = EarlySettlement { returned, penalty: Amount::ZERO, forfeited: Amount::ZERO };
                Ok(Self { state: PositionState::Closed, settlement })
            }
        }
    }

    fn journal(
        &self,
        rules: &StakingRules,
        position: &Position,
        day: UtcDay,
    ) -> Result<NewJournal, TreasuryError> {
        let Position { id, owner, principal, accrued, .. } = position;
        let EarlySettlement { returned, penalty, forfeited } = self.settlement;
        let accounts = rules.accounts()?;
        let entries = [
            Entry::debit(accounts.staked, *principal),
            Entry::debit(accounts.accrued, *accrued),
            Entry::credit(AccountKey::holder(*owner, &rules.asset), returned),
            Entry::credit(rules.early_exit.penalty_account.clone(), penalty),
            Entry::credit(accounts.budget, forfeited),
        ];
        let how = match self.state {
            PositionState::ExitedEarly => "is left early",
            _ => "ends",
        };
        Ok(NewJournal {
            key: format!("staking/{}/{id}/end", rules.asset),
            epoch: Some(day),
            description: format!("position {id} {how}"),
            entries: entries.into_iter().filter(|entry| !entry.amount.is_zero()).collect(),
        })
    }
}

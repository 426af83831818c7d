//! The sale's reconciler: it looks at the clock and does what is due.

use chrono::TimeDelta;
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tale_ledger::post_journal;
use tale_primitives::Amount;

use super::{
    RoundState, SaleError, SaleRules, Unsold,
    buying::expire,
    money,
    round::{SaleRound, clock, lock_round, lock_rounds},
};
use crate::{FeeSchedule, IncomeKind};

/// What a reconciliation found to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reconciled {
    /// Reservations that were not paid in time.
    pub expired: u64,
    /// Rounds whose unsold licences were passed on.
    pub closed: Vec<u32>,
    /// Rounds that became income.
    pub settled: Vec<u32>,
}

/// Expires reservations that were not paid in time, closes rounds that have ended, passes on what they did not sell,
/// and turns what they earned into income once it can be refunded no more. Doing it again changes nothing.
pub async fn reconcile_sales(conn: &mut PgConnection) -> Result<Reconciled, SaleError> {
    let mut transaction = conn.begin().await?;
    let mut done = Reconciled::default();
    let rounds = lock_rounds(&mut transaction).await?;
    let now = clock(&mut transaction).await?;
    for round in &rounds {
        done.expired += expire(&mut transaction, round, now).await?;
        if round.state == RoundState::Ended {
            close(&mut transaction, round.round).await?;
            done.closed.push(round.round);
        }
        let Some(closes_at) = round.closes_at.filter(|_| is_over(round.state)) else { continue };
        let rules = SaleRules::load(round.ruleset)?;
        if now >= closes_at + TimeDelta::hours(i64::from(rules.refund_hours)) {
            settle(&mut transaction, round, &rules).await?;
            done.settled.push(round.round);
        }
    }
    transaction.commit().await?;
    Ok(done)
}

fn is_over(state: RoundState) -> bool {
    matches!(state, RoundState::Ended | RoundState::Closed)
}

async fn close(conn: &mut PgConnection, number: u32) -> Result<(), SaleError> {
    // Again, since what expired or was rolled in is its own once more.
    let (round, now) = lock_round(conn, number).await?;
    let next = number + 1;
    let has_next = SaleRules::load(round.ruleset)?.rounds.iter().any(|it| it.round == next);
    let rolled_out = match SaleRules::load(round.ruleset)?.unsold {
        Unsold::NextRound if has_next => round.left(),
        Unsold::NextRound | Unsold::Withheld => 0,
    };
    sqlx::query_file!("../../sql/monetization/close_sale_round.sql", number as i32, now, rolled_out as i32)
        .execute(&mut *conn)
        .await?;
    if rolled_out > 0 {
        sqlx::query_file!("../../sql/monetization/roll_into_sale_round.sql", next as i32, rolled_out as i32)
            .execute(conn)
            .await?;
    }
    Ok(())
}

async fn settle(conn: &mut PgConnection, round: &SaleRound, rules: &SaleRules) -> Result<(), SaleError> {
    let cents = sqlx::query_file_scalar!("../../sql/monetization/sum_round_payments.sql", round.round as i32)
        .fetch_one(&mut *conn)
        .await?;
    let earned: Amount = cents
        .parse()
        .map_err(|_| SaleError::CorruptRow { table: "purchase", row: format!("round {}", round.round) })?;
    if !earned.is_zero() {
        let schedule =
            FeeSchedule::load(round.ruleset).map_err(|_| SaleError::UnknownRules(round.ruleset))?;
        let fee = schedule.fee_of(IncomeKind::LicenceSales, earned);
        post_journal(conn, &money::proceeds(round.round, earned, fee, rules)?).await?;
    }
    let now = clock(conn).await?;
    sqlx::query_file!("../../sql/monetization/settle_sale_round.sql", round.round as i32, now)
        .execute(conn)
        .await?;
    Ok(())
}

//! Rounds of the sale: when they sell, and what they have left.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection};

use super::{SaleError, SaleRules, Tier};
use crate::CURRENT_RULESET;

/// A round of the sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SaleRound {
    /// Its number.
    pub round: u32,
    /// How far it has come.
    pub state: RoundState,
    /// The version of the rules that it follows.
    pub ruleset: u32,
    /// How many licences it sells: its own and those that the round before had left.
    pub supply: u32,
    /// How many of these the round before had left.
    pub rolled_in: u32,
    /// How many of its own went to the next round.
    pub rolled_out: u32,
    /// Licences of purchases that are not paid yet.
    pub reserved: u32,
    /// Licences of paid purchases.
    pub sold: u32,
    /// What one costs, in cents.
    pub price_cents: u64,
    /// The lowest tier that may buy.
    pub least_tier: Tier,
    /// How many one buyer may have.
    pub buyer_max: u32,
    /// From when on it sells.
    pub opens_at: Option<DateTime<Utc>>,
    /// Until when it sells.
    pub closes_at: Option<DateTime<Utc>>,
}

/// How far a round has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoundState {
    /// It has no times yet.
    Unscheduled,
    /// It opens later.
    Scheduled,
    /// It sells.
    Open,
    /// It sells no more, and its unsold licences are still its own.
    Ended,
    /// Its unsold licences were passed on.
    Closed,
    /// What it earned is income.
    Settled,
}

impl RoundState {
    /// The state as it is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unscheduled => "unscheduled",
            Self::Scheduled => "scheduled",
            Self::Open => "open",
            Self::Ended => "ended",
            Self::Closed => "closed",
            Self::Settled => "settled",
        }
    }
}

impl SaleRound {
    /// How many licences can still be reserved.
    pub const fn left(&self) -> u32 {
        self.supply.saturating_sub(self.reserved + self.sold + self.rolled_out)
    }

    /// Fails unless the round sells now.
    pub(crate) fn need_open(&self) -> Result<DateTime<Utc>, SaleError> {
        match (self.state, self.closes_at) {
            (RoundState::Open, Some(closes_at)) => Ok(closes_at),
            _ => Err(SaleError::RoundNotOpen {
                round: self.round,
                opens_at: self.opens_at,
                closes_at: self.closes_at,
            }),
        }
    }
}

/// Every round, by number, as the current rules have them; the first call makes their rows.
pub async fn sale_rounds(conn: &mut PgConnection) -> Result<Vec<SaleRound>, SaleError> {
    insert_rounds(conn, &SaleRules::load(CURRENT_RULESET)?).await?;
    let now = clock(conn).await?;
    sqlx::query_file_as!(RoundRow, "../../sql/monetization/list_sale_rounds.sql")
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(|row| row.at(now))
        .collect()
}

/// Says when a round sells: from `opens_at` to before `closes_at`, and not while another one does.
///
/// The same times again change nothing, and a round that has begun keeps its times. Tells whether something changed.
pub async fn schedule_round(
    conn: &mut PgConnection,
    round: u32,
    opens_at: DateTime<Utc>,
    closes_at: DateTime<Utc>,
) -> Result<bool, SaleError> {
    if opens_at >= closes_at {
        return Err(SaleError::RoundEndsFirst { round, opens_at, closes_at });
    }
    let mut transaction = conn.begin().await?;
    insert_rounds(&mut transaction, &SaleRules::load(CURRENT_RULESET)?).await?;
    // All of them, so that two calls cannot make rounds overlap.
    let rounds = lock_rounds(&mut transaction).await?;
    let this = rounds.iter().find(|it| it.round == round).ok_or(SaleError::UnknownRound(round))?;
    if (this.opens_at, this.closes_at) == (Some(opens_at), Some(closes_at)) {
        return Ok(false);
    }
    if let Some(opens_at) = this.opens_at.filter(|_| this.state != RoundState::Scheduled) {
        return Err(SaleError::RoundHasBegun { round, opens_at });
    }
    for other in rounds.iter().filter(|it| it.round != round) {
        let Some((opens, closes)) = other.opens_at.zip(other.closes_at) else { continue };
        let is_in_order = if other.round < round { closes <= opens_at } else { closes_at <= opens };
        if !is_in_order {
            let (opens_at, closes_at) = (opens, closes);
            return Err(SaleError::RoundsOverlap { round, other: other.round, opens_at, closes_at });
        }
    }
    sqlx::query_file!("../../sql/monetization/schedule_sale_round.sql", round as i32, opens_at, closes_at)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(true)
}

async fn insert_rounds(conn: &mut PgConnection, rules: &SaleRules) -> Result<(), SaleError> {
    let column = |of: &dyn Fn(&super::RoundRules) -> u32| -> Vec<i32> {
        rules.rounds.iter().map(|round| of(round) as i32).collect()
    };
    let prices: Vec<i64> = rules.rounds.iter().map(|round| i64::from(round.price_cents)).collect();
    let tiers: Vec<String> = rules.rounds.iter().map(|round| round.least_tier.to_string()).collect();
    sqlx::query_file!(
        "../../sql/monetization/insert_sale_rounds.sql",
        rules.version as i32,
        &column(&|round| round.round),
        &column(&|round| round.supply),
        &prices,
        &tiers,
        &column(&|round| round.buyer_max)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The time of the database, whose clock alone counts.
pub(crate) async fn clock(conn: &mut PgConnection) -> Result<DateTime<Utc>, SaleError> {
    Ok(sqlx::query_file_scalar!("../../sql/monetization/read_sale_clock.sql").fetch_one(conn).await?)
}

/// A round that nobody else moves until the transaction ends, and the time at which it was locked.
pub(crate) async fn lock_round(
    conn: &mut PgConnection,
    round: u32,
) -> Result<(SaleRound, DateTime<Utc>), SaleError> {
    let number = i32::try_from(round).map_err(|_| SaleError::UnknownRound(round))?;
    let row = sqlx::query_file_as!(RoundRow, "../../sql/monetization/lock_sale_round.sql", number)
        .fetch_optional(&mut *conn)
        .await?
        .ok_or(SaleError::UnknownRound(round))?;
    let now = clock(conn).await?;
    Ok((row.at(now)?, now))
}

pub(crate) async fn lock_rounds(conn: &mut PgConnection) -> Result<Vec<SaleRound>, SaleError> {
    let rows = sqlx::query_file_as!(RoundRow, "../../sql/monetization/lock_sale_rounds.sql")
        .fetch_all(&mut *conn)
        .await?;
    let now = clock(conn).await?;
    rows.into_iter().map(|row| row.at(now)).collect()
}

struct RoundRow {
    round: i32,
    ruleset: i32,
    supply: i32,
    rolled_in: i32,
    rolled_out: i32,
    reserved: i32,
    sold: i32,
    price_cents: i64,
    least_tier: String,
    buyer_max: i32,
    opens_at: Option<DateTime<Utc>>,
    closes_at: Option<DateTime<Utc>>,
    closed_at: Option<DateTime<Utc>>,
    settled_at: Option<DateTime<Utc>>,
}

impl RoundRow {
    /// The round as it is at this time.
    fn at(self, now: DateTime<Utc>) -> Result<SaleRound, SaleError> {
        let corrupt = || SaleError::CorruptRow { table: "sale_round", row: self.round.to_string() };
        let count = |number: i32| u32::try_from(number).map_err(|_| corrupt());
        let state = match (self.settled_at, self.closed_at, self.opens_at, self.closes_at) {
            (Some(_), ..) => RoundState::Settled,
            (_, Some(_), ..) => RoundState::Closed,
            (.., Some(opens_at), _) if now < opens_at => RoundState::Scheduled,
            (.., Some(_), Some(closes_at)) if now < closes_at => RoundState::Open,
            (.., Some(_), Some(_)) => RoundState::Ended,
            _ => RoundState::Unscheduled,
        };
        Ok(SaleRound {
            round: count(self.round)?,
            state,
            ruleset: count(self.ruleset)?,
            supply: count(self.supply)?.saturating_add(count(self.rolled_in)?),
            rolled_in: count(self.rolled_in)?,
            rolled_out: count(self.rolled_out)?,
            reserved: count(self.reserved)?,
            sold: count(self.sold)?,
            price_cents: self.price_cents.try_into().map_err(|_| corrupt())?,
            least_tier: self.least_tier.parse()?,
            buyer_max: count(self.buyer_max)?,
            opens_at: self.opens_at,
            closes_at: self.closes_at,
        })
    }
}

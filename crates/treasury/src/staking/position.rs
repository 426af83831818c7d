use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection};
use tale_ledger::{AccountKey, Entry, JournalId, NewJournal, post_journal};
use tale_primitives::{Address, Amount, UtcDay};

use super::{StakingError, StakingRules, accrual::lock_staking, accrual::refuse_accrued};
use crate::{TreasuryError, token_start::refuse_future};

/// One position of one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PositionId(i64);

/// How far a position has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionState {
    /// It earns.
    Open,
    /// Its lock is over; it earns nothing more and waits to be taken out.
    Matured,
    /// Its owner left before the end of its lock.
    ExitedEarly,
    /// It was taken out.
    Closed,
}

/// A stake to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStake {
    /// The idempotency key: staking again under it is the first stake.
    pub key: String,
    /// Whose it is.
    pub owner: Address,
    /// How much, in base units.
    pub amount: Amount,
    /// For how many days it is locked; nothing for a flexible one.
    pub term_days: Option<u32>,
    /// The UTC day on which it is opened. It earns from the day after on.
    pub day: UtcDay,
}

/// The answer to a stake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staked {
    /// The position.
    pub position: Position,
    /// Whether this call opened it.
    pub changed: bool,
}

/// A stake and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Position {
    /// Its id.
    pub id: PositionId,
    /// The key under which it was opened.
    pub key: String,
    /// Whose it is.
    pub owner: Address,
    /// How far it has come.
    pub state: PositionState,
    /// The version of the ruleset by which it was opened, and by which it is left.
    pub ruleset: u32,
    /// For how many days it is locked; nothing for a flexible one.
    pub term_days: Option<u32>,
    /// Its fixed rate, in millionths a year; nothing for a flexible one.
    pub rate_ppm: Option<u32>,
    /// What was staked, in base units.
    pub principal: Amount,
    /// What has accrued to it so far.
    pub accrued: Amount,
    /// The day on which it was opened.
    pub opened_day: UtcDay,
    /// The last day of its lock.
    pub matures_day: Option<UtcDay>,
    /// The day on which it ended.
    pub ended_day: Option<UtcDay>,
    /// What its owner got when it ended.
    pub returned: Option<Amount>,
    /// The part of the principal that leaving early cost.
    pub penalty: Option<Amount>,
    /// The part of the rewards that leaving early cost.
    pub forfeited: Option<Amount>,
    /// The journal that ended it.
    pub journal_id: Option<JournalId>,
    /// When it was recorded.
    pub opened_at: DateTime<Utc>,
}

/// Which positions to list; the default lists all.
#[derive(Debug, Clone, Copy, Default)]
pub struct PositionFilter {
    /// Those of this owner alone.
    pub owner: Option<Address>,
    /// Those in this state alone.
    pub state: Option<PositionState>,
}

/// The most characters in the key of a stake.
const KEY_LENGTH_MAX: usize = 100;

/// Opens a position: the principal moves from the holder's account to the staking account.
///
/// Staking the same again under one key changes nothing; another owner, amount or term under it is
/// [`StakingError::KeyReused`]. A day that has accrued already, or has not come, is refused.
pub async fn stake(conn: &mut PgConnection, new: &NewStake) -> Result<Staked, TreasuryError> {
    let rules = StakingRules::load(StakingRules::CURRENT_VERSION)?;
    let length = new.key.chars().count();
    if !(1..=KEY_LENGTH_MAX).contains(&length) {
        return Err(StakingError::KeyLength(length).into());
    }
    let mut transaction = conn.begin().await?;
    lock_staking(&mut transaction).await?;
    if let Some(position) = find_by_key(&mut transaction, &new.key).await? {
        let Position { id, owner, principal, term_days, .. } = position;
        return if (owner, principal, term_days) == (new.owner, new.amount, new.term_days) {
            Ok(Staked { position, changed: false })
        } else {
            Err(StakingError::KeyReused { key: new.key.clone(), position: id }.into())
        };
    }
    if new.amount < rules.minimum {
        return Err(StakingError::BelowMinimum { minimum: rules.minimum, given: new.amount }.into());
    }
    let term = new.term_days.map(|days| rules.term(days)).transpose()?;
    refuse_future(&mut transaction, new.day).await?;
    refuse_accrued(&mut transaction, new.day).await?;

    let id = sqlx::query_file_scalar!(
        "../../sql/treasury/insert_staking_position.sql",
        new.key,
        new.owner.as_bytes().as_slice(),
        rules.version as i32,
        term.map(|term| term.days as i32),
        term.map(|term| term.rate_ppm as i32),
        new.amount.to_string(),
        new.day.date()
    )
    .fetch_one(&mut *transaction)
    .await?;
    let id = PositionId(id);
    let position = find_position(&mut transaction, id).await?.ok_or(StakingError::UnknownPosition(id))?;
    post_journal(&mut transaction, &opening(&rules, &position)?).await?;
    transaction.commit().await?;
    Ok(Staked { position, changed: true })
}

fn opening(rules: &StakingRules, position: &Position) -> Result<NewJournal, TreasuryError> {
    let Position { id, owner, principal, .. } = position;
    Ok(NewJournal {
        key: format!("staking/{}/{id}/stake", rules.asset),
        epoch: Some(position.opened_day),
        description: format!("position {id} is staked"),
        entries: vec![
            Entry::debit(AccountKey::holder(*owner, &rules.asset), *principal),
            Entry::credit(rules.accounts()?.staked, *principal),
        ],
    })
}

/// The position with this id, if there is one.
pub async fn find_position(
    conn: &mut PgConnection,
    id: PositionId,
) -> Result<Option<Position>, TreasuryError> {
    sqlx::query_file_as!(PositionRow, "../../sql/treasury/find_staking_position.sql", id.0)
        .fetch_optional(conn)
        .await?
        .map(Position::try_from)
        .transpose()
}

/// The positions that the filter lets through, by id.
pub async fn list_positions(
    conn: &mut PgConnection,
    filter: &PositionFilter,
) -> Result<Vec<Position>, TreasuryError> {
    let owner = filter.owner.map(|owner| owner.as_bytes().to_vec());
    let state = filter.state.map(PositionState::as_str);
    sqlx::query_file_as!(PositionRow, "../../sql/treasury/list_staking_positions.sql", owner, state)
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(Position::try_from)
        .collect()
}

async fn find_by_key(conn: &mut PgConnection, key: &str) -> Result<Option<Position>, TreasuryError> {
    sqlx::query_file_as!(PositionRow, "../../sql/treasury/find_staking_position_by_key.sql", key)
        .fetch_optional(conn)
        .await?
        .map(Position::try_from)
        .transpose()
}

impl PositionState {
    /// The state as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Matured => "matured",
            Self::ExitedEarly => "exited_early",
            Self::Closed => "closed",
        }
    }

    /// The state that a stored text stands for.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Matured, Self::ExitedEarly, Self::Closed]
            .into_iter()
            .find(|state| state.as_str() == text)
    }

    /// Whether nothing of it is staked any more.
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::ExitedEarly | Self::Closed)
    }
}

impl PositionId {
    /// The id that a stored value stands for.
    pub const fn from_raw(raw: i64) -> Self {
        Self(raw)
    }

    /// The value to store.
    pub const fn raw(self) -> i64 {
        self.0
    }
}

impl fmt::Display for PositionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for PositionId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for PositionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

struct PositionRow {
    id: i64,
    key: String,
    owner: Vec<u8>,
    state: String,
    ruleset: i32,
    term_days: Option<i32>,
    rate_ppm: Option<i32>,
    principal: String,
    accrued: String,
    opened_day: NaiveDate,
    matures_day: Option<NaiveDate>,
    ended_day: Option<NaiveDate>,
    returned: Option<String>,
    penalty: Option<String>,
    forfeited: Option<String>,
    journal_id: Option<i64>,
    opened_at: DateTime<Utc>,
}

impl TryFrom<PositionRow> for Position {
    type Error = TreasuryError;

    fn try_from(row: PositionRow) -> Result<Self, TreasuryError> {
        let corrupt = || TreasuryError::CorruptRow { table: "staking_position", row: row.id.to_string() };
        let amount = |text: &str| text.parse::<Amount>().map_err(|_| corrupt());
        let number = |value: i32| u32::try_from(value).map_err(|_| corrupt());
        let some = |text: &Option<String>| text.as_deref().map(amount).transpose();
        Ok(Self {
            id: PositionId(row.id),
            owner: row.owner.as_slice().try_into().map(Address::from_bytes).map_err(|_| corrupt())?,
            state: PositionState::parse(&row.state).ok_or_else(corrupt)?,
            ruleset: number(row.ruleset)?,
            term_days: row.term_days.map(number).transpose()?,
            rate_ppm: row.rate_ppm.map(number).transpose()?,
            principal: amount(&row.principal)?,
            accrued: amount(&row.accrued)?,
            opened_day: UtcDay::from_date(row.opened_day),
            matures_day: row.matures_day.map(UtcDay::from_date),
            ended_day: row.ended_day.map(UtcDay::from_date),
            returned: some(&row.returned)?,
            penalty: some(&row.penalty)?,
            forfeited: some(&row.forfeited)?,
            journal_id: row.journal_id.map(JournalId::from_raw),
            opened_at: row.opened_at,
            key: row.key,
        })
    }
}

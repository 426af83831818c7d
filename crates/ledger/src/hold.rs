use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use tale_primitives::{Amount, UtcDay};

use crate::{
    AccountKey, Entry, Event, JournalId, LedgerError, Posted,
    content::{self, ContentHasher, Header},
    posting::{Entries, Insertion, Link, append},
};

/// A transfer to reserve now and to post or void later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHold {
    /// The idempotency key, by which the hold is also ended.
    pub key: String,
    /// Why, for people.
    pub description: String,
    /// The account that posting debits.
    pub debit: AccountKey,
    /// The account that posting credits, in the same asset.
    pub credit: AccountKey,
    /// How much is reserved; never nothing.
    pub amount: Amount,
    /// From when it can no longer be posted; never where there is none. Counted in microseconds.
    pub expires_at: Option<DateTime<Utc>>,
}

/// How a hold is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The whole amount moves.
    Post,
    /// This much of it moves, and the rest is free again.
    PostPart(Amount),
    /// Nothing moves, and everything is free again.
    Void,
}

/// The end of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldEnd {
    /// The idempotency key of the ending, another than the hold's.
    pub key: String,
    /// The key of the hold.
    pub hold: String,
    /// How it ends.
    pub ending: Ending,
    /// The UTC day that the ending settles, if it settles one.
    pub epoch: Option<UtcDay>,
    /// Why, for people.
    pub description: String,
}

/// What has become of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum HoldState {
    /// It waits.
    Open,
    /// Its time is over, and nobody has freed what it reserves yet.
    Overdue,
    /// It moved this much.
    Posted {
        /// How much.
        amount: Amount,
        /// The journal that posted it.
        by: JournalId,
    },
    /// It was given up.
    Voided {
        /// The journal that voided it.
        by: JournalId,
    },
    /// Nobody ended it in time.
    Expired {
        /// The journal that freed what it reserved.
        by: JournalId,
    },
}

/// A hold, open or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// Its journal.
    pub id: JournalId,
    /// Its key.
    pub key: String,
    /// Why, for people.
    pub description: String,
    /// The account that posting debits.
    pub debit: AccountKey,
    /// The account that posting credits.
    pub credit: AccountKey,
    /// How much it reserves, or reserved.
    pub amount: Amount,
    /// When it opened.
    pub opened_at: DateTime<Utc>,
    /// From when it can no longer be posted.
    pub expires_at: Option<DateTime<Utc>>,
    /// What has become of it.
    #[serde(flatten)]
    pub state: HoldState,
}

/// Which holds to list.
#[derive(Debug, Clone)]
pub struct HoldFilter {
    /// Those that have ended, too.
    pub with_ended: bool,
    /// Those out of or into this account alone.
    pub account: Option<AccountKey>,
    /// No more than this many, the oldest first.
    pub limit: u32,
}

/// Reserves units: balances stay as they are, and what is available on the debited account falls by the amount.
///
/// The same content under the same key again is the first hold; other content is [`LedgerError::KeyReused`].
pub async fn open_hold(conn: &mut PgConnection, hold: &NewHold) -> Result<Posted, LedgerError> {
    append(conn, Link::of_hold(hold)?).await
}

/// Posts a hold, in whole or in part, or voids it. A hold ends once, whoever tries at the same time.
///
/// The same ending under the same key again is the first one. Another ending of a hold that has ended is
/// [`LedgerError::HoldEnded`], posting it after its time [`LedgerError::HoldExpired`].
pub async fn end_hold(conn: &mut PgConnection, end: &HoldEnd) -> Result<Posted, LedgerError> {
    let hold = find_hold(conn, &end.hold)
        .await?
        .ok_or_else(|| LedgerError::NoHold { key: end.key.clone(), hold: end.hold.clone() })?;
    append(conn, Link::of_hold_end(end, &hold)?).await
}

/// Frees what overdue holds reserve, up to `limit` of them; answers how many it ended.
///
/// Needs no input and does nothing twice: whoever calls it, whenever, and however many at once.
pub async fn expire_holds(conn: &mut PgConnection, limit: u32) -> Result<u64, LedgerError> {
    let overdue = sqlx::query_file!("../../sql/ledger/list_expired_holds.sql", i64::from(limit))
        .fetch_all(&mut *conn)
        .await?;
    let mut ended = 0;
    for row in overdue {
        let hold_id = JournalId::from_raw(row.id);
        match append(conn, Link::of_expiry(hold_id, &row.key, &format!("hold/{hold_id}/expiry"))).await {
            Ok(posted) => ended += u64::from(!posted.already_posted),
            // Somebody else was first.
            Err(LedgerError::HoldEnded { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(ended)
}

/// The hold with this key, if there is one.
pub async fn find_hold(conn: &mut PgConnection, key: &str) -> Result<Option<Hold>, LedgerError> {
    sqlx::query_file_as!(HoldRow, "../../sql/ledger/find_hold.sql", key)
        .fetch_optional(conn)
        .await?
        .map(Hold::try_from)
        .transpose()
}

/// The holds that the filter lets through, the oldest first.
pub async fn list_holds(conn: &mut PgConnection, filter: &HoldFilter) -> Result<Vec<Hold>, LedgerError> {
    let account = filter.account.as_ref().map(AccountKey::to_string);
    let limit = i64::from(filter.limit);
    sqlx::query_file_as!(HoldRow, "../../sql/ledger/list_holds.sql", filter.with_ended, account, limit)
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(Hold::try_from)
        .collect()
}

/// Under the lock of the head: whether a hold can still end like this.
pub(crate) async fn check_open(
    conn: &mut PgConnection,
    key: &str,
    id: JournalId,
    event: Event,
) -> Result<(), LedgerError> {
    let hold: Hold = sqlx::query_file_as!(HoldRow, "../../sql/ledger/find_hold_by_id.sql", id.raw())
        .fetch_one(conn)
        .await?
        .try_into()?;
    let ended =
        |how, by| Err(LedgerError::HoldEnded { key: key.to_owned(), hold: hold.key.clone(), how, by });
    match hold.state {
        HoldState::Posted { by, .. } => ended(Event::Post, by),
        HoldState::Voided { by } => ended(Event::Void, by),
        HoldState::Expired { by } => ended(Event::Expire, by),
        HoldState::Overdue if event == Event::Post => {
            Err(LedgerError::HoldExpired { key: key.to_owned(), hold: hold.key.clone() })
        }
        HoldState::Open | HoldState::Overdue => Ok(()),
    }
}

impl HoldEnd {
    /// Posts the whole of a hold.
    pub fn post(key: impl Into<String>, hold: impl Into<String>) -> Self {
        Self::new(key.into(), hold.into(), Ending::Post)
    }

    /// Posts a part of a hold, and frees the rest.
    pub fn post_part(key: impl Into<String>, hold: impl Into<String>, amount: Amount) -> Self {
        Self::new(key.into(), hold.into(), Ending::PostPart(amount))
    }

    /// Frees the whole of a hold.
    pub fn void(key: impl Into<String>, hold: impl Into<String>) -> Self {
        Self::new(key.into(), hold.into(), Ending::Void)
    }

    fn new(key: String, hold: String, ending: Ending) -> Self {
        Self { key, hold, ending, epoch: None, description: String::new() }
    }
}

/// A time as contents and the database have it.
pub(crate) fn microseconds(time: DateTime<Utc>) -> String {
    time.timestamp_micros().to_string()
}

impl<'a> Link<'a> {
    pub(crate) fn of_hold(hold: &'a NewHold) -> Result<Self, LedgerError> {
        content::check_key(&hold.key)?;
        let key = || hold.key.clone();
        if hold.amount.is_zero() {
            return Err(LedgerError::ZeroAmount { key: key(), account: hold.debit.clone() });
        }
        if hold.debit == hold.credit || hold.debit.asset() != hold.credit.asset() {
            return Err(LedgerError::HoldAccounts {
                key: key(),
                debit: hold.debit.to_string(),
                credit: hold.credit.to_string(),
            });
        }
        let header = Header::Hold {
            key: &hold.key,
            description: &hold.description,
            debit: &hold.debit.to_string(),
            credit: &hold.credit.to_string(),
            amount: &hold.amount.to_string(),
            expires_at: &hold.expires_at.map(microseconds).unwrap_or_default(),
        };
        let digest = ContentHasher::new(&header).finish();
        Ok(Self { key: &hold.key, digest, insertion: Insertion::Hold(hold) })
    }

    pub(crate) fn of_hold_end(end: &'a HoldEnd, hold: &Hold) -> Result<Self, LedgerError> {
        content::check_key(&end.key)?;
        let amount = match end.ending {
            Ending::Post => Some(hold.amount),
            Ending::PostPart(amount) => Some(amount),
            Ending::Void => None,
        };
        if let Some(amount) = amount.filter(|amount| amount.is_zero() || *amount > hold.amount) {
            let (key, hold_key, held) = (end.key.clone(), hold.key.clone(), hold.amount);
            return Err(LedgerError::HoldAmount { key, hold: hold_key, held, amount });
        }
        let event = if amount.is_some() { Event::Post } else { Event::Void };
        let moved = amount.map(|amount| {
            [Entry::debit(hold.debit.clone(), amount), Entry::credit(hold.credit.clone(), amount)]
        });
        let entries = Entries {
            event,
            epoch: end.epoch,
            description: &end.description,
            hold_id: Some(hold.id),
            member_count: None,
            lines: content::canonical(moved.as_ref().map_or(&[], |entries| entries)),
        };
        Ok(Self::of_ending(&end.key, &hold.key, entries))
    }

    fn of_expiry(hold_id: JournalId, hold: &str, key: &'a str) -> Self {
        let entries = Entries {
            event: Event::Expire,
            epoch: None,
            description: "",
            hold_id: Some(hold_id),
            member_count: None,
            lines: Vec::new(),
        };
        Self::of_ending(key, hold, entries)
    }

    fn of_ending(key: &'a str, hold: &str, entries: Entries<'a>) -> Self {
        let header = Header::HoldEnd {
            key,
            epoch: &entries.epoch.map(|day| day.to_string()).unwrap_or_default(),
            description: entries.description,
            hold,
            event: entries.event,
            entry_count: entries.lines.len(),
        };
        let digest = content::digest_of(&header, &entries.lines);
        Self { key, digest, insertion: Insertion::Entries(entries) }
    }
}

struct HoldRow {
    id: i64,
    key: String,
    description: String,
    opened_at: DateTime<Utc>,
    debit: String,
    credit: String,
    amount: String,
    expires_at: Option<DateTime<Utc>>,
    has_expired: Option<bool>,
    ended_by: Option<i64>,
    ending_event: Option<String>,
    posted_amount: Option<String>,
}

impl TryFrom<HoldRow> for Hold {
    type Error = LedgerError;

    fn try_from(row: HoldRow) -> Result<Self, LedgerError> {
        let corrupt = || LedgerError::CorruptRow { table: "hold", row: row.id.to_string() };
        let by = row.ended_by.map(JournalId::from_raw);
        let ending = row.ending_event.as_deref().and_then(Event::parse);
        let state = match (by, ending) {
            (None, None) if row.has_expired == Some(true) => HoldState::Overdue,
            (None, None) => HoldState::Open,
            (Some(by), Some(Event::Post)) => {
                let amount = row.posted_amount.as_deref().and_then(|text| text.parse().ok());
                HoldState::Posted { amount: amount.ok_or_else(corrupt)?, by }
            }
            (Some(by), Some(Event::Void)) => HoldState::Voided { by },
            (Some(by), Some(Event::Expire)) => HoldState::Expired { by },
            _ => return Err(corrupt()),
        };
        Ok(Self {
            id: JournalId::from_raw(row.id),
            debit: row.debit.parse()?,
            credit: row.credit.parse()?,
            amount: row.amount.parse().map_err(|_| corrupt())?,
            opened_at: row.opened_at,
            expires_at: row.expires_at,
            key: row.key,
            description: row.description,
            state,
        })
    }
}

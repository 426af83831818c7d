use serde::Serialize;
use sqlx::PgConnection;
use tale_primitives::Amount;

use crate::{
    AccountKey, LedgerError, Posted,
    content::{self, ContentHasher, Header},
    posting::{Insertion, Link, append},
};

/// Limits of an account beyond its kind's own law, in place of those that it had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLimit {
    /// The idempotency key.
    pub key: String,
    /// Why, for people.
    pub description: String,
    /// Whose they are.
    pub account: AccountKey,
    /// What the available balance may not fall below.
    pub floor: Option<Amount>,
    /// What the balance, with all that is pending into it, may not pass.
    pub ceiling: Option<Amount>,
}

/// The limits of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// Whose they are.
    pub account: AccountKey,
    /// What the available balance may not fall below.
    pub floor: Option<Amount>,
    /// What the balance, with all that is pending into it, may not pass.
    pub ceiling: Option<Amount>,
}

/// Sets the limits of an account, and opens the account where nobody has used it.
///
/// Limits that the account breaks already are refused, as a posting that breaks them would be. The same content under
/// the same key again changes nothing, even where later limits have taken its place.
pub async fn set_limit(conn: &mut PgConnection, limit: &NewLimit) -> Result<Posted, LedgerError> {
    append(conn, Link::of_limit(limit)?).await
}

/// The limits that hold, by account.
pub async fn list_limits(conn: &mut PgConnection) -> Result<Vec<Limit>, LedgerError> {
    let rows = sqlx::query_file!("../../sql/ledger/list_limits.sql").fetch_all(conn).await?;
    let mut limits = Vec::with_capacity(rows.len());
    for row in rows {
        let corrupt = |_| LedgerError::CorruptRow { table: "balance", row: row.account.clone() };
        let amount = |text: Option<String>| text.map(|text| text.parse()).transpose().map_err(corrupt);
        limits.push(Limit {
            floor: amount(row.floor)?,
            ceiling: amount(row.ceiling)?,
            account: row.account.parse()?,
        });
    }
    Ok(limits)
}

impl<'a> Link<'a> {
    pub(crate) fn of_limit(limit: &'a NewLimit) -> Result<Self, LedgerError> {
        content::check_key(&limit.key)?;
        if let (Some(floor), Some(ceiling)) = (limit.floor, limit.ceiling)
            && floor > ceiling
        {
            return Err(LedgerError::LimitOrder { key: limit.key.clone(), floor, ceiling });
        }
        let written = |amount: Option<Amount>| amount.map(|amount| amount.to_string()).unwrap_or_default();
        let header = Header::Limit {
            key: &limit.key,
            description: &limit.description,
            account: &limit.account.to_string(),
            floor: &written(limit.floor),
            ceiling: &written(limit.ceiling),
        };
        let digest = ContentHasher::new(&header).finish();
        Ok(Self { key: &limit.key, digest, insertion: Insertion::Limit(limit) })
    }
}

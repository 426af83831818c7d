//! Corrections of what was paid too much. What was earned and came late needs none: the next epoch counts it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tale_ledger::{JournalId, post_journal};
use tale_primitives::{Address, Amount, UtcDay};

use crate::{
    EpochState, TreasuryError,
    epoch::{address, corrupt, find_epoch},
    finality::check_reason,
    posting::Accounts,
    stored::amount,
};

/// An over-payment that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCorrection {
    /// The idempotency key: lower-case letters, digits and `. _ / -`, up to 100 of them.
    pub correction: String,
    /// The epoch that paid too much.
    pub origin: UtcDay,
    /// Who was paid.
    pub owner: Address,
    /// How much too much, in base units.
    pub over_paid: Amount,
    /// Why it was too much, for people.
    pub reason: String,
    /// Who says so.
    pub actor: String,
}

/// An over-payment and what is left of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receivable {
    /// The correction that found it.
    pub correction: String,
    /// Who owes it.
    pub owner: Address,
    /// The epoch that paid too much.
    pub origin: UtcDay,
    /// How much was paid too much, in base units.
    pub amount: Amount,
    /// What later earnings have repaid.
    pub repaid: Amount,
    /// What is left to repay.
    pub outstanding: Amount,
    /// Why it was too much.
    pub reason: String,
    /// Who recorded it.
    pub actor: String,
    /// The journal that opened it.
    pub journal_id: JournalId,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
}

/// Opens a receivable for what an epoch paid too much; `true` where it was not recorded before.
///
/// Nothing is taken from the owner's account and no claim falls: what the owner earns in the epochs that are sealed
/// from now on repays it first. Recording the same again changes nothing; other content under one key is an error, and
/// so is a correction of more than the epoch paid.
pub async fn record_correction(
    conn: &mut PgConnection,
    correction: &NewCorrection,
) -> Result<bool, TreasuryError> {
    check(correction)?;
    let NewCorrection { correction: key, origin, owner, over_paid, reason, actor } = correction;
    let mut transaction = conn.begin().await?;
    // Corrections of one epoch take turns, so that together they find no more than it paid.
    sqlx::query_file!("../../sql/treasury/lock_receivables.sql").execute(&mut *transaction).await?;
    let recorded = sqlx::query_file!("../../sql/treasury/find_receivable.sql", key)
        .fetch_optional(&mut *transaction)
        .await?;
    if let Some(row) = recorded {
        let same = row.owner == owner.as_bytes()
            && row.origin_day == origin.date()
            && row.amount == over_paid.to_string()
            && row.reason == *reason;
        return match same {
            true => Ok(false),
            false => Err(TreasuryError::CorrectionDiffers { correction: key.clone() }),
        };
    }
    let epoch = find_epoch(&mut transaction, *origin).await?.ok_or(TreasuryError::NotSealed(*origin))?;
    let Some(asset) = epoch.asset.as_ref().filter(|_| epoch.state >= EpochState::Posted) else {
        let (state, needed) = (epoch.state, EpochState::Posted);
        return Err(TreasuryError::WrongState { epoch: *origin, state, needed });
    };
    let row = sqlx::query_file!(
        "../../sql/treasury/sum_correctable.sql",
        origin.date(),
        owner.as_bytes().as_slice()
    )
    .fetch_one(&mut *transaction)
    .await?;
    let paid = amount(&row.paid, "reward", *origin)?;
    let corrected = amount(&row.corrected, "receivable", *origin)?;
    if corrected.checked_add(*over_paid).is_none_or(|sum| sum > paid) {
        let (epoch, owner, given) = (*origin, *owner, *over_paid);
        return Err(TreasuryError::OverCorrected { epoch, owner, paid, corrected, given });
    }

    let journal = Accounts::of(asset)?.over_payment(key, *owner, *over_paid);
    let posted = post_journal(&mut transaction, &journal).await?;
    sqlx::query_file!(
        "../../sql/treasury/insert_receivable.sql",
        key,
        owner.as_bytes().as_slice(),
        origin.date(),
        asset.as_str(),
        over_paid.to_string(),
        reason,
        actor,
        posted.journal_id.raw()
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(true)
}

fn check(correction: &NewCorrection) -> Result<(), TreasuryError> {
    check_reason(&correction.reason)?;
    let key = &correction.correction;
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._/-".contains(&byte);
    let begins_well = key.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    if !begins_well || key.len() > 100 || !key.bytes().all(known) {
        return Err(TreasuryError::UnusableText {
            what: "the correction's key",
            given: key.chars().take(40).collect(),
            expected: "a lower-case letter or digit, then up to 99 of them or of . _ / -",
        });
    }
    if correction.over_paid.is_zero() {
        return Err(TreasuryError::UnusableText {
            what: "the amount",
            given: "0".to_owned(),
            expected: "at least one base unit",
        });
    }
    Ok(())
}

/// The over-payments that were ever found, of one owner or of all, by owner, origin and correction.
pub async fn list_receivables(
    conn: &mut PgConnection,
    owner: Option<Address>,
) -> Result<Vec<Receivable>, TreasuryError> {
    let owner = owner.map(|owner| owner.as_bytes().to_vec());
    let rows = sqlx::query_file!("../../sql/treasury/list_receivables.sql", owner).fetch_all(conn).await?;
    rows.into_iter()
        .map(|row| {
            let origin = UtcDay::from_date(row.origin_day);
            let sum = amount(&row.amount, "receivable", origin)?;
            let repaid = amount(&row.repaid, "repayment", origin)?;
            Ok(Receivable {
                owner: address(&row.owner, "receivable", &row.correction)?,
                origin,
                amount: sum,
                repaid,
                outstanding: sum.checked_sub(repaid).ok_or_else(|| corrupt("repayment", &row.correction))?,
                correction: row.correction,
                reason: row.reason,
                actor: row.actor,
                journal_id: JournalId::from_raw(row.journal_id),
                recorded_at: row.recorded_at,
            })
        })
        .collect()
}

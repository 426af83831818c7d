//! The steps of a purchase. Each locks its round, looks at the clock and at how far the purchase has come, and either
//! takes one step or finds it taken.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection, PgConnection};
use tale_ledger::post_journal;
use tale_primitives::{Address, Amount};

use super::{
    Purchase, PurchaseKey, PurchaseState, PurchaseStep, SaleError, SaleRules,
    eligibility::{held, tier_of},
    money,
    purchase::{find_purchase, moved},
    round::{SaleRound, lock_round, sale_rounds},
};

/// What somebody wants to buy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPurchase {
    /// The idempotency key.
    pub key: PurchaseKey,
    /// The round.
    pub round: u32,
    /// The wallet.
    pub buyer: Address,
    /// How many licences.
    pub units: u32,
}

/// Holds licences of an open round for a buyer, for as long as the rules say and at most until the round closes.
///
/// The same again is the first reservation, whatever has become of it; another round, buyer or number under the same
/// key is [`SaleError::KeyReused`].
pub async fn reserve(conn: &mut PgConnection, wanted: &NewPurchase) -> Result<PurchaseStep, SaleError> {
    if wanted.units == 0 {
        return Err(SaleError::NoUnits);
    }
    let mut transaction = conn.begin().await?;
    // Makes the rows of the rounds, where nobody has asked for them yet.
    sale_rounds(&mut transaction).await?;
    let (round, now) = lock_round(&mut transaction, wanted.round).await?;
    if let Some(purchase) = find_purchase(&mut transaction, &wanted.key).await? {
        return repeat(purchase, wanted);
    }
    let closes_at = round.need_open()?;
    let tier = tier_of(&mut transaction, wanted.buyer).await?;
    if !tier.reaches(round.least_tier) {
        let (buyer, least) = (wanted.buyer, round.least_tier);
        return Err(SaleError::NotEligible { buyer, tier, round: round.round, least });
    }
    // What others did not pay in time is there to be sold.
    let round = if expire(&mut transaction, &round, now).await? > 0 {
        lock_round(&mut transaction, wanted.round).await?.0
    } else {
        round
    };
    check_limits(&mut transaction, &round, wanted).await?;

    let minutes = SaleRules::load(round.ruleset)?.reservation_minutes;
    let expires_at = (now + TimeDelta::minutes(i64::from(minutes))).min(closes_at);
    sqlx::query_file!(
        "../../sql/monetization/insert_purchase.sql",
        wanted.key.as_str(),
        round.round as i32,
        wanted.buyer.as_bytes().as_slice(),
        // At most the round's limit for one buyer.
        wanted.units as i32,
        round.price_cents as i64,
        now,
        expires_at
    )
    .execute(&mut *transaction)
    .await
    .map_err(|error| of_constraint(error, "purchase_pkey", || SaleError::KeyReused(wanted.key.clone())))?;
    let step = moved(&mut transaction, &wanted.key).await?;
    transaction.commit().await?;
    Ok(step)
}

fn repeat(purchase: Purchase, wanted: &NewPurchase) -> Result<PurchaseStep, SaleError> {
    let same = (purchase.round, purchase.buyer, purchase.units) == (wanted.round, wanted.buyer, wanted.units);
    if same {
        Ok(PurchaseStep { purchase, changed: false })
    } else {
        Err(SaleError::KeyReused(wanted.key.clone()))
    }
}

/// The answers in words; the constraints refuse the same.
async fn check_limits(
    conn: &mut PgConnection,
    round: &SaleRound,
    wanted: &NewPurchase,
) -> Result<(), SaleError> {
    let (reserved, bought) = held(conn, round, wanted.buyer).await?;
    let left = round.buyer_max.saturating_sub(reserved + bought);
    if wanted.units > left {
        let (buyer, wanted) = (wanted.buyer, wanted.units);
        return Err(SaleError::OverLimit { buyer, round: round.round, left, wanted });
    }
    let left = round.left();
    if wanted.units > left {
        return Err(SaleError::SoldOut { round: round.round, left, wanted: wanted.units });
    }
    Ok(())
}

/// Takes the payment of a reservation, posts it to the ledger and issues the licences.
///
/// `payment` is what the payment is called outside, and pays one purchase. The same again changes nothing; another
/// amount than is due, and a payment that comes too late, are errors that take nothing.
pub async fn pay(
    conn: &mut PgConnection,
    key: &PurchaseKey,
    payment: &str,
    amount: Amount,
) -> Result<PurchaseStep, SaleError> {
    let length = payment.chars().count();
    if !(1..=200).contains(&length) {
        return Err(SaleError::TextLength { what: "the name of a payment", length });
    }
    let mut transaction = conn.begin().await?;
    let (purchase, round, now) = lock_purchase(&mut transaction, key).await?;
    match (purchase.state, &purchase.payment) {
        (PurchaseState::Reserved, _) => {}
        (PurchaseState::Paid, Some(by)) if by == payment && amount == purchase.due() => {
            return Ok(PurchaseStep { purchase, changed: false });
        }
        (PurchaseState::Paid, Some(by)) if by != payment => {
            return Err(SaleError::PaidOtherwise { key: key.clone(), payment: by.clone() });
        }
        (PurchaseState::Paid, _) => {}
        (state, _) => return Err(SaleError::NotPayable { key: key.clone(), state }),
    }
    let due = purchase.due();
    if amount != due {
        return Err(SaleError::WrongAmount { key: key.clone(), due, paid: amount });
    }
    if now >= purchase.expires_at {
        return Err(SaleError::Expired { key: key.clone(), expires_at: purchase.expires_at });
    }
    let rules = SaleRules::load(round.ruleset)?;
    let posted = post_journal(&mut transaction, &money::payment(&purchase, &rules)?).await?;
    sqlx::query_file!(
        "../../sql/monetization/set_purchase_paid.sql",
        key.as_str(),
        payment,
        now,
        posted.journal_id.raw()
    )
    .execute(&mut *transaction)
    .await
    .map_err(|error| {
        of_constraint(error, "purchase_payment_once", || SaleError::PaymentReused {
            payment: payment.to_owned(),
        })
    })?;
    sqlx::query_file!("../../sql/monetization/issue_licences.sql", key.as_str())
        .execute(&mut *transaction)
        .await?;
    let step = moved(&mut transaction, key).await?;
    transaction.commit().await?;
    Ok(step)
}

/// Gives up a purchase: a reservation is cancelled, and a paid one refunded to the cent and its licences revoked, while
/// the rules allow it. Its units are the round's again.
///
/// What was cancelled, refunded or expired already stays as it is.
pub async fn cancel(conn: &mut PgConnection, key: &PurchaseKey) -> Result<PurchaseStep, SaleError> {
    let mut transaction = conn.begin().await?;
    let (purchase, round, now) = lock_purchase(&mut transaction, key).await?;
    match (purchase.state, purchase.paid_at) {
        (PurchaseState::Reserved, _) => {
            sqlx::query_file!("../../sql/monetization/set_purchase_cancelled.sql", key.as_str(), now)
                .execute(&mut *transaction)
                .await?;
        }
        (PurchaseState::Paid, Some(paid_at)) => {
            let rules = SaleRules::load(round.ruleset)?;
            let until = paid_at + TimeDelta::hours(i64::from(rules.refund_hours));
            if now >= until {
                return Err(SaleError::RefundOver { key: key.clone(), until });
            }
            let posted = post_journal(&mut transaction, &money::refund(&purchase, &rules)?).await?;
            let journal = posted.journal_id.raw();
            sqlx::query_file!("../../sql/monetization/revoke_licences.sql", key.as_str(), now)
                .execute(&mut *transaction)
                .await?;
            sqlx::query_file!("../../sql/monetization/set_purchase_refunded.sql", key.as_str(), now, journal)
                .execute(&mut *transaction)
                .await?;
        }
        _ => return Ok(PurchaseStep { purchase, changed: false }),
    }
    let step = moved(&mut transaction, key).await?;
    transaction.commit().await?;
    Ok(step)
}

/// A purchase with its round locked, so that nobody else moves either, and the time at which that was so.
async fn lock_purchase(
    conn: &mut PgConnection,
    key: &PurchaseKey,
) -> Result<(Purchase, SaleRound, DateTime<Utc>), SaleError> {
    let unknown = || SaleError::UnknownPurchase(key.clone());
    // A purchase never changes its round.
    let round = find_purchase(conn, key).await?.ok_or_else(unknown)?.round;
    let (round, now) = lock_round(conn, round).await?;
    let purchase = find_purchase(conn, key).await?.ok_or_else(unknown)?;
    Ok((purchase, round, now))
}

/// Ends the reservations of a locked round that were not paid in time; tells how many there were.
pub(crate) async fn expire(
    conn: &mut PgConnection,
    round: &SaleRound,
    now: DateTime<Utc>,
) -> Result<u64, SaleError> {
    let expired = sqlx::query_file!("../../sql/monetization/expire_purchases.sql", round.round as i32, now)
        .execute(conn)
        .await?;
    Ok(expired.rows_affected())
}

/// Gives a violated constraint its meaning.
fn of_constraint(error: sqlx::Error, constraint: &str, meaning: impl FnOnce() -> SaleError) -> SaleError {
    let violated = error.as_database_error().and_then(|error| error.constraint());
    if violated == Some(constraint) { meaning() } else { SaleError::Database(error) }
}

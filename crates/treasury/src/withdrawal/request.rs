use chrono::Days;
use sqlx::{Connection, PgConnection};
use tale_ledger::{AccountKey, Asset, Entry, NewJournal, post_journal};
use tale_primitives::{Address, Amount, UtcDay};

use super::{
    Country, Destination, PayoutRoute, Quote, Withdrawal, WithdrawalError, WithdrawalId, WithdrawalRules,
    WithdrawalState,
    denial::refuse_denied,
    find_withdrawal,
    route::take_route,
    stored::{find_by_key, lock_withdrawal},
};
use crate::{
    Ruleset, TreasuryError,
    token_start::{refuse_future, today, token_start},
};

/// A withdrawal to request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWithdrawal {
    /// The idempotency key: requesting again under it is the first request.
    pub key: String,
    /// Whose units are withdrawn.
    pub account: Address,
    /// What is withdrawn: xTALE, or TALE of an account.
    pub asset: Asset,
    /// How much, in base units.
    pub gross: Amount,
    /// Where TALE go.
    pub destination: Destination,
    /// Over how many days it is redeemed; without, over the offered time that gives up nothing.
    pub days: Option<u32>,
    /// Where its owner says to be.
    pub country: Country,
    /// The UTC day of the request, which decides by which rules it goes.
    pub day: UtcDay,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested {
    /// The withdrawal.
    pub withdrawal: Withdrawal,
    /// Whether this call requested it.
    pub changed: bool,
}

/// The answer to a cancellation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancelled {
    /// The withdrawal.
    pub withdrawal: Withdrawal,
    /// Whether this call cancelled it.
    pub changed: bool,
}

/// The most characters in the key of a withdrawal.
const KEY_LENGTH_MAX: usize = 100;

/// Requests a withdrawal: what it takes moves from the holder's account into `pool:withdrawals`, so that nobody spends
/// it twice, and what becomes of it is fixed by the rules of the day.
///
/// Requesting the same again under one key changes nothing; another content under it is
/// [`WithdrawalError::KeyReused`].
pub async fn request_withdrawal(
    conn: &mut PgConnection,
    new: &NewWithdrawal,
) -> Result<Requested, TreasuryError> {
    let rules = WithdrawalRules::load(WithdrawalRules::CURRENT_VERSION)?;
    let length = new.key.chars().count();
    if !(1..=KEY_LENGTH_MAX).contains(&length) {
        return Err(WithdrawalError::KeyLength(length).into());
    }
    let mut transaction = conn.begin().await?;
    sqlx::query_file!("../../sql/treasury/lock_withdrawal_key.sql", new.key)
        .fetch_one(&mut *transaction)
        .await?;
    if let Some(withdrawal) = find_by_key(&mut transaction, &new.key).await? {
        return if is_repetition(new, &withdrawal) {
            Ok(Requested { withdrawal, changed: false })
        } else {
            let (key, withdrawal) = (new.key.clone(), withdrawal.id);
            Err(WithdrawalError::KeyReused { key, withdrawal }.into())
        };
    }
    rules.admit_rewards(Ruleset::load(Ruleset::CURRENT_VERSION)?.token)?;
    rules.admit(new.country)?;
    refuse_denied(&mut transaction, new.account).await?;
    let start = token_start(&mut transaction).await?.ok_or(WithdrawalError::NotStarted)?;
    refuse_future(&mut transaction, new.day).await?;
    if new.asset == rules.asset && new.destination == Destination::Account {
        return Err(WithdrawalError::AlreadyInAccount(new.asset.clone()).into());
    }
    let regime = rules.regime(start, new.day)?;
    let quote = rules.quote(regime, &new.asset, new.gross, new.days, new.day)?;
    take_route(&mut transaction, rules.reward_token, PayoutRoute::Withdrawals).await?;

    let id = insert(&mut transaction, &rules, new, &quote).await?;
    let withdrawal =
        find_withdrawal(&mut transaction, id).await?.ok_or(WithdrawalError::UnknownWithdrawal(id))?;
    post_journal(&mut transaction, &holding(&rules, &withdrawal)?).await?;
    transaction.commit().await?;
    Ok(Requested { withdrawal, changed: true })
}

/// Gives a requested withdrawal's units back to its holder, all of them. Cancelling again changes nothing; what has
/// matured is [`WithdrawalError::TooLate`].
pub async fn cancel_withdrawal(
    conn: &mut PgConnection,
    id: WithdrawalId,
) -> Result<Cancelled, TreasuryError> {
    let mut transaction = conn.begin().await?;
    let unknown = WithdrawalError::UnknownWithdrawal(id);
    let Some(withdrawal) = lock_withdrawal(&mut transaction, id).await? else { return Err(unknown.into()) };
    match withdrawal.state {
        WithdrawalState::Requested => {}
        WithdrawalState::Cancelled => return Ok(Cancelled { withdrawal, changed: false }),
        state => return Err(WithdrawalError::TooLate { withdrawal: id, state }.into()),
    }
    let rules = WithdrawalRules::load(withdrawal.ruleset)?;
    let day = today(&mut transaction).await?;
    let posted = post_journal(&mut transaction, &release(&rules, &withdrawal, day)?).await?;
    sqlx::query_file!(
        "../../sql/treasury/set_withdrawal_cancelled.sql",
        id.raw(),
        day.date(),
        posted.journal_id.raw()
    )
    .execute(&mut *transaction)
    .await?;
    let withdrawal = find_withdrawal(&mut transaction, id).await?.ok_or(unknown)?;
    transaction.commit().await?;
    Ok(Cancelled { withdrawal, changed: true })
}

/// Whether a request says what the recorded one says. The day stays out: a repetition may come on another.
fn is_repetition(new: &NewWithdrawal, recorded: &Withdrawal) -> bool {
    let days = (recorded.matures_day.date() - recorded.requested_day.date()).num_days();
    (&new.account, &new.asset, &new.gross, &new.destination, &new.country)
        == (&recorded.account, &recorded.asset, &recorded.gross, &recorded.destination, &recorded.country)
        && new.days.is_none_or(|given| i64::from(given) == days)
}

async fn insert(
    conn: &mut PgConnection,
    rules: &WithdrawalRules,
    new: &NewWithdrawal,
    quote: &Quote,
) -> Result<WithdrawalId, TreasuryError> {
    let matures_day =
        new.day.date().checked_add_days(Days::new(u64::from(quote.days))).ok_or(WithdrawalError::Overflow)?;
    let id = sqlx::query_file_scalar!(
        "../../sql/treasury/insert_withdrawal.sql",
        new.key,
        new.account.as_bytes().as_slice(),
        new.asset.as_str(),
        new.destination.as_str(),
        new.country.to_string(),
        rules.version as i32,
        quote.gross.to_string(),
        quote.net.to_string(),
        quote.fee.to_string(),
        quote.haircut.to_string(),
        new.day.date(),
        matures_day
    )
    .fetch_one(conn)
    .await?;
    Ok(WithdrawalId::from_raw(id))
}

fn holding(rules: &WithdrawalRules, withdrawal: &Withdrawal) -> Result<NewJournal, TreasuryError> {
    let Withdrawal { id, account, asset, gross, .. } = withdrawal;
    Ok(NewJournal {
        key: format!("withdrawals/{id}/request"),
        epoch: Some(withdrawal.requested_day),
        description: format!("withdrawal {id} is requested"),
        entries: vec![
            Entry::debit(AccountKey::holder(*account, asset), *gross),
            Entry::credit(rules.accounts().waiting(asset)?, *gross),
        ],
    })
}

fn release(
    rules: &WithdrawalRules,
    withdrawal: &Withdrawal,
    day: UtcDay,
) -> Result<NewJournal, TreasuryError> {
    let Withdrawal { id, account, asset, gross, .. } = withdrawal;
    Ok(NewJournal {
        key: format!("withdrawals/{id}/cancellation"),
        epoch: Some(day),
        description: format!("withdrawal {id} is cancelled"),
        entries: vec![
            Entry::debit(rules.accounts().waiting(asset)?, *gross),
            Entry::credit(AccountKey::holder(*account, asset), *gross),
        ],
    })
}

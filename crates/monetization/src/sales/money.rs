//! What the sale moves in the ledger.
//!
//! A payment comes in from outside into a pool, from which it can go back. Once a round can be refunded no more, what
//! it earned leaves the pool for the treasury.

use tale_ledger::{AccountKey, AccountOwner, Entry, LedgerError, NewJournal};
use tale_primitives::Amount;

use super::{Purchase, SaleError, SaleRules};
use crate::Fee;

/// The name of the sale's accounts.
const SALES: &str = "licence-sales";

pub(crate) fn payment(purchase: &Purchase, rules: &SaleRules) -> Result<NewJournal, SaleError> {
    let accounts = Accounts::of(rules)?;
    Ok(NewJournal {
        key: format!("sales/payment/{}", purchase.key),
        epoch: None,
        description: format!(
            "{} licences of round {} for {}",
            purchase.units, purchase.round, purchase.buyer
        ),
        entries: vec![
            Entry::debit(accounts.outside, purchase.due()),
            Entry::credit(accounts.pool, purchase.due()),
        ],
    })
}

pub(crate) fn refund(purchase: &Purchase, rules: &SaleRules) -> Result<NewJournal, SaleError> {
    let accounts = Accounts::of(rules)?;
    Ok(NewJournal {
        key: format!("sales/refund/{}", purchase.key),
        epoch: None,
        description: format!("refund of {} licences of round {}", purchase.units, purchase.round),
        entries: vec![
            Entry::debit(accounts.pool, purchase.due()),
            Entry::credit(accounts.outside, purchase.due()),
        ],
    })
}

/// What a round earned becomes income.
pub(crate) fn proceeds(
    round: u32,
    earned: Amount,
    fee: Fee,
    rules: &SaleRules,
) -> Result<NewJournal, SaleError> {
    let accounts = Accounts::of(rules)?;
    let mut entries = vec![
        Entry::debit(accounts.pool, earned),
        Entry::credit(accounts.fees, fee.fee),
        Entry::credit(accounts.income, fee.net),
    ];
    entries.retain(|entry| !entry.amount.is_zero());
    Ok(NewJournal {
        key: format!("sales/proceeds/{round}"),
        epoch: None,
        description: format!("what round {round} of the licence sale earned"),
        entries,
    })
}

struct Accounts {
    outside: AccountKey,
    pool: AccountKey,
    fees: AccountKey,
    income: AccountKey,
}

impl Accounts {
    fn of(rules: &SaleRules) -> Result<Self, SaleError> {
        let name = |text: &str| text.parse().map_err(|_| LedgerError::NotAnAccount(text.to_owned()));
        let account = |owner| AccountKey::new(owner, rules.asset.clone());
        Ok(Self {
            outside: account(AccountOwner::Issuance(name(SALES)?)),
            pool: account(AccountOwner::Pool(name(SALES)?)),
            fees: account(AccountOwner::Treasury(name("fees")?)),
            income: account(AccountOwner::Treasury(name(SALES)?)),
        })
    }
}

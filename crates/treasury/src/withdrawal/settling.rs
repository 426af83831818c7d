use std::collections::{BTreeMap, btree_map::Entry};

use sqlx::{Connection, PgConnection};
use tale_ledger::{AccountKey, JournalId, NewJournal, Side, post_journal};
use tale_primitives::{Amount, UtcDay};

use super::{Withdrawal, WithdrawalError, WithdrawalId, WithdrawalRules, stored::lock_payable};
use crate::{
    TreasuryError,
    token_start::{refuse_future, today},
};

/// What a night settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledWithdrawals {
    /// How many matured.
    pub matured: u64,
    /// Which were paid.
    pub paid: Vec<WithdrawalId>,
    /// What they paid, in base units of TALE.
    pub net: Amount,
    /// The journals of the payments.
    pub journals: Vec<JournalId>,
}

/// The most withdrawals in one journal.
const BATCH: i64 = 10_000;

/// Matures every withdrawal whose time is over by `day`, and pays what has matured, in few and large journals.
///
/// Those of denied accounts wait until they are allowed. A payment counts for the day on which it is made, never for
/// an earlier one, so that claims of days that are over do not change. Settling again changes nothing.
pub async fn settle_withdrawals(
    conn: &mut PgConnection,
    day: UtcDay,
) -> Result<SettledWithdrawals, TreasuryError> {
    let mut transaction = conn.begin().await?;
    refuse_future(&mut transaction, day).await?;
    let today = today(&mut transaction).await?;
    let matured = sqlx::query_file!("../../sql/treasury/mature_withdrawals.sql", day.date())
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    let mut settled = SettledWithdrawals { matured, paid: vec![], net: Amount::ZERO, journals: vec![] };
    loop {
        let batch = lock_payable(&mut transaction, BATCH).await?;
        let Some(first) = batch.first() else { break };
        // A withdrawal is paid once, so that no other batch begins with it.
        let key = format!("withdrawals/{}/payment", first.id);
        let journal = payment(key, &batch, today)?;
        let journal_id = post_journal(&mut transaction, &journal).await?.journal_id;
        let ids: Vec<i64> = batch.iter().map(|withdrawal| withdrawal.id.raw()).collect();
        sqlx::query_file!(
            "../../sql/treasury/set_withdrawals_paid.sql",
            &ids,
            today.date(),
            journal_id.raw()
        )
        .execute(&mut *transaction)
        .await?;
        settled.journals.push(journal_id);
        for withdrawal in batch {
            settled.net = settled.net.checked_add(withdrawal.net).ok_or(WithdrawalError::Overflow)?;
            settled.paid.push(withdrawal.id);
        }
    }
    transaction.commit().await?;
    Ok(settled)
}

/// One journal for a batch: xTALE are retired where they came from, and as many TALE are issued.
fn payment(key: String, batch: &[Withdrawal], today: UtcDay) -> Result<NewJournal, TreasuryError> {
    let mut sums = Sums::default();
    let mut versions: BTreeMap<u32, WithdrawalRules> = BTreeMap::new();
    for withdrawal in batch {
        let rules = match versions.entry(withdrawal.ruleset) {
            Entry::Occupied(loaded) => loaded.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(WithdrawalRules::load(withdrawal.ruleset)?),
        };
        let accounts = rules.accounts();
        let Withdrawal { asset, gross, net, fee, haircut, .. } = withdrawal;
        sums.add(Side::Debit, accounts.waiting(asset)?, *gross)?;
        sums.add(Side::Credit, accounts.fees(asset), *fee)?;
        sums.add(Side::Credit, accounts.haircuts(asset), *haircut)?;
        if *asset == rules.reward_asset {
            sums.add(Side::Credit, accounts.rewards_issuance()?, *net)?;
            sums.add(Side::Debit, accounts.issuance()?, *net)?;
        }
        sums.add(Side::Credit, accounts.paid_to(withdrawal.account, withdrawal.destination)?, *net)?;
    }
    Ok(NewJournal {
        key,
        epoch: Some(today),
        description: format!("payment of {} withdrawals", batch.len()),
        entries: sums.into_entries(),
    })
}

/// One entry for each account and side.
#[derive(Default)]
struct Sums(BTreeMap<(AccountKey, Side), Amount>);

impl Sums {
    fn add(&mut self, side: Side, account: AccountKey, amount: Amount) -> Result<(), WithdrawalError> {
        let sum = self.0.entry((account, side)).or_default();
        *sum = sum.checked_add(amount).ok_or(WithdrawalError::Overflow)?;
        Ok(())
    }

    fn into_entries(self) -> Vec<tale_ledger::Entry> {
        let entries = self.0.into_iter().filter(|(_, amount)| !amount.is_zero());
        entries.map(|((account, side), amount)| tale_ledger::Entry { account, side, amount }).collect()
    }
}

use sqlx::{Connection, PgConnection};
use tale_ledger::{AccountKey, AccountOwner, Asset, Entry, NewJournal, chain_head, post_journal};
use tale_primitives::{Address, AllocationOverflow, Amount, Name, UtcDay};

use crate::{
    EpochResult, EpochState, Repayment, Ruleset, Transition, TreasuryError,
    check::compute_in_sql,
    epoch::lock_epoch,
    stored::load_result,
    transition::{need, refuse_earlier},
};

/// Posts the journal of a computed epoch, after a second computation agreed with the first, and before the first
/// journal the one that fills the Generator pool.
///
/// What was never put into the pool cannot leave it: the ledger keeps the pool's account from being overdrawn, so
/// that the emission ends with the pool. Posting again changes nothing.
pub async fn post_epoch(conn: &mut PgConnection, day: UtcDay) -> Result<Transition, TreasuryError> {
    let mut transaction = conn.begin().await?;
    let epoch = lock_epoch(&mut transaction, day).await?;
    if epoch.state >= EpochState::Posted {
        return Ok(Transition { epoch, changed: false });
    }
    need(&epoch, EpochState::Computed)?;
    let unposted = [EpochState::Sealed, EpochState::Computed];
    refuse_earlier(&mut transaction, day, &unposted).await?;

    let checked = match epoch.ruleset {
        1 => None,
        _ => Some(compute_in_sql(&mut transaction, day).await?.digest),
    };
    // Reading the result checks its digest: what is posted is what was computed.
    let result = load_result(&mut transaction, day).await?.ok_or(TreasuryError::NotSealed(day))?;
    let accounts = Accounts::of(&result.asset)?;
    let ruleset = Ruleset::load(epoch.ruleset)?;
    post_journal(&mut transaction, &accounts.funding(&ruleset)?).await?;
    let posted = post_journal(&mut transaction, &accounts.payout(&result)?).await?;
    // The poster holds the head until it commits, so this is the head after the epoch's journal.
    let head = chain_head(&mut transaction).await?;
    sqlx::query_file!(
        "../../sql/treasury/set_epoch_posted.sql",
        day.date(),
        posted.journal_id.raw(),
        head.chain_digest.as_bytes().as_slice(),
        checked.as_ref().map(|digest| digest.as_bytes().as_slice())
    )
    .execute(&mut *transaction)
    .await?;
    let epoch = lock_epoch(&mut transaction, day).await?;
    transaction.commit().await?;
    Ok(Transition { epoch, changed: true })
}

/// The first revision of a day's rewards is the only one: what comes late is counted by the next epoch.
const REVISION: u32 = 0;

/// The accounts between which rewards move.
pub(crate) struct Accounts<'a> {
    asset: &'a Asset,
    issuance: AccountKey,
    pool: AccountKey,
    carry_over: AccountKey,
    receivables: AccountKey,
}

impl<'a> Accounts<'a> {
    pub(crate) fn of(asset: &'a Asset) -> Result<Self, TreasuryError> {
        let name = |text: &str| {
            text.parse::<Name>()
                .map_err(|_| TreasuryError::CorruptRow { table: "epoch", row: text.to_owned() })
        };
        let account = |owner| AccountKey::new(owner, asset.clone());
        Ok(Self {
            asset,
            issuance: account(AccountOwner::Issuance(name("generator-pool")?)),
            pool: account(AccountOwner::Pool(name("generator")?)),
            carry_over: account(AccountOwner::Pool(name("carry-over")?)),
            receivables: account(AccountOwner::Pool(name("receivables")?)),
        })
    }

    fn funding(&self, ruleset: &Ruleset) -> Result<NewJournal, TreasuryError> {
        let total = ruleset.emission_total()?;
        Ok(NewJournal {
            key: format!("generator-pool/{}/funding", self.asset),
            epoch: None,
            description: "the Generator pool is set aside".to_owned(),
            entries: vec![
                Entry::debit(self.issuance.clone(), total),
                Entry::credit(self.pool.clone(), total),
            ],
        })
    }

    /// The epoch's journal: the day's pool goes to the holders and to what is carried over. What a holder earned and
    /// repays is carried over too, and comes off what it owes.
    pub(crate) fn payout(&self, result: &EpochResult) -> Result<NewJournal, TreasuryError> {
        let kept = result.carried.checked_add(result.repaid);
        let kept = kept.ok_or(AllocationOverflow { pool: result.pool })?;
        let holders = result.rewards.iter().map(|reward| (self.holder(reward.owner), reward.net));
        let owed = repaid_by_owner(&result.repayments)
            .into_iter()
            .map(|(owner, amount)| (self.receivable(owner), amount));
        let credits = holders.chain([(self.carry_over.clone(), kept)]).chain(owed);
        let debits = [(self.pool.clone(), result.pool), (self.receivables.clone(), result.repaid)];
        let moves = |(_, amount): &(AccountKey, Amount)| !amount.is_zero();
        Ok(NewJournal {
            key: format!("generator-rewards/{}/{}/{REVISION}", self.asset, result.epoch),
            epoch: Some(result.epoch),
            description: format!("generator rewards of {}", result.epoch),
            entries: debits
                .into_iter()
                .filter(moves)
                .map(|(account, amount)| Entry::debit(account, amount))
                .chain(credits.filter(moves).map(|(account, amount)| Entry::credit(account, amount)))
                .collect(),
        })
    }

    /// What opens the receivable of an over-payment: the owner owes it, and it is expected back.
    pub(crate) fn over_payment(&self, correction: &str, owner: Address, amount: Amount) -> NewJournal {
        NewJournal {
            key: format!("correction/{}/{correction}", self.asset),
            epoch: None,
            description: format!("correction {correction}: an over-payment is to be repaid"),
            entries: vec![
                Entry::debit(self.receivable(owner), amount),
                Entry::credit(self.receivables.clone(), amount),
            ],
        }
    }

    pub(crate) fn holder(&self, owner: Address) -> AccountKey {
        AccountKey::holder(owner, self.asset)
    }

    pub(crate) fn receivable(&self, owner: Address) -> AccountKey {
        AccountKey::new(AccountOwner::Receivable(owner), self.asset.clone())
    }
}

/// Repayments are by owner: those of one owner become one entry.
fn repaid_by_owner(repayments: &[Repayment]) -> Vec<(Address, Amount)> {
    let mut sums: Vec<(Address, Amount)> = Vec::new();
    for Repayment { owner, amount, .. } in repayments {
        match sums.last_mut() {
            // Together they are at most what the owner earned.
            Some((last, sum)) if last == owner => *sum = sum.checked_add(*amount).unwrap_or(Amount::MAX),
            _ => sums.push((*owner, *amount)),
        }
    }
    sums
}

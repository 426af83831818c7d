//! The steps of an epoch. Each locks the epoch, looks how far it has come, and either takes one step or finds it
//! taken, so that a step can be repeated after any failure.

use sqlx::{Connection, PgConnection};
use tale_ledger::{AccountKey, AccountOwner, Asset, Entry, NewJournal, post_journal};
use tale_primitives::{Name, UtcDay};
use uuid::Uuid;

use crate::{
    Epoch, EpochResult, EpochState, Ruleset, SealedInputs, TreasuryError,
    epoch::{find_epoch, load_result, lock_epoch},
};

/// The answer to a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The epoch after the step.
    pub epoch: Epoch,
    /// Whether this call took the step; false where an earlier one had.
    pub changed: bool,
}

/// Fixes the inputs of an epoch, and counts the recorded batches that they name as settled by it.
///
/// Days are sealed in their order. Sealing again with the same inputs changes nothing; with others it is
/// [`TreasuryError::InputsDiffer`].
pub async fn seal_epoch(conn: &mut PgConnection, inputs: &SealedInputs) -> Result<Transition, TreasuryError> {
    let day = inputs.epoch();
    let given = inputs.digest()?;
    let mut transaction = conn.begin().await?;
    sqlx::query_file!("../../sql/treasury/lock_epochs.sql").execute(&mut *transaction).await?;
    if let Some(epoch) = find_epoch(&mut transaction, day).await? {
        return if epoch.inputs_digest == given {
            Ok(Transition { epoch, changed: false })
        } else {
            Err(TreasuryError::InputsDiffer { epoch: day, sealed: epoch.inputs_digest, given })
        };
    }
    let later = sqlx::query_file_scalar!("../../sql/treasury/find_later_epoch.sql", day.date())
        .fetch_one(&mut *transaction)
        .await?;
    if let Some(later) = later {
        return Err(TreasuryError::LaterEpochSealed { epoch: day, later: UtcDay::from_date(later) });
    }

    let ruleset = Ruleset::load(inputs.ruleset())?.version as i32;
    sqlx::query_file!(
        "../../sql/treasury/insert_epoch.sql",
        day.date(),
        ruleset,
        given.as_bytes().as_slice()
    )
    .execute(&mut *transaction)
    .await?;
    insert_inputs(&mut transaction, inputs).await?;
    let settled =
        sqlx::query_file!("../../sql/treasury/settle_contribution_batches.sql", day.date(), inputs.sources())
            .execute(&mut *transaction)
            .await?;
    if settled.rows_affected() != inputs.sources().len() as u64 {
        return Err(TreasuryError::ContributionsMoved { epoch: day });
    }
    let epoch = find_epoch(&mut transaction, day).await?.ok_or(TreasuryError::NotSealed(day))?;
    transaction.commit().await?;
    Ok(Transition { epoch, changed: true })
}

async fn insert_inputs(conn: &mut PgConnection, inputs: &SealedInputs) -> Result<(), TreasuryError> {
    let contributions = inputs.contributions();
    let generators: Vec<Uuid> = contributions.iter().map(|c| c.generator.raw()).collect();
    let owners: Vec<Vec<u8>> = contributions.iter().map(|c| c.owner.as_bytes().to_vec()).collect();
    let points: Vec<i64> = contributions.iter().map(|c| c.points).collect();
    sqlx::query_file!(
        "../../sql/treasury/insert_sealed_inputs.sql",
        inputs.epoch().date(),
        &generators,
        &owners,
        &points
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records the result of a sealed epoch. Recording it again changes nothing; another result, or one of other
/// inputs, is an error.
pub async fn record_result(
    conn: &mut PgConnection,
    result: &EpochResult,
) -> Result<Transition, TreasuryError> {
    let day = result.epoch;
    let given = result.digest()?;
    let mut transaction = conn.begin().await?;
    let epoch = lock_epoch(&mut transaction, day).await?;
    if epoch.inputs_digest != result.inputs_digest {
        let (sealed, given) = (epoch.inputs_digest, result.inputs_digest);
        return Err(TreasuryError::InputsDiffer { epoch: day, sealed, given });
    }
    if let Some(recorded) = epoch.result_digest {
        return if recorded == given {
            Ok(Transition { epoch, changed: false })
        } else {
            Err(TreasuryError::ResultDiffers { epoch: day, recorded, given })
        };
    }

    let owners: Vec<Vec<u8>> = result.rewards.iter().map(|reward| reward.owner.as_bytes().to_vec()).collect();
    let points: Vec<i64> = result.rewards.iter().map(|reward| reward.points).collect();
    let amounts: Vec<String> = result.rewards.iter().map(|reward| reward.amount.to_string()).collect();
    sqlx::query_file!("../../sql/treasury/insert_rewards.sql", day.date(), &owners, &points, &amounts)
        .execute(&mut *transaction)
        .await?;
    sqlx::query_file!(
        "../../sql/treasury/set_epoch_computed.sql",
        day.date(),
        given.as_bytes().as_slice(),
        result.asset.as_str(),
        result.token.as_bytes().as_slice(),
        result.pool.to_string(),
        result.paid.to_string(),
        result.carried.to_string()
    )
    .execute(&mut *transaction)
    .await?;
    let epoch = lock_epoch(&mut transaction, day).await?;
    transaction.commit().await?;
    Ok(Transition { epoch, changed: true })
}

/// Posts the journal of a computed epoch, and before the first one the journal that fills the Generator pool.
///
/// What was never put into the pool cannot leave it: the ledger keeps the pool's account from being overdrawn, so
/// that the days together emit no more than the ruleset's total.
pub async fn post_epoch(conn: &mut PgConnection, day: UtcDay) -> Result<Transition, TreasuryError> {
    let mut transaction = conn.begin().await?;
    let epoch = lock_epoch(&mut transaction, day).await?;
    if epoch.state >= EpochState::Posted {
        return Ok(Transition { epoch, changed: false });
    }
    need(&epoch, EpochState::Computed)?;
    let unposted = [EpochState::Sealed, EpochState::Computed];
    refuse_earlier(&mut transaction, day, &unposted).await?;

    // Reading the result checks its digest: what is posted is what was computed.
    let result = load_result(&mut transaction, day).await?.ok_or(TreasuryError::NotSealed(day))?;
    let accounts = Accounts::of(&result.asset)?;
    let ruleset = Ruleset::load(epoch.ruleset)?;
    post_journal(&mut transaction, &accounts.funding(&ruleset)?).await?;
    let posted = post_journal(&mut transaction, &accounts.payout(&result)).await?;
    sqlx::query_file!("../../sql/treasury/set_epoch_posted.sql", day.date(), posted.journal_id.raw())
        .execute(&mut *transaction)
        .await?;
    let epoch = lock_epoch(&mut transaction, day).await?;
    transaction.commit().await?;
    Ok(Transition { epoch, changed: true })
}

pub(crate) fn need(epoch: &Epoch, needed: EpochState) -> Result<(), TreasuryError> {
    if epoch.state == needed {
        Ok(())
    } else {
        Err(TreasuryError::WrongState { epoch: epoch.day, state: epoch.state, needed })
    }
}

/// An earlier day in one of these states is an error: days are settled in their order.
pub(crate) async fn refuse_earlier(
    conn: &mut PgConnection,
    day: UtcDay,
    states: &[EpochState],
) -> Result<(), TreasuryError> {
    let states: Vec<String> = states.iter().map(EpochState::to_string).collect();
    let found = sqlx::query_file!("../../sql/treasury/find_earlier_epoch_in_states.sql", day.date(), &states)
        .fetch_optional(conn)
        .await?;
    let Some(found) = found else { return Ok(()) };
    let earlier = UtcDay::from_date(found.day);
    let state = EpochState::parse(&found.state)
        .ok_or_else(|| TreasuryError::CorruptRow { table: "epoch", row: earlier.to_string() })?;
    Err(TreasuryError::EarlierEpochPending { epoch: day, earlier, state })
}

/// The first revision of a day's rewards is the only one: what comes late is counted by the next epoch.
const REVISION: u32 = 0;

/// The accounts between which rewards move.
struct Accounts<'a> {
    asset: &'a Asset,
    issuance: AccountKey,
    pool: AccountKey,
    carry_over: AccountKey,
}

impl<'a> Accounts<'a> {
    fn of(asset: &'a Asset) -> Result<Self, TreasuryError> {
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

    fn payout(&self, result: &EpochResult) -> NewJournal {
        let holders = result.rewards.iter().map(|reward| (self.holder(reward.owner), reward.amount));
        let credits = holders.chain([(self.carry_over.clone(), result.carried)]);
        let entries = credits.filter(|(_, amount)| !amount.is_zero());
        NewJournal {
            key: format!("generator-rewards/{}/{}/{REVISION}", self.asset, result.epoch),
            epoch: Some(result.epoch),
            description: format!("generator rewards of {}", result.epoch),
            entries: [Entry::debit(self.pool.clone(), result.pool)]
                .into_iter()
                .chain(entries.map(|(account, amount)| Entry::credit(account, amount)))
                .collect(),
        }
    }

    fn holder(&self, owner: tale_primitives::Address) -> AccountKey {
        AccountKey::holder(owner, self.asset)
    }
}

//! The steps of an epoch. Each locks the epoch, looks how far it has come, and either takes one step or finds it
//! taken, so that a step can be repeated after any failure.

use sqlx::{Connection, PgConnection};
use tale_primitives::{Amount, UtcDay};

use crate::{Class, ClassPool, Epoch, EpochResult, EpochState, Reward, TreasuryError, epoch::lock_epoch};

/// The answer to a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The epoch after the step.
    pub epoch: Epoch,
    /// Whether this call took the step; false where an earlier one had.
    pub changed: bool,
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

    insert_result(&mut transaction, result).await?;
    sqlx::query_file!(
        "../../sql/treasury/set_epoch_computed.sql",
        day.date(),
        given.as_bytes().as_slice(),
        result.asset.as_str(),
        result.token.as_bytes().as_slice(),
        result.pool.to_string(),
        result.paid.to_string(),
        result.repaid.to_string(),
        result.carried.to_string()
    )
    .execute(&mut *transaction)
    .await?;
    let epoch = lock_epoch(&mut transaction, day).await?;
    transaction.commit().await?;
    Ok(Transition { epoch, changed: true })
}

async fn insert_result(conn: &mut PgConnection, result: &EpochResult) -> Result<(), TreasuryError> {
    let (day, rewards) = (result.epoch.date(), &result.rewards);
    let owners: Vec<Vec<u8>> = rewards.iter().map(|reward| reward.owner.as_bytes().to_vec()).collect();
    let points = |class| rewards.iter().map(|reward| reward.shares[class].points).collect::<Vec<i64>>();
    let amounts =
        |of: &dyn Fn(&Reward) -> Amount| rewards.iter().map(|one| of(one).to_string()).collect::<Vec<_>>();
    sqlx::query_file!(
        "../../sql/treasury/insert_rewards.sql",
        day,
        &owners,
        &points(Class::Compute),
        &amounts(&|reward| reward.shares.compute.amount),
        &points(Class::Training),
        &amounts(&|reward| reward.shares.training.amount),
        &points(Class::Validation),
        &amounts(&|reward| reward.shares.validation.amount),
        &amounts(&|reward| reward.repaid),
        &amounts(&|reward| reward.net)
    )
    .execute(&mut *conn)
    .await?;

    let corrections: Vec<String> = result.repayments.iter().map(|one| one.correction.clone()).collect();
    let repaid: Vec<String> = result.repayments.iter().map(|one| one.amount.to_string()).collect();
    sqlx::query_file!("../../sql/treasury/insert_repayments.sql", day, &corrections, &repaid)
        .execute(&mut *conn)
        .await?;
    if result.ruleset == 1 {
        return Ok(());
    }
    let classes: Vec<String> = Class::ALL.iter().map(Class::to_string).collect();
    let capped: Vec<i64> = result.classes.iter().map(|(_, class)| class.capped as i64).collect();
    let amounts = |of: &dyn Fn(&ClassPool) -> Amount| {
        result.classes.iter().map(|(_, class)| of(class).to_string()).collect::<Vec<_>>()
    };
    sqlx::query_file!(
        "../../sql/treasury/insert_epoch_classes.sql",
        day,
        &classes,
        &amounts(&|class| class.pool),
        &amounts(&|class| class.cap),
        &amounts(&|class| class.weight),
        &capped,
        &amounts(&|class| class.paid),
        &amounts(&|class| class.carried)
    )
    .execute(conn)
    .await?;
    Ok(())
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

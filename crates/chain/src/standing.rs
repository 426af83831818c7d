//! Whether a root may be published: the tree, the ledger, and the contract must say the same.

use serde::Serialize;
use sqlx::PgConnection;
use tale_ledger::{AccountKind, BalanceFilter, balances};
use tale_primitives::{Amount, UtcDay};
use tale_treasury::{EpochState, list_epochs, load_result};

use crate::{
    ChainError, DistributorContract,
    claims::{Assets, ReadClaims, sum_claims},
    publication::Publication,
};

/// What a root would promise, against what is there for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Σ cumulative of the tree.
    pub cumulative: Amount,
    /// Σ claimed, as the contract says and its events add up to.
    pub claimed: Amount,
    /// The distributor's balance; no less than cumulative − claimed.
    pub balance: Amount,
    /// What the ledger owes its holders, claims that are not final yet included.
    pub liability: Amount,
}

/// Checks, before anything is sent, that `Σ cumulative − Σ claimed ≤ balance`, that the contract has paid what its
/// events say, and that the ledger owes what the tree leaves unclaimed.
pub(crate) async fn check_standing(
    conn: &mut PgConnection,
    contract: &DistributorContract,
    publication: &Publication,
    read: &ReadClaims,
) -> Result<Standing, ChainError> {
    let token = publication.token;
    let (events, posted) = sum_claims(conn, contract, token).await?;
    let (paid, balance) = contract.funds(token, read.head).await?;
    if paid != events {
        return Err(ChainError::EventsDiffer { token, paid, events });
    }
    let cumulative = publication.total;
    // a total that is below what was paid would fall, which the contract refuses by itself
    let outstanding = cumulative.checked_sub(paid).unwrap_or_default();
    if outstanding > balance {
        return Err(ChainError::Insolvent { token, outstanding, balance });
    }

    let overflow = || ChainError::CorruptRow { table: "publication", row: publication.epoch.to_string() };
    let asset = Assets::load(conn).await?.of(token)?.clone();
    let filter = BalanceFilter { kind: Some(AccountKind::Holder), asset: Some(asset) };
    let owed = balances(conn, &filter).await?.iter().map(tale_ledger::Balance::amount).collect::<Vec<_>>();
    let ledger = Amount::checked_sum(owed).ok_or_else(overflow)?;
    let later = posted_after(conn, publication.epoch).await?;
    let claims =
        cumulative.checked_add(later).and_then(|sum| sum.checked_sub(posted)).ok_or_else(overflow)?;
    if ledger != claims {
        return Err(ChainError::LiabilityDiffers { ledger, claims });
    }
    Ok(Standing { cumulative, claimed: paid, balance, liability: ledger })
}

/// What epochs after this one have brought to holders already: the tree does not have it yet.
async fn posted_after(conn: &mut PgConnection, day: UtcDay) -> Result<Amount, ChainError> {
    let mut sum = Amount::ZERO;
    for epoch in list_epochs(conn).await? {
        if epoch.day <= day || epoch.state < EpochState::Posted {
            continue;
        }
        let Some(result) = load_result(conn, epoch.day).await? else { continue };
        let rewards = Amount::checked_sum(result.rewards.iter().map(|reward| reward.net));
        let corrupt = || ChainError::CorruptRow { table: "publication", row: epoch.day.to_string() };
        sum = rewards.and_then(|rewards| sum.checked_add(rewards)).ok_or_else(corrupt)?;
    }
    Ok(sum)
}

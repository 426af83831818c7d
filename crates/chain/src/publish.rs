use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tale_primitives::UtcDay;
use tale_treasury::{TreasuryError, list_brakes};

use crate::{
    Action, ChainError, DistributorContract, FinalSubmission, Key, Publication, PublishOptions, ReadClaims,
    Standing,
    abi::Distributor::{self, Role},
    claims::read_claims,
    distributor::proposal_of,
    driver::Driver,
    publication::{record, recorded_epochs, register},
    standing::check_standing,
    submission::check_final,
    words::chain_hash,
};

/// What a publication came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Published {
    /// What was published.
    pub publication: Publication,
    /// What it was checked against.
    pub standing: Standing,
    /// The claims that were read before.
    pub claims: ReadClaims,
    /// The transaction, or nothing where another installation had done the same before.
    pub submission: Option<FinalSubmission>,
}

/// Does for a published epoch's root what the key may do: the proposer's proposes it, the confirmer's confirms it.
///
/// Before anything is sent the root is derived from the rewards again, the distributor's claims are read into the
/// ledger, and tree, ledger and contract are held against each other. Running it again changes nothing, whenever an
/// earlier one was killed: of all the times it runs, one transaction has an effect.
pub async fn publish(
    conn: &mut PgConnection,
    contract: &DistributorContract,
    key: &Key,
    epoch: UtcDay,
    options: &PublishOptions,
) -> Result<Published, ChainError> {
    refuse_held(conn, epoch).await?;
    let publication = Publication::derive(conn, epoch).await?;
    let head = contract.head().await?;
    let action = action_of(contract, key, head).await?;
    register(conn, contract, options.first_block.unwrap_or(head)).await?;
    // what was final may have left the chain since
    for epoch in recorded_epochs(conn, contract).await? {
        check_final(conn, contract, epoch, Action::Propose).await?;
        check_final(conn, contract, epoch, Action::Confirm).await?;
    }
    let claims = read_claims(conn, contract, options).await?;
    let standing = check_standing(conn, contract, &publication, &claims).await?;
    let mut database = conn.begin().await?;
    record(&mut database, contract, &publication).await?;
    database.commit().await?;

    let mut driver = Driver { conn, contract, key, publication: &publication, action, options };
    let is_under_way = driver.exists().await?;
    let submission = if !is_under_way && is_done(contract, &publication, action).await? {
        None
    } else {
        Some(driver.drive().await?)
    };
    Ok(Published { publication, standing, claims, submission })
}

/// A day that somebody holds, and every day after it, stays off the chain.
async fn refuse_held(conn: &mut PgConnection, epoch: UtcDay) -> Result<(), ChainError> {
    match list_brakes(conn).await?.into_iter().find(|brake| brake.day <= epoch) {
        Some(brake) => Err(TreasuryError::Held { epoch, held: brake.day, reason: brake.reason }.into()),
        None => Ok(()),
    }
}

async fn action_of(contract: &DistributorContract, key: &Key, head: u64) -> Result<Action, ChainError> {
    let address = key.address();
    if contract.holder(Role::Proposer, head).await? == address {
        Ok(Action::Propose)
    } else if contract.holder(Role::Confirmer, head).await? == address {
        Ok(Action::Confirm)
    } else {
        Err(ChainError::NoRole(address))
    }
}

/// Whether the chain has it already, although nothing is recorded here: a database that was set back, or a colleague.
async fn is_done(
    contract: &DistributorContract,
    publication: &Publication,
    action: Action,
) -> Result<bool, ChainError> {
    let head = contract.head().await?;
    let root = chain_hash(publication.root);
    if contract.read(&Distributor::wasConfirmedCall { root }, head).await? {
        return Ok(true);
    }
    let proposal = contract.read(&Distributor::proposalCall {}, head).await?;
    let is_proposed = proposal == proposal_of(&publication.propose());
    match action {
        Action::Propose => Ok(is_proposed),
        Action::Confirm if is_proposed => Ok(false),
        Action::Confirm => {
            let Publication { epoch, root, .. } = *publication;
            Err(ChainError::NotProposed { epoch, root })
        }
    }
}

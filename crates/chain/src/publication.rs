//! What is to be on the chain: one row per epoch, recorded before anything is sent.

use alloy_primitives::U256;
use chrono::NaiveDate;
use serde::Serialize;
use sqlx::PgConnection;
use tale_primitives::{Address, Amount, UtcDay};
use tale_treasury::{ClaimsTree, MerkleHash, PayoutRoute, claims_tree, take_route};

use crate::{
    ChainError, DistributorContract,
    abi::{Distributor, Total},
    words::{chain_address, chain_hash},
};

/// An epoch's root as the distributor gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Publication {
    /// The epoch.
    pub epoch: UtcDay,
    /// The root of its claims tree.
    pub root: MerkleHash,
    /// The end of the day, in Unix seconds.
    pub end_time: u64,
    /// The token of every leaf.
    pub token: Address,
    /// The sum of the leaves.
    pub total: Amount,
}

impl Publication {
    /// What a published epoch's rewards come to, derived from them again and held against the stored root.
    pub async fn derive(conn: &mut PgConnection, epoch: UtcDay) -> Result<Self, ChainError> {
        Self::of_tree(epoch, &claims_tree(conn, epoch).await?)
    }

    /// What a tree comes to.
    pub fn of_tree(epoch: UtcDay, tree: &ClaimsTree) -> Result<Self, ChainError> {
        let not_one = || ChainError::NotOneToken(epoch);
        let token = tree.leaves().first().ok_or_else(not_one)?.token;
        if tree.leaves().iter().any(|leaf| leaf.token != token) {
            return Err(not_one());
        }
        let total = Amount::checked_sum(tree.leaves().iter().map(|leaf| leaf.cumulative));
        let end = epoch.date().and_hms_opt(0, 0, 0).map(|start| start.and_utc().timestamp() + 86_400);
        Ok(Self {
            epoch,
            root: tree.root(),
            end_time: end.and_then(|end| end.try_into().ok()).ok_or_else(not_one)?,
            token,
            total: total.ok_or_else(not_one)?,
        })
    }

    fn totals(&self) -> Vec<Total> {
        let cumulative = U256::from_be_bytes(self.total.to_be_bytes());
        vec![Total { token: chain_address(self.token), cumulative }]
    }

    pub(crate) fn propose(&self) -> Distributor::proposeCall {
        let root = chain_hash(self.root);
        Distributor::proposeCall { root, endTime: self.end_time, totals: self.totals() }
    }

    pub(crate) fn confirm(&self) -> Distributor::confirmCall {
        let root = chain_hash(self.root);
        Distributor::confirmCall { root, endTime: self.end_time, totals: self.totals() }
    }
}

/// Registers the distributor before its first publication. Claims have one for good.
pub(crate) async fn register(
    conn: &mut PgConnection,
    contract: &DistributorContract,
    first_block: u64,
) -> Result<(), ChainError> {
    let (chain_id, address) = (contract.chain_id() as i64, contract.address());
    let bytes = address.as_bytes().as_slice();
    sqlx::query_file!("../../sql/chain/insert_distributor.sql", chain_id, bytes, first_block as i64)
        .execute(&mut *conn)
        .await?;
    match registered_distributor(conn).await? {
        Some((registered_chain, registered))
            if (registered_chain, registered) != (contract.chain_id(), address) =>
        {
            let (given, given_chain) = (address, contract.chain_id());
            Err(ChainError::OtherDistributor { registered, registered_chain, given, given_chain })
        }
        _ => Ok(()),
    }
}

/// The chain and the address of the distributor that pays this installation's claims, once a root was to be published.
pub async fn registered_distributor(conn: &mut PgConnection) -> Result<Option<(u64, Address)>, ChainError> {
    let row = sqlx::query_file!("../../sql/chain/find_distributor.sql").fetch_optional(conn).await?;
    let Some(row) = row else { return Ok(None) };
    let address = <[u8; 20]>::try_from(row.contract.as_slice())
        .map_err(|_| ChainError::CorruptRow { table: "distributor", row: "the only one".to_owned() })?;
    Ok(Some((row.chain_id as u64, Address::from_bytes(address))))
}

/// Records what is to be published; recording it again changes nothing, and another root is an error.
pub(crate) async fn record(
    conn: &mut PgConnection,
    contract: &DistributorContract,
    publication: &Publication,
) -> Result<(), ChainError> {
    let (chain_id, address) = (contract.chain_id() as i64, contract.address());
    let (address, day) = (address.as_bytes().as_slice(), publication.epoch.date());
    // from here on the distributor may pay the token: nobody withdraws the same rewards from the ledger
    take_route(conn, publication.token, PayoutRoute::Distributor).await?;
    sqlx::query_file!(
        "../../sql/chain/insert_publication.sql",
        chain_id,
        address,
        day,
        publication.root.as_bytes().as_slice(),
        publication.end_time as i64,
        publication.token.as_bytes().as_slice(),
        publication.total.to_string()
    )
    .execute(&mut *conn)
    .await?;
    let recorded = sqlx::query_file_scalar!("../../sql/chain/find_publication.sql", chain_id, address, day)
        .fetch_one(conn)
        .await?;
    if recorded == publication.root.as_bytes() {
        return Ok(());
    }
    let recorded = <[u8; 32]>::try_from(recorded.as_slice())
        .map_err(|_| ChainError::CorruptRow { table: "publication", row: publication.epoch.to_string() })?;
    Err(ChainError::PublicationDiffers {
        epoch: publication.epoch,
        recorded: MerkleHash::from_bytes(recorded),
        given: publication.root,
    })
}

/// The last epochs that were to be published, the latest first: no re-organisation reaches further back than days.
pub(crate) async fn recorded_epochs(
    conn: &mut PgConnection,
    contract: &DistributorContract,
) -> Result<Vec<UtcDay>, ChainError> {
    let address = contract.address();
    let days: Vec<NaiveDate> = sqlx::query_file_scalar!(
        "../../sql/chain/list_publications.sql",
        contract.chain_id() as i64,
        address.as_bytes().as_slice()
    )
    .fetch_all(conn)
    .await?;
    Ok(days.into_iter().map(UtcDay::from_date).collect())
}

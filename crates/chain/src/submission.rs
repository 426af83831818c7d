//! The transactions of a publication as they are stored.

use std::{fmt, time::Duration};

use alloy_primitives::B256;
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tale_primitives::UtcDay;

use crate::{
    ChainError, DistributorContract, Key,
    transaction::{Fees, Transaction},
};

/// What a transaction does about a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The proposer proposes it.
    Propose,
    /// The confirmer confirms it.
    Confirm,
}

/// A transaction that is final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FinalSubmission {
    /// What it did.
    pub action: Action,
    /// Which one.
    pub transaction: B256,
    /// Its block.
    pub block_number: u64,
    /// Its block's hash.
    pub block_hash: B256,
    /// Whether it was final before this call.
    pub was_final: bool,
}

impl Action {
    /// The action as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Propose => "propose",
            Self::Confirm => "confirm",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A submission as it is stored.
pub(crate) struct Submission {
    pub id: i64,
    pub nonce: u64,
    pub state: State,
}

#[derive(Clone, Copy)]
pub(crate) enum State {
    Recorded,
    Sent,
    Mined(Place),
    Final(Place),
}

/// Where a transaction is on the chain.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub transaction: B256,
    pub block_number: u64,
    pub block_hash: B256,
}

/// A signed version of a submission.
pub(crate) struct Attempt {
    pub hash: B256,
    pub fees: Fees,
    pub signed: Vec<u8>,
    pub age: Duration,
}

/// The living submission of an action for an epoch, if there is one.
pub(crate) async fn find_submission(
    conn: &mut PgConnection,
    contract: &DistributorContract,
    epoch: UtcDay,
    action: Action,
) -> Result<Option<Submission>, ChainError> {
    let address = contract.address();
    let row = sqlx::query_file!(
        "../../sql/chain/find_submission.sql",
        contract.chain_id() as i64,
        address.as_bytes().as_slice(),
        epoch.date(),
        action.as_str()
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let corrupt = || ChainError::CorruptRow { table: "submission", row: row.id.to_string() };
    let place = match (&row.transaction_hash, row.block_number, &row.block_hash) {
        (Some(transaction), Some(number), Some(hash)) => Some(Place {
            transaction: B256::try_from(transaction.as_slice()).map_err(|_| corrupt())?,
            block_number: number as u64,
            block_hash: B256::try_from(hash.as_slice()).map_err(|_| corrupt())?,
        }),
        _ => None,
    };
    let state = match (row.state.as_str(), place) {
        ("recorded", None) => State::Recorded,
        ("sent", None) => State::Sent,
        ("mined", Some(place)) => State::Mined(place),
        ("final", Some(place)) => State::Final(place),
        _ => return Err(corrupt()),
    };
    Ok(Some(Submission { id: row.id, nonce: row.nonce as u64, state }))
}

/// Puts a submission back whose block left the chain.
pub(crate) async fn set_back(conn: &mut PgConnection, id: i64, block_hash: B256) -> Result<(), ChainError> {
    sqlx::query_file!("../../sql/chain/set_submission_back.sql", id, block_hash.as_slice())
        .execute(conn)
        .await?;
    Ok(())
}

/// Puts a submission back that was final in a block that is no longer of the chain, with an alert.
pub(crate) async fn check_final(
    conn: &mut PgConnection,
    contract: &DistributorContract,
    epoch: UtcDay,
    action: Action,
) -> Result<(), ChainError> {
    let found = find_submission(conn, contract, epoch, action).await?;
    let Some(Submission { id, state: State::Final(place), .. }) = found else { return Ok(()) };
    let found = contract.endpoint.block(place.block_number).await?.map(|block| block.hash);
    if found == Some(place.block_hash) {
        return Ok(());
    }
    let what = format!("{action} of epoch {epoch} is put back; publishing the epoch again sends it again");
    let mut database = conn.begin().await?;
    set_back(&mut database, id, place.block_hash).await?;
    alert(&mut database, contract, (place.block_number, place.block_hash), found, &what).await?;
    database.commit().await?;
    Err(ChainError::DeepReorganisation { block: place.block_number, what })
}

/// Records for good that a block which had been final is gone.
pub(crate) async fn alert(
    conn: &mut PgConnection,
    contract: &DistributorContract,
    (number, expected): (u64, B256),
    found: Option<B256>,
    what: &str,
) -> Result<(), ChainError> {
    let address = contract.address();
    sqlx::query_file!(
        "../../sql/chain/insert_alert.sql",
        contract.chain_id() as i64,
        address.as_bytes().as_slice(),
        number as i64,
        expected.as_slice(),
        found.as_ref().map(|hash| hash.as_slice()),
        what
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Signs an attempt and keeps it.
pub(crate) async fn insert_attempt(
    conn: &mut PgConnection,
    submission: i64,
    transaction: &Transaction,
    key: &Key,
) -> Result<(), ChainError> {
    let signed = transaction.sign(key)?;
    sqlx::query_file!(
        "../../sql/chain/insert_attempt.sql",
        signed.hash.as_slice(),
        submission,
        transaction.fees.max_fee.to_string(),
        transaction.fees.priority_fee.to_string(),
        signed.bytes
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The attempts of a submission, the one with the highest fees first.
pub(crate) async fn list_attempts(
    conn: &mut PgConnection,
    submission: i64,
) -> Result<Vec<Attempt>, ChainError> {
    let rows = sqlx::query_file!("../../sql/chain/list_attempts.sql", submission).fetch_all(conn).await?;
    let corrupt = || ChainError::CorruptRow { table: "attempt", row: format!("of submission {submission}") };
    rows.into_iter()
        .map(|row| {
            let fee = |text: &str| text.parse().map_err(|_| corrupt());
            Ok(Attempt {
                hash: B256::try_from(row.transaction_hash.as_slice()).map_err(|_| corrupt())?,
                fees: Fees { max_fee: fee(&row.max_fee)?, priority_fee: fee(&row.priority_fee)? },
                signed: row.signed,
                age: Duration::from_millis(row.age_milliseconds.max(0) as u64),
            })
        })
        .collect()
}

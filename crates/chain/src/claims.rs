//! Claims read back from the chain, and what they do to the ledger.
//!
//! An event counts by the block that has it: (chain, block hash, transaction, place). It moves the ledger once its
//! block is final; when a block leaves the chain, what was read from it is orphaned, and what was posted is posted back.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{B256, U64};
use alloy_sol_types::SolEvent;
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tale_ledger::{AccountKey, AccountOwner, Asset, Entry, NewJournal, post_journal};
use tale_primitives::{Address, Amount, Name};
use tale_treasury::list_epochs;

use crate::{
    ChainError, DistributorContract, PublishOptions,
    abi::Distributor::Claimed,
    endpoint::Log,
    submission::alert,
    words::{amount, chain_address, own_address},
};

/// How many blocks' events one request asks for: what providers allow.
const BLOCKS_AT_ONCE: u64 = 2_000;
/// How often reading starts over when the chain changes meanwhile.
const TRIES: usize = 5;

/// What reading the claims came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReadClaims {
    /// The block up to which events were read.
    pub head: u64,
    /// Events that were new.
    pub found: u64,
    /// Events whose block left the chain.
    pub orphaned: u64,
    /// Journals that final claims brought.
    pub posted: u64,
    /// Journals that took one back.
    pub compensated: u64,
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Claim {
    place: Place,
    block_number: u64,
    account: Address,
    token: Address,
    amount: Amount,
    cumulative: Amount,
}

/// What an event is known by: its block's hash, its transaction, its place in the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    block_hash: B256,
    transaction: B256,
    log_index: u64,
}

/// A block that was final when events were read up to it.
struct Checkpoint {
    number: u64,
    hash: B256,
}

/// Reads the distributor's claims up to the newest block, and posts those of final blocks to the ledger.
///
/// Reading again changes nothing. A block that had been final and left the chain is compensated and then an error,
/// [`ChainError::DeepReorganisation`]; reading again goes on from there.
pub async fn read_claims(
    conn: &mut PgConnection,
    contract: &DistributorContract,
    options: &PublishOptions,
) -> Result<ReadClaims, ChainError> {
    // one transaction from the first look on: whoever dies in between has forgotten nothing, and readers take turns
    let mut database = conn.begin().await?;
    let first_block = lock_first_block(&mut database).await?;
    let lost = rewind(&mut database, contract).await?;
    let from = match last_checkpoint(&mut database, contract).await? {
        Some(checkpoint) => checkpoint.number + 1,
        None => first_block,
    };
    let mut tries = 0;
    let (head, claims) = loop {
        let head = contract.endpoint.head().await?;
        let claims = fetch(contract, from, head.number.to()).await?;
        // what was read is of one chain if its last block still is
        let again = contract.endpoint.block(head.number.to()).await?;
        if again.is_some_and(|block| block.hash == head.hash) {
            break (head.number.to::<u64>(), claims);
        }
        tries += 1;
        if tries == TRIES {
            return Err(ChainError::Unsteady);
        }
    };
    let final_block = match head.checked_sub(options.finality_blocks) {
        Some(number) if number >= from => contract.endpoint.block(number).await?,
        _ => None,
    };

    let mut read = ReadClaims { head, ..ReadClaims::default() };
    store(&mut database, contract, from, &claims, &mut read).await?;
    if let Some(block) = final_block {
        post(&mut database, contract, block.number.to(), &mut read).await?;
        let address = contract.address();
        sqlx::query_file!(
            "../../sql/chain/insert_checkpoint.sql",
            contract.chain_id() as i64,
            address.as_bytes().as_slice(),
            block.number.to::<u64>() as i64,
            block.hash.as_slice()
        )
        .execute(&mut *database)
        .await?;
    }
    if let Some((block, found)) = &lost {
        let what =
            format!("{} claims were orphaned, {} journals compensated", read.orphaned, read.compensated);
        alert(&mut database, contract, (block.number, block.hash), *found, &what).await?;
        database.commit().await?;
        return Err(ChainError::DeepReorganisation { block: block.number, what });
    }
    database.commit().await?;
    Ok(read)
}

async fn lock_first_block(conn: &mut PgConnection) -> Result<u64, ChainError> {
    let first = sqlx::query_file_scalar!("../../sql/chain/lock_distributor.sql").fetch_one(conn).await?;
    Ok(first as u64)
}

async fn last_checkpoint(
    conn: &mut PgConnection,
    contract: &DistributorContract,
) -> Result<Option<Checkpoint>, ChainError> {
    let address = contract.address();
    let row = sqlx::query_file!(
        "../../sql/chain/find_last_checkpoint.sql",
        contract.chain_id() as i64,
        address.as_bytes().as_slice()
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let hash = B256::try_from(row.block_hash.as_slice())
        .map_err(|_| ChainError::CorruptRow { table: "checkpoint", row: row.block_number.to_string() })?;
    Ok(Some(Checkpoint { number: row.block_number as u64, hash }))
}

/// Forgets the checkpoints that are no longer of the chain, and gives the first of them that was lost with what is in
/// its place. Claims beyond the last that stays are then read again.
async fn rewind(
    conn: &mut PgConnection,
    contract: &DistributorContract,
) -> Result<Option<(Checkpoint, Option<B256>)>, ChainError> {
    let address = contract.address();
    let mut lost = None;
    while let Some(checkpoint) = last_checkpoint(conn, contract).await? {
        let found = contract.endpoint.block(checkpoint.number).await?.map(|block| block.hash);
        if found == Some(checkpoint.hash) {
            break;
        }
        sqlx::query_file!(
            "../../sql/chain/delete_checkpoint.sql",
            contract.chain_id() as i64,
            address.as_bytes().as_slice(),
            checkpoint.number as i64
        )
        .execute(&mut *conn)
        .await?;
        lost = Some((checkpoint, found));
    }
    Ok(lost)
}

async fn fetch(contract: &DistributorContract, from: u64, head: u64) -> Result<Vec<Claim>, ChainError> {
    let mut claims = Vec::new();
    let mut next = from;
    while next <= head {
        let last = head.min(next + BLOCKS_AT_ONCE - 1);
        let logs =
            contract.endpoint.logs(chain_address(contract.address()), Claimed::SIGNATURE_HASH, next, last);
        for log in logs.await? {
            claims.push(Claim::decode(&log)?);
        }
        next = last + 1;
    }
    Ok(claims)
}

impl Claim {
    fn decode(log: &Log) -> Result<Self, ChainError> {
        let unexpected = |_| ChainError::Unexpected { method: "eth_getLogs" };
        let event = Claimed::decode_raw_log(log.topics.iter().copied(), &log.data).map_err(unexpected)?;
        let number = |number: U64| number.to::<u64>();
        Ok(Self {
            place: Place {
                block_hash: log.block_hash,
                transaction: log.transaction_hash,
                log_index: number(log.log_index),
            },
            block_number: number(log.block_number),
            account: own_address(event.account),
            token: own_address(event.token),
            amount: amount(event.amount),
            cumulative: amount(event.cumulative),
        })
    }
}

/// Inserts what is new, brings back what is there again, and orphans what is not there any longer.
async fn store(
    conn: &mut PgConnection,
    contract: &DistributorContract,
    from: u64,
    claims: &[Claim],
    read: &mut ReadClaims,
) -> Result<(), ChainError> {
    let (chain_id, address) = (contract.chain_id() as i64, contract.address());
    let assets = Assets::load(conn).await?;
    let fresh: BTreeSet<Place> = claims.iter().map(|claim| claim.place).collect();
    let known = sqlx::query_file!(
        "../../sql/chain/lock_claims_from.sql",
        chain_id,
        address.as_bytes().as_slice(),
        from as i64
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in known {
        let place = place(&row.block_hash, &row.transaction_hash, row.log_index)?;
        if fresh.contains(&place) {
            continue;
        }
        if row.journal_id.is_some() {
            let claim = ClaimJournal {
                place,
                chain_id: contract.chain_id(),
                account: stored_address(&row.account)?,
                token: stored_address(&row.token)?,
                amount: stored_amount(&row.amount)?,
                times_orphaned: row.times_orphaned,
            };
            post_journal(conn, &claim.journal(assets.of(claim.token)?, true)?).await?;
            read.compensated += 1;
        }
        sqlx::query_file!(
            "../../sql/chain/orphan_claim.sql",
            chain_id,
            place.block_hash.as_slice(),
            place.transaction.as_slice(),
            place.log_index as i64
        )
        .execute(&mut *conn)
        .await?;
        read.orphaned += 1;
    }
    for claim in claims {
        let stored = sqlx::query_file!(
            "../../sql/chain/insert_claim.sql",
            chain_id,
            claim.place.block_hash.as_slice(),
            claim.place.transaction.as_slice(),
            claim.place.log_index as i64,
            address.as_bytes().as_slice(),
            claim.block_number as i64,
            claim.account.as_bytes().as_slice(),
            claim.token.as_bytes().as_slice(),
            claim.amount.to_string(),
            claim.cumulative.to_string()
        )
        .execute(&mut *conn)
        .await?;
        read.found += stored.rows_affected();
    }
    Ok(())
}

/// Posts the claims up to a block that is final.
async fn post(
    conn: &mut PgConnection,
    contract: &DistributorContract,
    up_to: u64,
    read: &mut ReadClaims,
) -> Result<(), ChainError> {
    let (chain_id, address) = (contract.chain_id() as i64, contract.address());
    let rows = sqlx::query_file!(
        "../../sql/chain/list_unposted_claims.sql",
        chain_id,
        address.as_bytes().as_slice(),
        up_to as i64
    )
    .fetch_all(&mut *conn)
    .await?;
    let assets = Assets::load(conn).await?;
    for row in rows {
        let place = place(&row.block_hash, &row.transaction_hash, row.log_index)?;
        let claim = ClaimJournal {
            place,
            chain_id: contract.chain_id(),
            account: stored_address(&row.account)?,
            token: stored_address(&row.token)?,
            amount: stored_amount(&row.amount)?,
            times_orphaned: row.times_orphaned,
        };
        let posted = post_journal(conn, &claim.journal(assets.of(claim.token)?, false)?).await?;
        sqlx::query_file!(
            "../../sql/chain/set_claim_posted.sql",
            chain_id,
            place.block_hash.as_slice(),
            place.transaction.as_slice(),
            place.log_index as i64,
            posted.journal_id.raw()
        )
        .execute(&mut *conn)
        .await?;
        read.posted += 1;
    }
    Ok(())
}

/// A claim as the ledger sees it.
struct ClaimJournal {
    place: Place,
    chain_id: u64,
    account: Address,
    token: Address,
    amount: Amount,
    times_orphaned: i32,
}

impl ClaimJournal {
    /// What a holder was paid on the chain, it is no longer owed; taken back where its block left the chain.
    fn journal(&self, asset: &Asset, is_compensation: bool) -> Result<NewJournal, ChainError> {
        let holder = AccountKey::holder(self.account, asset);
        let claimed = claimed_account(asset)?;
        let Place { block_hash, transaction, log_index } = self.place;
        let base = format!("chain-claim/{}/{block_hash:x}/{transaction:x}/{log_index}", self.chain_id);
        let (suffix, what, debit, credit) = match is_compensation {
            false => ("", "claimed on chain", holder, claimed),
            true => ("/back", "orphaned claim on chain", claimed, holder),
        };
        Ok(NewJournal {
            key: format!("{base}/{}{suffix}", self.times_orphaned),
            epoch: None,
            description: format!("{what} {}", self.chain_id),
            entries: vec![Entry::debit(debit, self.amount), Entry::credit(credit, self.amount)],
        })
    }
}

/// Where the ledger keeps what was paid on the chain.
pub(crate) fn claimed_account(asset: &Asset) -> Result<AccountKey, ChainError> {
    let name: Name = "claimed"
        .parse()
        .map_err(|_| ChainError::CorruptRow { table: "claim", row: "claimed".to_owned() })?;
    Ok(AccountKey::new(AccountOwner::Pool(name), asset.clone()))
}

/// What the ledger calls the tokens of claims trees.
pub(crate) struct Assets(BTreeMap<Address, Asset>);

impl Assets {
    pub(crate) async fn load(conn: &mut PgConnection) -> Result<Self, ChainError> {
        let epochs = list_epochs(conn).await?;
        Ok(Self(epochs.into_iter().filter_map(|epoch| epoch.token.zip(epoch.asset)).collect()))
    }

    pub(crate) fn of(&self, token: Address) -> Result<&Asset, ChainError> {
        let unknown = || ChainError::CorruptRow { table: "claim", row: format!("token {token}") };
        self.0.get(&token).ok_or_else(unknown)
    }
}

/// The sum of the claims that count, and of those that the ledger has.
pub(crate) async fn sum_claims(
    conn: &mut PgConnection,
    contract: &DistributorContract,
    token: Address,
) -> Result<(Amount, Amount), ChainError> {
    let address = contract.address();
    let row = sqlx::query_file!(
        "../../sql/chain/sum_claims.sql",
        contract.chain_id() as i64,
        address.as_bytes().as_slice(),
        token.as_bytes().as_slice()
    )
    .fetch_one(conn)
    .await?;
    Ok((stored_amount(&row.seen)?, stored_amount(&row.posted)?))
}

fn corrupt(what: &'static str) -> ChainError {
    ChainError::CorruptRow { table: "claim", row: what.to_owned() }
}

fn place(block_hash: &[u8], transaction: &[u8], log_index: i64) -> Result<Place, ChainError> {
    let hash = |bytes: &[u8]| B256::try_from(bytes).map_err(|_| corrupt("a hash"));
    Ok(Place { block_hash: hash(block_hash)?, transaction: hash(transaction)?, log_index: log_index as u64 })
}

fn stored_address(bytes: &[u8]) -> Result<Address, ChainError> {
    bytes.try_into().map(Address::from_bytes).map_err(|_| corrupt("an address"))
}

fn stored_amount(text: &str) -> Result<Amount, ChainError> {
    text.parse().map_err(|_| corrupt("an amount"))
}

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tale_ledger::JournalId;
use tale_primitives::{Address, Amount, Digest, UtcDay};

use crate::{
    Class, Epoch, EpochResult, MerkleHash, TreasuryError,
    epoch::{corrupt, find_epoch},
    stored::load_inputs,
};

/// The contract that pays out what a tree promises: a leaf names neither chain nor contract, so the manifest does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distributor {
    /// The chain's id, after EIP-155.
    pub chain_id: u64,
    /// The contract's address.
    pub address: Address,
}

/// What came late from one earlier day, in one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateLines {
    /// The day from which it comes.
    pub origin: UtcDay,
    /// What is paid for.
    pub class: Class,
    /// How many generators' lines came.
    pub lines: u64,
}

/// An over-payment of an earlier day, as this epoch found and left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrectedPayment {
    /// The correction that found it.
    pub correction: String,
    /// Who owes it.
    pub owner: Address,
    /// The epoch that paid too much.
    pub origin: UtcDay,
    /// What was left to repay when the epoch was sealed.
    pub outstanding: Amount,
    /// What this epoch's earnings repaid.
    pub repaid: Amount,
}

/// Everything by which an epoch is checked from outside, in canonical order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The day.
    pub epoch: UtcDay,
    /// The version of its ruleset.
    pub ruleset: u32,
    /// The digest of the ruleset.
    pub ruleset_digest: Digest,
    /// The digest of the sealed inputs.
    pub inputs_digest: Digest,
    /// The digest of the result.
    pub result_digest: Digest,
    /// What the second computation came to; nothing under ruleset 1.
    pub checked_digest: Option<Digest>,
    /// The ledger's journal.
    pub journal_id: JournalId,
    /// The head of the ledger's chain after posting.
    pub chain_head: Digest,
    /// Accounts in the claims tree.
    pub leaf_count: u64,
    /// Its root; nothing while nobody ever earned anything.
    pub root: Option<MerkleHash>,
    /// The token in its leaves.
    pub token: Address,
    /// Where it is claimed, if that is configured.
    pub distributor: Option<Distributor>,
    /// What came late, by origin and class.
    pub late: Vec<LateLines>,
    /// Over-payments, by owner, origin and correction.
    pub corrections: Vec<CorrectedPayment>,
    /// The program that settled, and its version.
    pub program: String,
}

impl Manifest {
    /// The manifest of an epoch that has this root.
    pub(crate) async fn of(
        conn: &mut PgConnection,
        epoch: &Epoch,
        result: &EpochResult,
        (leaf_count, root): (u64, Option<MerkleHash>),
        distributor: Option<Distributor>,
    ) -> Result<Self, TreasuryError> {
        let day = epoch.day;
        let inputs = load_inputs(conn, day).await?.ok_or(TreasuryError::NotSealed(day))?;
        let mut late: BTreeMap<(UtcDay, Class), u64> = BTreeMap::new();
        for line in inputs.corrections() {
            *late.entry((line.origin, line.class)).or_default() += 1;
        }
        let repaid: BTreeMap<&str, Amount> =
            result.repayments.iter().map(|one| (one.correction.as_str(), one.amount)).collect();
        let corrections = inputs.receivables().iter().map(|one| CorrectedPayment {
            correction: one.correction.clone(),
            owner: one.owner,
            origin: one.origin,
            outstanding: one.outstanding,
            repaid: repaid.get(one.correction.as_str()).copied().unwrap_or_default(),
        });
        let unposted = || corrupt("epoch", day);
        Ok(Self {
            epoch: day,
            ruleset: epoch.ruleset,
            ruleset_digest: epoch.ruleset_digest,
            inputs_digest: epoch.inputs_digest,
            result_digest: epoch.result_digest.ok_or_else(unposted)?,
            checked_digest: epoch.checked_digest,
            journal_id: epoch.journal_id.ok_or_else(unposted)?,
            chain_head: epoch.chain_head.ok_or_else(unposted)?,
            leaf_count,
            root,
            token: result.token,
            distributor,
            late: late
                .into_iter()
                .map(|((origin, class), lines)| LateLines { origin, class, lines })
                .collect(),
            corrections: corrections.collect(),
            program: concat!("taleworks ", env!("CARGO_PKG_VERSION")).to_owned(),
        })
    }

    /// The canonical JSON: fields in the order above, without white space.
    pub fn canonical_text(&self) -> Result<String, TreasuryError> {
        serde_json::to_string(self).map_err(TreasuryError::Canonical)
    }
}

/// The manifest of a published epoch in its canonical text, if it has one; the database keeps it with its digest.
pub async fn load_manifest(conn: &mut PgConnection, day: UtcDay) -> Result<Option<String>, TreasuryError> {
    find_epoch(conn, day).await?.ok_or(TreasuryError::NotSealed(day))?;
    Ok(sqlx::query_file_scalar!("../../sql/treasury/find_manifest.sql", day.date()).fetch_one(conn).await?)
}

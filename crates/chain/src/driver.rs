//! The way of a transaction, from its recording to the depth at which nothing takes it back.
//!
//! Everything that is sent is in the database first, to the byte, so that whoever is killed between sending and
//! recording sends the same again: it has the same hash and the same nonce, and is mined once.

use std::time::Duration;

use alloy_primitives::Bytes;
use alloy_sol_types::SolCall;
use sqlx::{Connection, PgConnection};
use tale_primitives::UtcDay;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::{
    Action, ChainError, DistributorContract, FinalSubmission, Key,
    distributor::reverted,
    endpoint::{Call, Receipt},
    publication::Publication,
    submission::{Place, State, Submission, find_submission, insert_attempt, list_attempts, set_back},
    transaction::{Fees, Transaction},
    words::chain_address,
};

/// How to send, and how long to wait.
#[derive(Debug, Clone)]
pub struct PublishOptions {
    /// How many blocks on top of a transaction's make it final.
    pub finality_blocks: u64,
    /// How long to wait between two looks at the chain.
    pub poll: Duration,
    /// After how long without being mined fees are raised.
    pub raise_after: Duration,
    /// How long to wait for finality.
    pub wait: Duration,
    /// The most that is paid, in wei per gas.
    pub max_fee_limit: u128,
    /// From which block on the distributor's events are read, where it is not registered yet; the newest unless given.
    pub first_block: Option<u64>,
}

impl Default for PublishOptions {
    fn default() -> Self {
        Self {
            finality_blocks: 64,
            poll: Duration::from_secs(3),
            raise_after: Duration::from_secs(60),
            wait: Duration::from_secs(30 * 60),
            max_fee_limit: 500_000_000_000,
            first_block: None,
        }
    }
}

/// One transaction on its way, and everything that it takes to get it there.
pub(crate) struct Driver<'a> {
    pub conn: &'a mut PgConnection,
    pub contract: &'a DistributorContract,
    pub key: &'a Key,
    pub publication: &'a Publication,
    pub action: Action,
    pub options: &'a PublishOptions,
}

impl Driver<'_> {
    /// Takes the submission to finality, from wherever it is.
    pub(crate) async fn drive(&mut self) -> Result<FinalSubmission, ChainError> {
        let started = Instant::now();
        let mut was_final = true;
        loop {
            let state = match self.find().await? {
                None => {
                    self.create().await?;
                    "recorded"
                }
                Some(Submission { state: State::Final(place), .. }) => {
                    let Place { transaction, block_number, block_hash } = place;
                    let action = self.action;
                    return Ok(FinalSubmission { action, transaction, block_number, block_hash, was_final });
                }
                Some(Submission { id, state: State::Mined(place), .. }) => {
                    if self.settle(id, place).await? {
                        was_final = false;
                        continue;
                    }
                    "mined"
                }
                Some(submission) => {
                    if self.look(&submission).await? {
                        was_final = false;
                        continue;
                    }
                    "sent"
                }
            };
            was_final = false;
            if started.elapsed() >= self.options.wait {
                return Err(ChainError::NotFinal { action: self.action, epoch: self.epoch(), state });
            }
            if state != "recorded" {
                tokio::time::sleep(self.options.poll).await;
            }
        }
    }

    fn epoch(&self) -> UtcDay {
        self.publication.epoch
    }

    fn calldata(&self) -> Bytes {
        match self.action {
            Action::Propose => self.publication.propose().abi_encode().into(),
            Action::Confirm => self.publication.confirm().abi_encode().into(),
        }
    }

    /// Whether there is a submission already.
    pub(crate) async fn exists(&mut self) -> Result<bool, ChainError> {
        Ok(self.find().await?.is_some())
    }

    async fn find(&mut self) -> Result<Option<Submission>, ChainError> {
        find_submission(self.conn, self.contract, self.publication.epoch, self.action).await
    }

    /// Fixes nonce and bytes of the first attempt, before anything is sent.
    async fn create(&mut self) -> Result<(), ChainError> {
        let sender = self.key.chain_address();
        let (to, data) = (chain_address(self.contract.address()), self.calldata());
        let endpoint = &self.contract.endpoint;
        // what the contract would refuse is not sent
        let call = Call { from: Some(sender), to, data: data.clone() };
        let gas = endpoint.estimate_gas(&call).await.map_err(reverted)?;
        let fees = self.asked_fees().await?;
        if fees.max_fee > self.options.max_fee_limit {
            let (asked, limit) = (fees.max_fee, self.options.max_fee_limit);
            return Err(ChainError::FeeAboveLimit { asked, limit });
        }
        let head = self.contract.head().await?;
        let used = endpoint.transaction_count(sender, head).await?;

        let chain_id = self.contract.chain_id();
        let mut database = self.conn.begin().await?;
        let own = self.key.address();
        let reserved = sqlx::query_file_scalar!(
            "../../sql/chain/find_next_nonce.sql",
            chain_id as i64,
            own.as_bytes().as_slice()
        )
        .fetch_one(&mut *database)
        .await?;
        let nonce = used.max(reserved.unwrap_or_default() as u64);
        let address = self.contract.address();
        let id = sqlx::query_file_scalar!(
            "../../sql/chain/insert_submission.sql",
            chain_id as i64,
            address.as_bytes().as_slice(),
            self.publication.epoch.date(),
            self.action.as_str(),
            own.as_bytes().as_slice(),
            nonce as i64
        )
        .fetch_optional(&mut *database)
        .await?;
        // of two at once, one records; the other finds what it recorded
        let Some(id) = id else { return Ok(()) };
        // an estimate is of this moment: another night's storage may cost more
        let gas_limit = gas + gas / 2;
        let transaction = Transaction { chain_id, nonce, fees, gas_limit, to, data };
        insert_attempt(&mut database, id, &transaction, self.key).await?;
        database.commit().await?;
        info!(epoch = %self.publication.epoch, action = %self.action, nonce, "recorded a transaction");
        Ok(())
    }

    /// Twice the base fee, which covers six full blocks in a row, and what miners ask for.
    async fn asked_fees(&self) -> Result<Fees, ChainError> {
        let priority_fee = self.contract.endpoint.priority_fee().await?;
        let base = self.contract.endpoint.head().await?.base_fee_per_gas.map_or(0, |fee| fee.to::<u128>());
        let max_fee = base.saturating_mul(2).saturating_add(priority_fee);
        Ok(Fees { max_fee, priority_fee })
    }

    /// Looks whether an attempt was mined, and sends the newest where none was. Says whether the state has changed.
    async fn look(&mut self, submission: &Submission) -> Result<bool, ChainError> {
        let attempts = list_attempts(self.conn, submission.id).await?;
        for attempt in &attempts {
            if let Some(receipt) = self.contract.endpoint.receipt(attempt.hash).await? {
                self.set_mined(submission.id, &receipt).await?;
                return Ok(true);
            }
        }
        if self.is_replaced(submission).await? {
            return Ok(true);
        }
        let newest = attempts.first().ok_or_else(|| ChainError::CorruptRow {
            table: "attempt",
            row: format!("of submission {}", submission.id),
        })?;
        if matches!(submission.state, State::Sent) && newest.age >= self.options.raise_after {
            self.raise(submission, newest.fees).await?;
            return Ok(true);
        }
        match self.contract.endpoint.send(&newest.signed).await {
            Ok(_) => {}
            Err(ChainError::Refused { message, .. }) if is_known(&message) => {}
            Err(error) => return Err(error),
        }
        sqlx::query_file!("../../sql/chain/set_submission_sent.sql", submission.id)
            .execute(&mut *self.conn)
            .await?;
        Ok(false)
    }

    /// Whether a transaction of somebody else with this key and nonce is final: then a new nonce is taken.
    async fn is_replaced(&mut self, submission: &Submission) -> Result<bool, ChainError> {
        let head = self.contract.head().await?;
        let deep = head.saturating_sub(self.options.finality_blocks);
        let used = self.contract.endpoint.transaction_count(self.key.chain_address(), deep).await?;
        if used <= submission.nonce {
            return Ok(false);
        }
        // the receipt may have come since it was looked for
        for attempt in list_attempts(self.conn, submission.id).await? {
            if self.contract.endpoint.receipt(attempt.hash).await?.is_some() {
                return Ok(true);
            }
        }
        warn!(epoch = %self.publication.epoch, nonce = submission.nonce, "another transaction took the nonce");
        sqlx::query_file!("../../sql/chain/set_submission_replaced.sql", submission.id)
            .execute(&mut *self.conn)
            .await?;
        Ok(true)
    }

    /// Signs the same again with higher fees, as far as the limit lets it.
    async fn raise(&mut self, submission: &Submission, fees: Fees) -> Result<(), ChainError> {
        let raised = fees.raised(self.asked_fees().await?);
        if raised.max_fee > self.options.max_fee_limit {
            let (asked, limit) = (raised.max_fee, self.options.max_fee_limit);
            return Err(ChainError::FeeAboveLimit { asked, limit });
        }
        let (to, data) = (chain_address(self.contract.address()), self.calldata());
        let call = Call { from: Some(self.key.chain_address()), to, data: data.clone() };
        let gas = self.contract.endpoint.estimate_gas(&call).await.map_err(reverted)?;
        let transaction = Transaction {
            chain_id: self.contract.chain_id(),
            nonce: submission.nonce,
            fees: raised,
            gas_limit: gas + gas / 2,
            to,
            data,
        };
        insert_attempt(self.conn, submission.id, &transaction, self.key).await?;
        info!(epoch = %self.publication.epoch, max_fee = raised.max_fee, "raised the fees of a stuck transaction");
        Ok(())
    }

    async fn set_mined(&mut self, id: i64, receipt: &Receipt) -> Result<(), ChainError> {
        let is_done = receipt.status.to::<u64>() == 1;
        sqlx::query_file!(
            "../../sql/chain/set_submission_mined.sql",
            id,
            if is_done { "mined" } else { "reverted" },
            receipt.transaction_hash.as_slice(),
            receipt.block_number.to::<u64>() as i64,
            receipt.block_hash.as_slice()
        )
        .execute(&mut *self.conn)
        .await?;
        if is_done {
            return Ok(());
        }
        let call = Call {
            from: Some(self.key.chain_address()),
            to: chain_address(self.contract.address()),
            data: self.calldata(),
        };
        let again = self.contract.endpoint.view(&call, receipt.block_number.to()).await.map_err(reverted);
        Err(ChainError::SubmissionReverted {
            action: self.action,
            epoch: self.epoch(),
            transaction: receipt.transaction_hash,
            reason: again
                .err()
                .map_or_else(|| "no reason that can be told now".to_owned(), |e| e.to_string()),
        })
    }

    /// Makes a mined transaction final when its block is deep enough, or puts it back when its block is gone. Says
    /// whether the state has changed.
    async fn settle(&mut self, id: i64, place: Place) -> Result<bool, ChainError> {
        let head = self.contract.head().await?;
        let block = self.contract.endpoint.block(place.block_number).await?;
        if block.is_none_or(|block| block.hash != place.block_hash) {
            warn!(epoch = %self.publication.epoch, action = %self.action, block = place.block_number,
                "a re-organisation took the transaction's block");
            set_back(self.conn, id, place.block_hash).await?;
            return Ok(true);
        }
        if head < place.block_number + self.options.finality_blocks {
            return Ok(false);
        }
        sqlx::query_file!("../../sql/chain/set_submission_final.sql", id, place.block_hash.as_slice())
            .execute(&mut *self.conn)
            .await?;
        Ok(true)
    }
}

/// Whether a node refused because it has the transaction already, or has mined one with its nonce.
fn is_known(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["already known", "already imported", "known transaction", "nonce too low", "underpriced"]
        .iter()
        .any(|known| message.contains(known))
}

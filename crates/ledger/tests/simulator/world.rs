//! A ledger to which random things happen, and the auditor that compares it with the model after each of them.

use std::time::Duration;

use chrono::Utc;
use rand::{Rng, RngExt, seq::IndexedRandom};
use sqlx::{Connection, PgConnection};
use tale_ledger::{
    AccountKey, At, BalanceFilter, Entry, HoldEnd, HoldFilter, HoldState, JournalId, LedgerError, NewBatch,
    NewHold, NewJournal, NewLimit, Operation, balance_at, balances, chain_head, end_hold, expire_holds,
    list_holds, open_hold, post_batch, post_journal, set_limit, verify,
};
use tale_primitives::{Address, Amount};
use tale_testkit::TestDatabase;

use crate::model::{Model, Refusal, State, raw};

/// How soon the holds expire that are to.
const SOON: Duration = Duration::from_millis(40);

pub struct World<'a, R> {
    rng: R,
    database: &'a TestDatabase,
    conn: PgConnection,
    model: Model,
    accounts: Vec<AccountKey>,
    batches: Vec<NewBatch>,
    keys: u64,
}

impl<'a, R: Rng> World<'a, R> {
    pub async fn set_up(rng: R, database: &'a TestDatabase) -> Self {
        let mut accounts = Vec::new();
        for asset in ["xTALE", "USD"] {
            for owner in ["issuance:all", "pool:all", "treasury:all"] {
                accounts.push(format!("{owner}:{asset}").parse().expect("an account"));
            }
            for number in 0..3 {
                let owner = Address::derive(&format!("holder {number}"));
                accounts.push(AccountKey::holder(owner, &asset.parse().expect("an asset")));
            }
        }
        let conn = database.connection().await;
        Self { rng, database, conn, model: Model::new(), accounts, batches: Vec::new(), keys: 0 }
    }

    /// Lets something happen, and looks whether all is as it must be.
    pub async fn step(&mut self) {
        match self.rng.random_range(0..100) {
            0..45 => {
                let operation = self.operation();
                self.happen(&operation).await;
            }
            45..57 => self.batch().await,
            57..69 => self.repeat().await,
            69..79 => self.crash().await,
            79..91 => self.race().await,
            _ => self.expire().await,
        }
        self.audit().await;
    }

    pub async fn finish(&mut self) {
        let report = verify(&mut self.conn).await.expect("an audit");
        assert!(report.is_consistent(), "{:?}", report.discrepancies);
        assert_eq!(report.journals, self.model.last as u64);
        assert_eq!(report.holds, self.model.holds.len() as u64);
    }

    fn key(&mut self) -> String {
        self.keys += 1;
        format!("key {}", self.keys)
    }

    fn units(&mut self) -> Amount {
        Amount::from(self.rng.random_range(1..60u64))
    }

    /// Two accounts of one asset, more often out of the issuance so that there is something to move.
    fn pair(&mut self) -> (AccountKey, AccountKey) {
        let half = self.accounts.len() / 2;
        let first = half * self.rng.random_range(0..2usize);
        let from = if self.rng.random_bool(0.4) { 0 } else { self.rng.random_range(0..half) };
        let to = (from + self.rng.random_range(1..half)) % half;
        (self.accounts[first + from].clone(), self.accounts[first + to].clone())
    }

    fn operation(&mut self) -> Operation {
        let key = self.key();
        match self.rng.random_range(0..10) {
            0..4 => Operation::Journal(self.journal(key)),
            4..7 => Operation::Hold(self.hold(key)),
            7..9 => Operation::HoldEnd(self.hold_end(key)),
            _ => {
                let account = self.accounts.choose(&mut self.rng).expect("some").clone();
                let floor = self.rng.random_bool(0.5).then(|| self.rng.random_range(0..40u64));
                let ceiling = self.rng.random_bool(0.5).then(|| self.rng.random_range(40..400u64));
                let (floor, ceiling) = (floor.map(Amount::from), ceiling.map(Amount::from));
                Operation::Limit(NewLimit { key, description: String::new(), account, floor, ceiling })
            }
        }
    }

    fn journal(&mut self, key: String) -> NewJournal {
        let mut entries = Vec::new();
        for _ in 0..self.rng.random_range(1..4) {
            let ((from, to), amount) = (self.pair(), self.units());
            entries.extend([Entry::debit(from, amount), Entry::credit(to, amount)]);
        }
        NewJournal { key, epoch: None, description: "a journal".to_owned(), entries }
    }

    fn hold(&mut self, key: String) -> NewHold {
        let ((debit, credit), amount) = (self.pair(), self.units());
        let expires_at = self.rng.random_bool(0.3).then(|| Utc::now() + Duration::from_secs(3_600));
        NewHold { key, description: "a hold".to_owned(), debit, credit, amount, expires_at }
    }

    fn hold_end(&mut self, key: String) -> HoldEnd {
        let open: Vec<String> = self.model.holds.keys().cloned().collect();
        let hold = open.choose(&mut self.rng).cloned().unwrap_or_else(|| "no hold".to_owned());
        match self.rng.random_range(0..3) {
            0 => HoldEnd::post(key, hold),
            1 => HoldEnd::post_part(key, hold, self.units()),
            _ => HoldEnd::void(key, hold),
        }
    }

    async fn happen(&mut self, operation: &Operation) {
        let expected = self.model.apply(operation);
        match (post(&mut self.conn, operation).await, expected) {
            (Ok(answer), Ok(expected)) => assert_eq!(answer, expected, "{operation:?}"),
            (Err(error), Err(refusals)) => {
                assert!(refusals.contains(&refusal(&error)), "{operation:?}: {error}, not {refusals:?}");
            }
            (answer, expected) => panic!("{operation:?}: {answer:?}, not {expected:?}"),
        }
    }

    async fn batch(&mut self) {
        let operations = (0..self.rng.random_range(1..5)).map(|_| self.operation()).collect();
        let batch = NewBatch { key: self.key(), description: "a batch".to_owned(), operations };
        self.post_batch(&batch).await;
        self.batches.push(batch);
    }

    async fn post_batch(&mut self, batch: &NewBatch) {
        let known = self.model.keys.get(&batch.key).map(|(_, place)| *place);
        let expected = match known {
            Some(place) => Ok(place),
            None => self.model.apply_batch(&batch.key, &batch.operations),
        };
        match (post_batch(&mut self.conn, batch).await, expected) {
            (Ok(answer), Ok(seal)) => {
                assert_eq!((answer.sealed_by.raw(), answer.already_posted), (seal, known.is_some()));
                assert_eq!(answer.first.raw(), seal - batch.operations.len() as i64);
            }
            (Err(LedgerError::BatchRefused { place, source, .. }), Err((expected, refusals))) => {
                assert_eq!(place, expected, "{batch:?}: {source}, not {refusals:?}");
                assert!(refusals.contains(&refusal(&source)), "{batch:?}: {source}, not {refusals:?}");
            }
            (answer, expected) => panic!("{batch:?}: {answer:?}, not {expected:?}"),
        }
    }

    /// The same again, or something else under the same key.
    async fn repeat(&mut self) {
        if let Some(batch) = self.batches.choose(&mut self.rng).cloned()
            && self.rng.random_bool(0.3)
        {
            return self.post_batch(&batch).await;
        }
        let known: Vec<Operation> =
            self.model.keys.values().filter_map(|(operation, _)| operation.clone()).collect();
        let Some(mut operation) = known.choose(&mut self.rng).cloned() else { return };
        if self.rng.random_bool(0.4) {
            let more = self.units();
            match &mut operation {
                Operation::Journal(journal) => journal.description.push('!'),
                Operation::Hold(hold) => hold.amount = hold.amount.checked_add(more).expect("small"),
                Operation::HoldEnd(end) => end.ending = tale_ledger::Ending::PostPart(more),
                Operation::Limit(limit) => limit.ceiling = Some(Amount::from(1_000_000u64)),
            }
        }
        self.happen(&operation).await;
    }

    /// The poster dies before its commit, or after it and before it has heard of it; then it tries again.
    async fn crash(&mut self) {
        let operation = self.operation();
        let mut conn = self.database.connection().await;
        let mut transaction = conn.begin().await.expect("a transaction");
        let first = post(&mut transaction, &operation).await;
        let committed = self.rng.random_bool(0.5);
        if committed {
            transaction.commit().await.expect("a commit");
        } else {
            // the connection goes, and with it the transaction
            drop(transaction);
            drop(conn);
        }
        if committed && first.is_ok() {
            self.model.apply(&operation).expect("it was posted");
        }
        self.happen(&operation).await;
    }

    /// Some post at once. The places that they get say in which order it must have been.
    async fn race(&mut self) {
        let mut operations: Vec<Operation> =
            (0..self.rng.random_range(2..5)).map(|_| self.operation()).collect();
        if self.rng.random_bool(0.5) {
            // all of them about one hold
            let key = self.key();
            let HoldEnd { hold, .. } = self.hold_end(key);
            for operation in &mut operations {
                if let Operation::HoldEnd(end) = operation {
                    end.hold = hold.clone();
                }
            }
        }
        let mut tasks = Vec::new();
        for operation in operations {
            let connections = self.database.pool().clone();
            tasks.push(tokio::spawn(async move {
                let mut conn = connections.acquire().await.expect("a connection");
                let answer = post(&mut conn, &operation).await;
                (operation, answer)
            }));
        }
        let (mut posted, mut refused) = (Vec::new(), Vec::new());
        for task in tasks {
            match task.await.expect("no poster panics") {
                (operation, Ok((place, _))) => posted.push((place, operation)),
                (operation, Err(error)) => refused.push((operation, error)),
            }
        }
        posted.sort_by_key(|(place, _)| *place);
        let mut states = vec![self.model.clone()];
        for (place, operation) in &posted {
            assert_eq!(self.model.apply(operation), Ok((*place, false)), "{operation:?}");
            states.push(self.model.clone());
        }
        for (operation, error) in &refused {
            let could_be = |state: &Model| {
                state.clone().apply(operation).is_err_and(|refusals| refusals.contains(&refusal(error)))
            };
            assert!(states.iter().any(could_be), "{operation:?}: {error} at no time");
        }
    }

    /// A hold's time passes, and everything that is overdue is freed, by two at once.
    async fn expire(&mut self) {
        let key = self.key();
        let hold = NewHold { expires_at: Some(Utc::now() + SOON), ..self.hold(key) };
        let operation = Operation::Hold(hold.clone());
        match post(&mut self.conn, &operation).await {
            Ok(answer) => assert_eq!(self.model.apply(&operation), Ok(answer)),
            // on a machine that stood still
            Err(LedgerError::HoldExpiresEarly { .. }) => return,
            Err(error) => {
                assert!(
                    self.model.apply(&operation).is_err_and(|refusals| refusals.contains(&refusal(&error)))
                );
                return;
            }
        }
        tokio::time::sleep(SOON).await;
        self.model.holds.get_mut(&hold.key).expect("it is open").state = State::Overdue;
        if self.rng.random_bool(0.5) {
            let key = self.key();
            self.happen(&Operation::HoldEnd(HoldEnd::post(key, hold.key))).await;
            return;
        }
        let mut other = self.database.connection().await;
        let (first, second) = tokio::join!(expire_holds(&mut self.conn, 100), expire_holds(&mut other, 100));
        let ended = first.expect("an expiry") + second.expect("an expiry");
        assert_eq!(ended, self.model.expire());
    }

    /// Every balance, every hold and the length of the chain, and one balance of the past.
    async fn audit(&mut self) {
        let head = chain_head(&mut self.conn).await.expect("the head");
        assert_eq!(head.journal_id.raw(), self.model.last);
        let found = balances(&mut self.conn, &BalanceFilter::default()).await.expect("balances");
        assert_eq!(found.len(), self.model.accounts.len(), "refused operations open no account");
        for balance in &found {
            let sums = self.model.accounts[&balance.account];
            assert_eq!(
                [balance.debits, balance.credits, balance.pending_debits, balance.pending_credits].map(raw),
                [sums.debits, sums.credits, sums.pending_debits, sums.pending_credits],
                "{}",
                balance.account
            );
        }
        let filter = HoldFilter { with_ended: true, account: None, limit: 10_000 };
        let holds = list_holds(&mut self.conn, &filter).await.expect("holds");
        assert_eq!(holds.len(), self.model.holds.len());
        for hold in holds {
            let state = match hold.state {
                HoldState::Open => State::Open,
                HoldState::Overdue => State::Overdue,
                HoldState::Posted { amount, .. } => State::Posted(raw(amount)),
                HoldState::Voided { .. } => State::Voided,
                HoldState::Expired { .. } => State::Expired,
            };
            assert_eq!(state, self.model.holds[&hold.key].state, "{}", hold.key);
        }
        let place = self.rng.random_range(0..=self.model.last);
        let account = self.accounts.choose(&mut self.rng).expect("some");
        let past = balance_at(&mut self.conn, account, At::Journal(JournalId::from_raw(place)))
            .await
            .expect("a past");
        let sums = self.model.past[place as usize].get(account).copied().unwrap_or_default();
        let balance = past.balance;
        assert_eq!(
            [balance.debits, balance.credits, balance.pending_debits, balance.pending_credits].map(raw),
            [sums.debits, sums.credits, sums.pending_debits, sums.pending_credits],
            "{account} after {place}"
        );
        if self.model.last % 8 == 0 {
            self.finish().await;
        }
    }
}

async fn post(conn: &mut PgConnection, operation: &Operation) -> Result<(i64, bool), LedgerError> {
    let posted = match operation {
        Operation::Journal(journal) => post_journal(conn, journal).await?,
        Operation::Hold(hold) => open_hold(conn, hold).await?,
        Operation::HoldEnd(end) => end_hold(conn, end).await?,
        Operation::Limit(limit) => set_limit(conn, limit).await?,
    };
    Ok((posted.journal_id.raw(), posted.already_posted))
}

fn refusal(error: &LedgerError) -> Refusal {
    match error {
        LedgerError::Overdrawn { .. } => Refusal::Overdrawn,
        LedgerError::BelowFloor { .. } => Refusal::BelowFloor,
        LedgerError::AboveCeiling { .. } => Refusal::AboveCeiling,
        LedgerError::NoHold { .. } => Refusal::NoHold,
        LedgerError::HoldAmount { .. } => Refusal::HoldAmount,
        LedgerError::HoldEnded { .. } => Refusal::HoldEnded,
        LedgerError::HoldExpired { .. } => Refusal::HoldExpired,
        LedgerError::KeyReused { .. } => Refusal::KeyReused,
        LedgerError::MemberPosted { .. } => Refusal::MemberPosted,
        other => panic!("{other:?}"),
    }
}

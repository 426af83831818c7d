use std::{
    collections::{BTreeMap, HashMap},
    iter::Peekable,
    vec,
};

use futures::TryStreamExt;
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tale_primitives::{Amount, Digest};

use crate::{
    JournalId, JournalSummary, LedgerError, Side,
    content::{ContentHasher, GENESIS, link},
    reading::list_journals,
};

/// What an audit of the whole ledger found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// How many journals were checked.
    pub journals: u64,
    /// How many entries were checked.
    pub entries: u64,
    /// How many accounts were checked.
    pub accounts: u64,
    /// The end of the hash chain, as derived.
    pub head: Digest,
    /// Everything that is wrong, first the journals in order, then the accounts by key.
    pub discrepancies: Vec<Discrepancy>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_consistent(&self) -> bool {
        self.discrepancies.is_empty()
    }
}

/// One thing that is wrong with the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Discrepancy {
    /// Places in the chain that no journal has.
    #[error("journal {id} is missing")]
    JournalMissing {
        /// The first of the missing ids.
        id: JournalId,
    },
    /// Entries were added to, or taken from, a sealed journal.
    #[error("journal {id} was sealed with {sealed} entries and has {found}")]
    EntryCount {
        /// The journal.
        id: JournalId,
        /// How many it was posted with.
        sealed: u64,
        /// How many there are.
        found: u64,
    },
    /// Debits and credits differ.
    #[error("journal {id} does not balance in {asset}: debits {debits}, credits {credits}")]
    Unbalanced {
        /// The journal.
        id: JournalId,
        /// The asset in which they differ.
        asset: String,
        /// The sum of its debits.
        debits: Amount,
        /// The sum of its credits.
        credits: Amount,
    },
    /// The content is not what was posted.
    #[error("the content of journal {id} has the digest {derived}, posted was {recorded}")]
    ContentDigest {
        /// The journal.
        id: JournalId,
        /// The digest in the journal's row.
        recorded: Digest,
        /// The digest of what is there.
        derived: Digest,
    },
    /// The chain does not continue at this journal.
    #[error("the chain breaks at journal {id}: {derived} follows, recorded is {recorded}")]
    Chain {
        /// The journal.
        id: JournalId,
        /// The digest in the journal's row.
        recorded: Digest,
        /// The digest that follows from the journal before it.
        derived: Digest,
    },
    /// The head is not the last link.
    #[error(
        "the head of the chain is {recorded} at journal {recorded_id}, derived is {derived} at {derived_id}"
    )]
    Head {
        /// The last journal, says the head.
        recorded_id: JournalId,
        /// The last journal there is; 0 where there is none.
        derived_id: JournalId,
        /// The last link, says the head.
        recorded: String,
        /// The last link.
        derived: Digest,
    },
    /// An entry whose journal, account, side or amount makes no sense.
    #[error("entry {line} of journal {id} belongs to nothing or cannot be read")]
    EntryUnreadable {
        /// The journal that it names.
        id: JournalId,
        /// Its line.
        line: i32,
    },
    /// A balance that its entries do not add up to.
    #[error(
        "account {account} has debits {debits} and credits {credits}, \
         its entries add up to {derived_debits} and {derived_credits}"
    )]
    AccountBalance {
        /// The account.
        account: String,
        /// The recorded sum of its debits.
        debits: String,
        /// The recorded sum of its credits.
        credits: String,
        /// The sum of its debits.
        derived_debits: Amount,
        /// The sum of its credits.
        derived_credits: Amount,
    },
}

/// Derives every balance, every digest and the whole hash chain again from the entries, and names what differs.
///
/// Postings wait while it runs, so that it sees one state. Memory grows with accounts and journals, not entries.
pub async fn verify(conn: &mut PgConnection) -> Result<VerifyReport, LedgerError> {
    let mut transaction = conn.begin().await?;
    let head =
        sqlx::query_file!("../../sql/ledger/share_chain_head.sql").fetch_one(&mut *transaction).await?;
    let mut audit = Audit::new(list_journals(&mut transaction).await?);
    let mut accounts = sqlx::query_file!("../../sql/ledger/list_accounts.sql").fetch(&mut *transaction);
    while let Some(row) = accounts.try_next().await? {
        let recorded = (row.debits, row.credits);
        audit.accounts.insert(
            row.id,
            Account { key: row.key, asset: row.asset, recorded, debits: Amount::ZERO, credits: Amount::ZERO },
        );
    }
    drop(accounts);
    let mut entries = sqlx::query_file!("../../sql/ledger/stream_entries.sql").fetch(&mut *transaction);
    while let Some(row) = entries.try_next().await? {
        audit.entry(JournalId::from_raw(row.journal_id), row.line, row.account_id, &row.side, &row.amount);
    }
    drop(entries);
    transaction.rollback().await?;
    Ok(audit.finish(JournalId::from_raw(head.journal_id), &head.chain_digest))
}

struct Account {
    key: String,
    asset: String,
    recorded: (String, String),
    debits: Amount,
    credits: Amount,
}

/// A pure walk over journals and entries in the order of the chain.
struct Audit {
    journals: Peekable<vec::IntoIter<JournalSummary>>,
    accounts: HashMap<i64, Account>,
    open: Option<OpenJournal>,
    last: (JournalId, Digest),
    report: VerifyReport,
}

struct OpenJournal {
    summary: JournalSummary,
    hasher: ContentHasher,
    found: u64,
    sums: BTreeMap<String, (Amount, Amount)>,
}

impl Audit {
    fn new(journals: Vec<JournalSummary>) -> Self {
        let report =
            VerifyReport { journals: 0, entries: 0, accounts: 0, head: GENESIS, discrepancies: Vec::new() };
        Self {
            journals: journals.into_iter().peekable(),
            accounts: HashMap::new(),
            open: None,
            last: (JournalId::from_raw(0), GENESIS),
            report,
        }
    }

    fn entry(&mut self, id: JournalId, line: i32, account_id: i64, side: &str, amount: &str) {
        self.report.entries += 1;
        self.advance_to(id);
        let account = self.accounts.get_mut(&account_id);
        let open = self.open.as_mut().filter(|open| open.summary.id == id);
        let parsed = Side::parse(side).zip(amount.parse::<Amount>().ok());
        let (Some(account), Some(open), Some((side, amount))) = (account, open, parsed) else {
            self.report.discrepancies.push(Discrepancy::EntryUnreadable { id, line });
            return;
        };
        open.found += 1;
        open.hasher.entry(&account.key, side.as_str(), &amount.to_string());
        let (debits, credits) = open.sums.entry(account.asset.clone()).or_default();
        let (journal_sum, account_sum) = match side {
            Side::Debit => (debits, &mut account.debits),
            Side::Credit => (credits, &mut account.credits),
        };
        match (journal_sum.checked_add(amount), account_sum.checked_add(amount)) {
            (Some(journal), Some(account)) => (*journal_sum, *account_sum) = (journal, account),
            _ => self.report.discrepancies.push(Discrepancy::EntryUnreadable { id, line }),
        }
    }

    /// Closes every journal before `id`, and opens it if it exists.
    fn advance_to(&mut self, id: JournalId) {
        while self.open.as_ref().is_none_or(|open| open.summary.id < id)
            && self.journals.peek().is_some_and(|next| next.id <= id)
        {
            self.close();
            self.open = self.journals.next().map(OpenJournal::new);
        }
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let OpenJournal { summary, hasher, found, sums } = open;
        let id = summary.id;
        let expected = JournalId::from_raw(self.last.0.raw() + 1);
        let discrepancies = &mut self.report.discrepancies;
        if id != expected {
            discrepancies.push(Discrepancy::JournalMissing { id: expected });
        }
        let sealed = u64::from(summary.entry_count);
        if found != sealed {
            discrepancies.push(Discrepancy::EntryCount { id, sealed, found });
        }
        for (asset, (debits, credits)) in sums {
            if debits != credits {
                discrepancies.push(Discrepancy::Unbalanced { id, asset, debits, credits });
            }
        }
        let (recorded, derived) = (summary.content_digest, hasher.finish());
        if recorded != derived {
            discrepancies.push(Discrepancy::ContentDigest { id, recorded, derived });
        }
        // From the recorded content, so that one changed journal is named once and not by every later link.
        let (recorded, derived) = (summary.chain_digest, link(&self.last.1, &summary.content_digest));
        if recorded != derived {
            discrepancies.push(Discrepancy::Chain { id, recorded, derived });
        }
        self.last = (id, recorded);
        self.report.journals += 1;
    }

    fn finish(mut self, head_id: JournalId, head: &[u8]) -> VerifyReport {
        self.advance_to(JournalId::from_raw(i64::MAX));
        self.close();
        let (last_id, last) = self.last;
        self.report.head = last;
        if head_id != last_id || head != last.as_bytes() {
            self.report.discrepancies.push(Discrepancy::Head {
                recorded_id: head_id,
                derived_id: last_id,
                recorded: Digest::from_bytes(head.try_into().unwrap_or_default()).to_string(),
                derived: last,
            });
        }
        self.report.accounts = self.accounts.len() as u64;
        let mut accounts: Vec<Account> = self.accounts.into_values().collect();
        accounts.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        for account in accounts {
            let Account {
                key,
                recorded: (debits, credits),
                debits: derived_debits,
                credits: derived_credits,
                ..
            } = account;
            if (&debits, &credits) != (&derived_debits.to_string(), &derived_credits.to_string()) {
                self.report.discrepancies.push(Discrepancy::AccountBalance {
                    account: key,
                    debits,
                    credits,
                    derived_debits,
                    derived_credits,
                });
            }
        }
        self.report
    }
}

impl OpenJournal {
    fn new(summary: JournalSummary) -> Self {
        let epoch = summary.epoch.map(|day| day.to_string()).unwrap_or_default();
        let hasher =
            ContentHasher::new(&summary.key, &epoch, &summary.description, summary.entry_count as usize);
        Self { summary, hasher, found: 0, sums: BTreeMap::new() }
    }
}

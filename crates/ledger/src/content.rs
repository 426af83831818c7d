//! The canonical content of a journal, and its digest.
//!
//! Every field is written as its length (8 bytes, most significant first) and its bytes, so that no two contents
//! share an encoding. Entries are in the order of (account key, side, amount), so that the order in which a
//! poster lists them changes nothing.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use tale_primitives::{Amount, Digest};

use crate::{AccountKey, LedgerError, NewJournal, Side};

const FORMAT: &str = "taleworks.ledger.journal.1";

/// The hash chain's value before the first journal.
pub(crate) const GENESIS: Digest = Digest::from_bytes([0; 32]);

/// Hashes a journal piece by piece, so that an audit can stream entries.
pub(crate) struct ContentHasher(Sha256);

impl ContentHasher {
    pub(crate) fn new(key: &str, epoch: &str, description: &str, entry_count: usize) -> Self {
        let mut hasher = Self(Sha256::new());
        for field in [FORMAT, key, epoch, description, &entry_count.to_string()] {
            hasher.field(field);
        }
        hasher
    }

    pub(crate) fn entry(&mut self, account: &str, side: &str, amount: &str) {
        for field in [account, side, amount] {
            self.field(field);
        }
    }

    pub(crate) fn finish(self) -> Digest {
        Digest::from_bytes(self.0.finalize().into())
    }

    fn field(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text);
    }
}

/// The next link of the hash chain.
pub(crate) fn link(previous: &Digest, content: &Digest) -> Digest {
    let digest = Sha256::new().chain_update(previous.as_bytes()).chain_update(content.as_bytes()).finalize();
    Digest::from_bytes(digest.into())
}

/// A journal that is whole and balanced, with its entries in canonical order.
pub(crate) struct Content<'a> {
    pub(crate) entries: Vec<CanonicalEntry<'a>>,
    pub(crate) digest: Digest,
}

pub(crate) struct CanonicalEntry<'a> {
    pub(crate) text: String,
    pub(crate) side: Side,
    pub(crate) amount: Amount,
    pub(crate) account: &'a AccountKey,
}

impl<'a> Content<'a> {
    /// Checks what can be checked without the database. The database checks it again: it is the authority.
    pub(crate) fn of(journal: &'a NewJournal) -> Result<Self, LedgerError> {
        let key_length = journal.key.chars().count();
        if !(1..=200).contains(&key_length) {
            return Err(LedgerError::KeyLength(key_length));
        }
        check_balance(journal)?;
        let mut entries: Vec<CanonicalEntry<'_>> = journal
            .entries
            .iter()
            .map(|entry| CanonicalEntry {
                text: entry.account.to_string(),
                side: entry.side,
                amount: entry.amount,
                account: &entry.account,
            })
            .collect();
        entries.sort_unstable_by(|a, b| (&a.text, a.side, a.amount).cmp(&(&b.text, b.side, b.amount)));

        let epoch = journal.epoch.map(|day| day.to_string()).unwrap_or_default();
        let mut hasher = ContentHasher::new(&journal.key, &epoch, &journal.description, entries.len());
        for entry in &entries {
            hasher.entry(&entry.text, entry.side.as_str(), &entry.amount.to_string());
        }
        Ok(Self { entries, digest: hasher.finish() })
    }
}

fn check_balance(journal: &NewJournal) -> Result<(), LedgerError> {
    let key = || journal.key.clone();
    if journal.entries.len() < 2 {
        return Err(LedgerError::TooFewEntries { key: key(), count: journal.entries.len() });
    }
    let mut sums: BTreeMap<_, (Amount, Amount)> = BTreeMap::new();
    for entry in &journal.entries {
        if entry.amount.is_zero() {
            return Err(LedgerError::ZeroAmount { key: key(), account: entry.account.clone() });
        }
        let asset = entry.account.asset();
        let (debits, credits) = sums.entry(asset).or_default();
        let sum = match entry.side {
            Side::Debit => debits,
            Side::Credit => credits,
        };
        *sum = sum
            .checked_add(entry.amount)
            .ok_or_else(|| LedgerError::Overflow { key: key(), asset: asset.clone() })?;
    }
    match sums.into_iter().find(|(_, (debits, credits))| debits != credits) {
        Some((asset, _)) => Err(LedgerError::Unbalanced { key: key(), asset: asset.clone() }),
        None => Ok(()),
    }
}

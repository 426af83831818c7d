//! The canonical content of a link of the chain, and its digest.
//!
//! Every field is written as its length (8 bytes, most significant first) and its bytes, so that no two contents
//! share an encoding. Entries are in the order of (account key, side, amount), so that the order in which a
//! poster lists them changes nothing.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use tale_primitives::{Amount, Digest};

use crate::{Entry, Event, LedgerError, NewJournal, Side};

/// The hash chain's value before the first journal.
pub(crate) const GENESIS: Digest = Digest::from_bytes([0; 32]);

/// The most characters in a key.
const KEY_LENGTH_MAX: usize = 200;

/// What a content says before its entries, as text.
pub(crate) enum Header<'a> {
    Journal {
        key: &'a str,
        epoch: &'a str,
        description: &'a str,
        entry_count: usize,
    },
    Hold {
        key: &'a str,
        description: &'a str,
        debit: &'a str,
        credit: &'a str,
        amount: &'a str,
        /// Microseconds since 1970; empty where it waits for ever.
        expires_at: &'a str,
    },
    /// The two entries of a posting follow.
    HoldEnd {
        key: &'a str,
        epoch: &'a str,
        description: &'a str,
        hold: &'a str,
        event: Event,
        entry_count: usize,
    },
    /// Empty where there is none.
    Limit {
        key: &'a str,
        description: &'a str,
        account: &'a str,
        floor: &'a str,
        ceiling: &'a str,
    },
    /// The digests of the members follow.
    Batch {
        key: &'a str,
        description: &'a str,
        member_count: usize,
    },
}

/// Hashes a content piece by piece, so that an audit can stream entries.
pub(crate) struct ContentHasher(Sha256);

impl ContentHasher {
    pub(crate) fn new(header: &Header<'_>) -> Self {
        let mut hasher = Self(Sha256::new());
        let format = |name: &str| format!("taleworks.ledger.{name}.1");
        match *header {
            Header::Journal { key, epoch, description, entry_count } => {
                hasher.fields(&[&format("journal"), key, epoch, description, &entry_count.to_string()]);
            }
            Header::Hold { key, description, debit, credit, amount, expires_at } => {
                hasher.fields(&[&format("hold"), key, description, debit, credit, amount, expires_at]);
            }
            Header::HoldEnd { key, epoch, description, hold, event, entry_count } => {
                let (format, count) = (format("hold-end"), entry_count.to_string());
                hasher.fields(&[&format, key, epoch, description, hold, event.as_str(), &count]);
            }
            Header::Limit { key, description, account, floor, ceiling } => {
                hasher.fields(&[&format("limit"), key, description, account, floor, ceiling]);
            }
            Header::Batch { key, description, member_count } => {
                hasher.fields(&[&format("batch"), key, description, &member_count.to_string()]);
            }
        }
        hasher
    }

    pub(crate) fn entry(&mut self, account: &str, side: &str, amount: &str) {
        self.fields(&[account, side, amount]);
    }

    pub(crate) fn member(&mut self, content: &Digest) {
        self.0.update(content.as_bytes());
    }

    pub(crate) fn finish(self) -> Digest {
        Digest::from_bytes(self.0.finalize().into())
    }

    fn fields(&mut self, fields: &[&str]) {
        for field in fields {
            self.0.update((field.len() as u64).to_be_bytes());
            self.0.update(field);
        }
    }
}

/// The next link of the hash chain.
pub(crate) fn link(previous: &Digest, content: &Digest) -> Digest {
    let digest = Sha256::new().chain_update(previous.as_bytes()).chain_update(content.as_bytes()).finalize();
    Digest::from_bytes(digest.into())
}

/// An entry as it is hashed and inserted.
pub(crate) struct CanonicalEntry {
    pub(crate) account: String,
    pub(crate) side: Side,
    pub(crate) amount: String,
}

/// Checks what can be checked of a journal without the database, and brings its entries into their canonical order.
/// The database checks it again: it is the authority.
pub(crate) fn of_journal(journal: &NewJournal) -> Result<(Vec<CanonicalEntry>, Digest), LedgerError> {
    check_key(&journal.key)?;
    check_balance(journal)?;
    let entries = canonical(&journal.entries);
    let epoch = journal.epoch.map(|day| day.to_string()).unwrap_or_default();
    let header = Header::Journal {
        key: &journal.key,
        epoch: &epoch,
        description: &journal.description,
        entry_count: entries.len(),
    };
    let digest = digest_of(&header, &entries);
    Ok((entries, digest))
}

pub(crate) fn check_key(key: &str) -> Result<(), LedgerError> {
    let length = key.chars().count();
    if (1..=KEY_LENGTH_MAX).contains(&length) { Ok(()) } else { Err(LedgerError::KeyLength(length)) }
}

pub(crate) fn canonical(entries: &[Entry]) -> Vec<CanonicalEntry> {
    let mut keyed: Vec<(String, Side, Amount)> =
        entries.iter().map(|entry| (entry.account.to_string(), entry.side, entry.amount)).collect();
    keyed.sort_unstable();
    let write = |(account, side, amount): (String, Side, Amount)| CanonicalEntry {
        account,
        side,
        amount: amount.to_string(),
    };
    keyed.into_iter().map(write).collect()
}

pub(crate) fn digest_of(header: &Header<'_>, entries: &[CanonicalEntry]) -> Digest {
    let mut hasher = ContentHasher::new(header);
    for entry in entries {
        hasher.entry(&entry.account, entry.side.as_str(), &entry.amount);
    }
    hasher.finish()
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pairs of entries between a few accounts.
    fn journals() -> impl Strategy<Value = NewJournal> {
        let pairs = prop::collection::vec((0..3usize, 0..3usize, 1..9u64), 1..6);
        (pairs, "[a-z]{1,3}", "[a-z]{0,2}").prop_map(|(pairs, key, description)| {
            let account = |number: usize| format!("pool:p{number}:TALE").parse().expect("an account");
            let pair = |(from, to, amount): (usize, usize, u64)| {
                let amount = Amount::from(amount);
                [Entry::debit(account(from), amount), Entry::credit(account(to), amount)]
            };
            let entries = pairs.into_iter().flat_map(pair).collect();
            NewJournal { key, epoch: None, description, entries }
        })
    }

    fn digest(journal: &NewJournal) -> Digest {
        of_journal(journal).expect("a journal").1
    }

    proptest! {
        #[test]
        fn the_order_of_entries_decides_no_digest(
            (journal, shuffled) in journals().prop_flat_map(|journal| {
                let entries = Just(journal.entries.clone()).prop_shuffle();
                (Just(journal), entries)
            })
        ) {
            let other = NewJournal { entries: shuffled, ..journal.clone() };
            prop_assert_eq!(digest(&journal), digest(&other));
        }

        #[test]
        fn what_differs_in_anything_has_another_digest(one in journals(), other in journals()) {
            let sorted = |journal: &NewJournal| {
                let mut entries: Vec<_> =
                    journal.entries.iter().map(|e| (e.account.to_string(), e.side, e.amount)).collect();
                entries.sort();
                (journal.key.clone(), journal.description.clone(), entries)
            };
            prop_assert_eq!(digest(&one) == digest(&other), sorted(&one) == sorted(&other));
        }
    }
}

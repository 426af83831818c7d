//! A pure walk over journals and entries in the order of the chain.

use std::collections::{BTreeMap, HashMap, VecDeque};

use chrono::{DateTime, NaiveDate, Utc};
use tale_primitives::{Amount, Digest};

use super::Discrepancy;
use crate::{
    BATCH_MEMBERS_MAX, ChainHead, Event, JournalId, Side,
    content::{ContentHasher, GENESIS, Header, link},
    hold::microseconds,
};

/// A link as it is stored, with what the content of its event is made of.
pub(super) struct LinkRow {
    pub(super) id: i64,
    pub(super) key: String,
    pub(super) event: String,
    pub(super) epoch: Option<NaiveDate>,
    pub(super) description: String,
    pub(super) entry_count: i32,
    pub(super) content_digest: Vec<u8>,
    pub(super) chain_digest: Vec<u8>,
    pub(super) member_count: Option<i32>,
    pub(super) ended_hold: Option<String>,
    pub(super) debit: Option<String>,
    pub(super) credit: Option<String>,
    pub(super) hold_amount: Option<String>,
    pub(super) expires_at: Option<DateTime<Utc>>,
    pub(super) limited: Option<String>,
    pub(super) floor: Option<String>,
    pub(super) ceiling: Option<String>,
}

/// An entry as it is stored.
pub(super) struct EntryRow<'a> {
    pub(super) journal_id: i64,
    pub(super) line: i32,
    pub(super) account: Option<&'a str>,
    pub(super) side: &'a str,
    pub(super) amount: &'a str,
}

/// What the walk has seen so far. It keeps one page of links, and the contents that a batch may seal.
pub(super) struct Walk {
    links: VecDeque<LinkRow>,
    open: Option<OpenLink>,
    last: ChainHead,
    /// Recorded contents of the last links, the oldest first.
    recent: VecDeque<Digest>,
    kept: HashMap<JournalId, Digest>,
    pub(super) journals: u64,
    pub(super) entries: u64,
    pub(super) discrepancies: Vec<Discrepancy>,
}

struct OpenLink {
    id: JournalId,
    sealed: u64,
    content: Digest,
    chain: Digest,
    /// None where the event's own rows are missing.
    hasher: Option<ContentHasher>,
    found: u64,
    sums: BTreeMap<String, (Amount, Amount)>,
}

impl Walk {
    pub(super) fn new(kept: &[ChainHead]) -> Self {
        Self {
            links: VecDeque::new(),
            open: None,
            last: ChainHead { journal_id: JournalId::from_raw(0), chain_digest: GENESIS },
            recent: VecDeque::new(),
            kept: kept.iter().map(|head| (head.journal_id, head.chain_digest)).collect(),
            journals: 0,
            entries: 0,
            discrepancies: Vec::new(),
        }
    }

    /// The last link so far.
    pub(super) fn last(&self) -> ChainHead {
        self.last
    }

    /// Takes the next links; their entries follow.
    pub(super) fn page(&mut self, links: Vec<LinkRow>) {
        self.links.extend(links);
    }

    pub(super) fn entry(&mut self, row: &EntryRow<'_>) {
        self.entries += 1;
        let id = JournalId::from_raw(row.journal_id);
        self.advance_to(id);
        let open = self.open.as_mut().filter(|open| open.id == id);
        let parsed = Side::parse(row.side).zip(row.amount.parse::<Amount>().ok());
        let (Some(account), Some(open), Some((side, amount))) = (row.account, open, parsed) else {
            self.discrepancies.push(Discrepancy::EntryUnreadable { id, line: row.line });
            return;
        };
        open.found += 1;
        if let Some(hasher) = &mut open.hasher {
            hasher.entry(account, row.side, row.amount);
        }
        let asset = account.rsplit(':').next().unwrap_or_default();
        if !open.sums.contains_key(asset) {
            open.sums.insert(asset.to_owned(), Default::default());
        }
        let Some((debits, credits)) = open.sums.get_mut(asset) else { return };
        let sum = match side {
            Side::Debit => debits,
            Side::Credit => credits,
        };
        match sum.checked_add(amount) {
            Some(added) => *sum = added,
            None => self.discrepancies.push(Discrepancy::EntryUnreadable { id, line: row.line }),
        }
    }

    /// Closes every link of the page: all of its entries were there.
    pub(super) fn end_page(&mut self) {
        self.advance_to(JournalId::from_raw(i64::MAX));
        self.close();
    }

    /// Ends the walk, and names what the head and the kept heads say otherwise.
    pub(super) fn finish(&mut self, head_id: JournalId, head: &[u8]) {
        let ChainHead { journal_id: derived_id, chain_digest: derived } = self.last;
        if head_id != derived_id || head != derived.as_bytes() {
            self.discrepancies.push(Discrepancy::Head {
                recorded_id: head_id,
                derived_id,
                recorded: Digest::from_bytes(head.try_into().unwrap_or_default()).to_string(),
                derived,
            });
        }
        if self.kept.get(&JournalId::from_raw(0)) == Some(&GENESIS) {
            self.kept.remove(&JournalId::from_raw(0));
        }
        let mut kept: Vec<_> = self.kept.drain().collect();
        kept.sort_unstable();
        self.discrepancies.extend(kept.into_iter().map(|(id, kept)| Discrepancy::KeptHead { id, kept }));
    }

    /// Closes every link before `id`, and opens it if it exists.
    fn advance_to(&mut self, id: JournalId) {
        while self.open.as_ref().is_none_or(|open| open.id < id)
            && self.links.front().is_some_and(|next| next.id <= id.raw())
        {
            self.close();
            let Some(row) = self.links.pop_front() else { return };
            let id = JournalId::from_raw(row.id);
            match self.open_link(row) {
                Some(open) => self.open = Some(open),
                None => self.discrepancies.push(Discrepancy::JournalUnreadable { id }),
            }
        }
    }

    fn open_link(&self, row: LinkRow) -> Option<OpenLink> {
        let digest = |bytes: &[u8]| bytes.try_into().map(Digest::from_bytes).ok();
        Some(OpenLink {
            id: JournalId::from_raw(row.id),
            sealed: u64::try_from(row.entry_count).ok()?,
            content: digest(&row.content_digest)?,
            chain: digest(&row.chain_digest)?,
            hasher: self.hasher(&row),
            found: 0,
            sums: BTreeMap::new(),
        })
    }

    fn hasher(&self, row: &LinkRow) -> Option<ContentHasher> {
        let LinkRow { key, description, .. } = row;
        let epoch = row.epoch.map(|day| day.format("%Y-%m-%d").to_string()).unwrap_or_default();
        let entry_count = usize::try_from(row.entry_count).ok()?;
        let event = Event::parse(&row.event)?;
        let mut members = Vec::new();
        let expires_at = row.expires_at.map(microseconds).unwrap_or_default();
        let header = match event {
            Event::Journal => Header::Journal { key, epoch: &epoch, description, entry_count },
            Event::Hold => Header::Hold {
                key,
                description,
                debit: row.debit.as_deref()?,
                credit: row.credit.as_deref()?,
                amount: row.hold_amount.as_deref()?,
                expires_at: &expires_at,
            },
            Event::Post | Event::Void | Event::Expire => Header::HoldEnd {
                key,
                epoch: &epoch,
                description,
                hold: row.ended_hold.as_deref()?,
                event,
                entry_count,
            },
            Event::Limit => Header::Limit {
                key,
                description,
                account: row.limited.as_deref()?,
                floor: row.floor.as_deref().unwrap_or_default(),
                ceiling: row.ceiling.as_deref().unwrap_or_default(),
            },
            Event::Batch => {
                let member_count = usize::try_from(row.member_count?).ok()?;
                let first = self.recent.len().checked_sub(member_count)?;
                members.extend(self.recent.range(first..));
                Header::Batch { key, description, member_count }
            }
        };
        let mut hasher = ContentHasher::new(&header);
        members.into_iter().for_each(|member| hasher.member(member));
        Some(hasher)
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let OpenLink { id, sealed, content, chain, hasher, found, sums } = open;
        let expected = JournalId::from_raw(self.last.journal_id.raw() + 1);
        let discrepancies = &mut self.discrepancies;
        if id != expected {
            discrepancies.push(Discrepancy::JournalMissing { id: expected });
        }
        if found != sealed {
            discrepancies.push(Discrepancy::EntryCount { id, sealed, found });
        }
        for (asset, (debits, credits)) in sums {
            if debits != credits {
                discrepancies.push(Discrepancy::Unbalanced { id, asset, debits, credits });
            }
        }
        match hasher.map(ContentHasher::finish) {
            Some(derived) if derived == content => {}
            Some(derived) => {
                discrepancies.push(Discrepancy::ContentDigest { id, recorded: content, derived })
            }
            None => discrepancies.push(Discrepancy::JournalUnreadable { id }),
        }
        // From the recorded content, so that one changed journal is named once and not by every later link.
        let derived = link(&self.last.chain_digest, &content);
        if chain != derived {
            discrepancies.push(Discrepancy::Chain { id, recorded: chain, derived });
        }
        if self.kept.get(&id) == Some(&chain) {
            self.kept.remove(&id);
        }
        if self.recent.len() == BATCH_MEMBERS_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(content);
        self.last = ChainHead { journal_id: id, chain_digest: chain };
        self.journals += 1;
    }
}

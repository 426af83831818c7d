use serde::Serialize;
use tale_primitives::{Amount, Digest};

use crate::JournalId;

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
    /// A journal whose event, digests or hold cannot be read.
    #[error("journal {id} cannot be read")]
    JournalUnreadable {
        /// The journal.
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
    /// A head that was kept elsewhere is no link of the chain: what came before it was rewritten.
    #[error("the head {kept} that was kept for journal {id} is no link of this chain")]
    KeptHead {
        /// The journal that it was the head at.
        id: JournalId,
        /// The link that was kept.
        kept: Digest,
    },
    /// An entry whose journal, account, side or amount makes no sense.
    #[error("entry {line} of journal {id} belongs to nothing or cannot be read")]
    EntryUnreadable {
        /// The journal that it names.
        id: JournalId,
        /// Its line.
        line: i32,
    },
    /// A hold that ended otherwise than the chain says.
    #[error("hold {id} was ended by {}, the chain says by {}", or_nothing(*.recorded), or_nothing(*.derived))]
    HoldEnd {
        /// The hold.
        id: JournalId,
        /// What ended it, says its row.
        recorded: Option<JournalId>,
        /// The journal that ended it.
        derived: Option<JournalId>,
    },
    /// A hold that no journal opened, or that moved what it did not hold.
    #[error("hold {id} has no journal that opened it, or was posted beyond it")]
    HoldContent {
        /// The hold.
        id: JournalId,
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
        derived_debits: String,
        /// The sum of its credits.
        derived_credits: String,
    },
    /// Pending sums that its open holds do not add up to.
    #[error(
        "account {account} has pending debits {debits} and credits {credits}, \
         its open holds add up to {derived_debits} and {derived_credits}"
    )]
    AccountPending {
        /// The account.
        account: String,
        /// The recorded sum of what is pending out of it.
        debits: String,
        /// The recorded sum of what is pending into it.
        credits: String,
        /// The sum of the open holds that would debit it.
        derived_debits: String,
        /// The sum of the open holds that would credit it.
        derived_credits: String,
    },
    /// Limits that are not the last that were set.
    #[error("account {account} has other limits than were last set")]
    AccountLimits {
        /// The account.
        account: String,
    },
    /// An account that is overdrawn, or beyond its limits.
    #[error("account {account} is below zero or its floor, or above its ceiling")]
    AccountBeyond {
        /// The account.
        account: String,
    },
    /// An account in an asset that nobody registered.
    #[error("account {account} counts an asset that is not registered")]
    AssetUnknown {
        /// The account.
        account: String,
    },
}

fn or_nothing(id: Option<JournalId>) -> String {
    id.map_or_else(|| "nothing".to_owned(), |id| format!("journal {id}"))
}

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sqlx::PgConnection;
use tale_primitives::Digest;

use crate::{JournalId, LedgerError};

/// A link of the hash chain that was its last at some time, written `journal:digest`.
///
/// Kept outside the database, it shows later whether anybody has rewritten what came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHead {
    /// The last journal; 0 before the first.
    pub journal_id: JournalId,
    /// Its chain digest; zeros before the first.
    pub chain_digest: Digest,
}

/// The last link of the hash chain.
///
/// It is the last for good only within a transaction that has posted: others wait for that one to end.
pub async fn chain_head(conn: &mut PgConnection) -> Result<ChainHead, LedgerError> {
    let row = sqlx::query_file!("../../sql/ledger/find_chain_head.sql").fetch_one(conn).await?;
    ChainHead::of_row(row.journal_id, &row.chain_digest)
}

impl ChainHead {
    pub(crate) fn of_row(journal_id: i64, chain_digest: &[u8]) -> Result<Self, LedgerError> {
        let bytes = chain_digest.try_into().map_err(|_: std::array::TryFromSliceError| {
            LedgerError::CorruptRow { table: "chain_head", row: journal_id.to_string() }
        })?;
        Ok(Self { journal_id: JournalId::from_raw(journal_id), chain_digest: Digest::from_bytes(bytes) })
    }
}

impl fmt::Display for ChainHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.journal_id, self.chain_digest)
    }
}

impl FromStr for ChainHead {
    type Err = LedgerError;

    fn from_str(text: &str) -> Result<Self, LedgerError> {
        let parsed = text.split_once(':').and_then(|(journal, digest)| {
            let journal_id = journal.parse().ok().filter(|id: &JournalId| id.raw() >= 0)?;
            Some(Self { journal_id, chain_digest: digest.parse().ok()? })
        });
        parsed.ok_or_else(|| LedgerError::NotAChainHead(text.chars().take(100).collect()))
    }
}

impl Serialize for ChainHead {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChainHead {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_survives_its_text_form_and_nothing_else_is_one() {
        let head = ChainHead { journal_id: JournalId::from_raw(7), chain_digest: Digest::of("x") };
        assert_eq!(head.to_string().parse::<ChainHead>().expect("its own text"), head);
        for text in ["", "7", "7:", ":7", "-1:00", &format!("-1:{}", Digest::of("x"))] {
            assert!(matches!(text.parse::<ChainHead>(), Err(LedgerError::NotAChainHead(_))), "{text:?}");
        }
    }
}

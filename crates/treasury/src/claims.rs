use std::{collections::HashMap, io::Read};

use csv::{ReaderBuilder, StringRecord, Trim};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tale_primitives::{Address, AddressError, Amount, AmountError, UtcDay};

use crate::{
    Leaf, MerkleHash, MerkleTree, TreasuryError, TreeDump,
    epoch::{address, find_epoch},
    merkle::{encode_address, encode_amount},
};

/// Everything that an account ever earned in one token: the leaf of the claims tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClaimLeaf {
    /// Who may claim.
    pub account: Address,
    /// The token's contract.
    pub token: Address,
    /// The sum over all epochs, in base units; never falls.
    pub cumulative: Amount,
}

/// A tree of cumulative claims.
pub type ClaimsTree = MerkleTree<ClaimLeaf>;

impl Leaf for ClaimLeaf {
    const ENCODING: &'static [&'static str] = &["address", "address", "uint256"];

    fn abi_encode(&self, words: &mut Vec<u8>) {
        encode_address(&self.account, words);
        encode_address(&self.token, words);
        encode_amount(self.cumulative, words);
    }

    fn to_values(&self) -> Vec<String> {
        vec![self.account.to_string(), self.token.to_string(), self.cumulative.to_string()]
    }

    fn from_values(values: &[String]) -> Option<Self> {
        let [account, token, cumulative] = values else { return None };
        Some(Self {
            account: account.parse().ok()?,
            token: token.parse().ok()?,
            cumulative: cumulative.parse().ok()?,
        })
    }
}

/// The claims tree of a published epoch, built again from its rewards and held against its root.
pub async fn claims_tree(conn: &mut PgConnection, day: UtcDay) -> Result<ClaimsTree, TreasuryError> {
    let root = find_epoch(conn, day).await?.ok_or(TreasuryError::NotSealed(day))?.root;
    let root = root.ok_or(TreasuryError::NoClaims(day))?;
    let tree = ClaimsTree::build(list_cumulative(conn, day).await?)?;
    if tree.root() == root { Ok(tree) } else { Err(TreasuryError::RootDiffers { epoch: day }) }
}

/// Reads a claims file as whoever pays from it would, and holds it against the root of its epoch.
pub fn read_claims_file(epoch: UtcDay, root: &MerkleHash, bytes: &[u8]) -> Result<ClaimsTree, TreasuryError> {
    let dump: TreeDump = serde_json::from_slice(bytes).map_err(TreasuryError::Canonical)?;
    let tree = ClaimsTree::load(&dump)?;
    if tree.root() == *root {
        return Ok(tree);
    }
    Err(TreasuryError::ClaimsFileDiffers { epoch, root: *root, read: tree.root() })
}

/// What each account earned in each token up to this day, by account and token.
pub(crate) async fn list_cumulative(
    conn: &mut PgConnection,
    day: UtcDay,
) -> Result<Vec<ClaimLeaf>, TreasuryError> {
    sqlx::query_file!("../../sql/treasury/list_cumulative_rewards.sql", day.date())
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(|row| {
            Ok(ClaimLeaf {
                account: address(&row.owner, "reward", day)?,
                token: address(&row.token, "epoch", day)?,
                cumulative: row.cumulative.parse().map_err(|_| TreasuryError::CorruptRow {
                    table: "reward",
                    row: format!("days up to {day}"),
                })?,
            })
        })
        .collect()
}

/// Why a file of rewards was refused, by line; the header is line 1.
#[derive(Debug, thiserror::Error)]
pub enum ClaimsError {
    /// Nothing at all.
    #[error("the file is empty: expected the header account,token,cumulative")]
    Empty,
    /// A header, and nothing under it.
    #[error("the file has a header and no rewards")]
    NoRewards,
    /// The first line is something else.
    #[error("line 1: expected the header account,token,cumulative, found {found:?}")]
    Header {
        /// The first line.
        found: String,
    },
    /// A line with more or fewer columns.
    #[error("line {line}: expected 3 columns, found {found}")]
    Columns {
        /// The line.
        line: u64,
        /// How many columns it has.
        found: usize,
    },
    /// A text that is not an address.
    #[error("line {line}: {column}: {source}")]
    Address {
        /// The line.
        line: u64,
        /// The column's name.
        column: &'static str,
        /// What is wrong with it.
        source: AddressError,
    },
    /// A text that is not an amount.
    #[error("line {line}: cumulative: {source}")]
    Amount {
        /// The line.
        line: u64,
        /// What is wrong with it.
        source: AmountError,
    },
    /// An account and token that an earlier line has.
    #[error("line {line}: {account} with token {token} is on line {first} already")]
    Duplicate {
        /// The line.
        line: u64,
        /// The line that has them first.
        first: u64,
        /// The account.
        account: Address,
        /// The token.
        token: Address,
    },
    /// Bytes that are not UTF-8, or a file that cannot be read.
    #[error("line {line}: cannot be read")]
    Unreadable {
        /// The line.
        line: u64,
        /// Why.
        source: csv::Error,
    },
}

impl ClaimsError {
    /// The line that is wrong.
    pub fn line(&self) -> u64 {
        match self {
            Self::Empty | Self::NoRewards | Self::Header { .. } => 1,
            Self::Columns { line, .. }
            | Self::Address { line, .. }
            | Self::Amount { line, .. }
            | Self::Duplicate { line, .. }
            | Self::Unreadable { line, .. } => *line,
        }
    }
}

const HEADER: [&str; 3] = ["account", "token", "cumulative"];

/// Reads `account,token,cumulative` lines under that header, in their order.
///
/// A byte-order mark, CRLF, blank lines and spaces around a value are let through; everything else that is not
/// three well-formed values is an error that names its line, and so is an account that stands twice.
pub fn parse_rewards_csv(reader: impl Read) -> Result<Vec<ClaimLeaf>, ClaimsError> {
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(reader);
    let mut record = StringRecord::new();
    if !read(&mut reader, &mut record)? {
        return Err(ClaimsError::Empty);
    }
    let header = record.iter().enumerate().map(|(place, name)| match place {
        0 => name.trim_start_matches('\u{feff}').trim(),
        _ => name,
    });
    if !header.eq(HEADER) {
        let found = record.iter().collect::<Vec<_>>().join(",").chars().take(100).collect();
        return Err(ClaimsError::Header { found });
    }

    let mut leaves = Vec::new();
    let mut first_lines: HashMap<(Address, Address), u64> = HashMap::new();
    while read(&mut reader, &mut record)? {
        let line = record.position().map_or(0, csv::Position::line);
        let leaf = parse_record(&record, line)?;
        if let Some(first) = first_lines.insert((leaf.account, leaf.token), line) {
            let ClaimLeaf { account, token, .. } = leaf;
            return Err(ClaimsError::Duplicate { line, first, account, token });
        }
        leaves.push(leaf);
    }
    if leaves.is_empty() { Err(ClaimsError::NoRewards) } else { Ok(leaves) }
}

fn read<R: Read>(reader: &mut csv::Reader<R>, record: &mut StringRecord) -> Result<bool, ClaimsError> {
    reader.read_record(record).map_err(|source| {
        let line = source.position().map_or_else(|| reader.position().line(), csv::Position::line);
        ClaimsError::Unreadable { line, source }
    })
}

fn parse_record(record: &StringRecord, line: u64) -> Result<ClaimLeaf, ClaimsError> {
    let columns: Vec<&str> = record.iter().collect();
    let [account, token, cumulative] = columns[..] else {
        return Err(ClaimsError::Columns { line, found: columns.len() });
    };
    let address =
        |column, text: &str| text.parse().map_err(|source| ClaimsError::Address { line, column, source });
    Ok(ClaimLeaf {
        account: address("account", account)?,
        token: address("token", token)?,
        cumulative: cumulative.parse().map_err(|source| ClaimsError::Amount { line, source })?,
    })
}

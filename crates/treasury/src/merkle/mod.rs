//! OpenZeppelin's `standard-v1` Merkle tree (npm `@openzeppelin/merkle-tree` 1.0.8), byte for byte.
//!
//! A leaf is Keccak-256 applied twice to the ABI encoding of its values; a node is Keccak-256 of its two children,
//! the smaller first. Leaves are sorted by hash and placed from the end of an array in which the children of `i`
//! are `2i + 1` and `2i + 2`. Trees of other layouts over the same leaves have other roots.

mod dump;
mod hash;
mod leaf;
mod tree;

pub use dump::{LEAF_FORMAT, TreeDump, TreeDumpValue};
pub use hash::MerkleHash;
pub use leaf::Leaf;
pub(crate) use leaf::{encode_address, encode_amount};
pub use tree::{MerkleTree, verify_proof};

/// Why a tree could not be built, read or asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MerkleError {
    /// A tree of nothing has no root.
    #[error("a Merkle tree needs a leaf")]
    Empty,
    /// The same values twice: one of them could never be told from the other.
    #[error("values {first} and {second} are the same")]
    Duplicate {
        /// Place of the first in the input.
        first: usize,
        /// Place of the second in the input.
        second: usize,
    },
    /// A text that is not a hash.
    #[error("{0:?} is not a hash: expected 0x and 64 hexadecimal digits")]
    NotAHash(String),
    /// A dump of another format or of other leaves.
    #[error("the dump is {found}, expected {expected}")]
    OtherFormat {
        /// What it says it is.
        found: String,
        /// What can be read.
        expected: String,
    },
    /// A value of a dump that does not fit its encoding.
    #[error("value {place} of the dump does not fit the encoding of its leaves")]
    UnreadableValue {
        /// Its place in the dump.
        place: usize,
    },
    /// A dump whose hashes do not follow from its values.
    #[error("the hashes of the dump do not follow from its values")]
    CorruptDump,
}

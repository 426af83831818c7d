use serde::{Deserialize, Serialize};

use super::{Leaf, MerkleError, MerkleHash, MerkleTree};

/// The format that dumps name.
pub const LEAF_FORMAT: &str = "standard-v1";

/// A whole tree as `StandardMerkleTree.dump()` writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TreeDump {
    /// Always [`LEAF_FORMAT`].
    pub format: String,
    /// The Solidity types of a leaf's values.
    pub leaf_encoding: Vec<String>,
    /// Every node, the root first.
    pub tree: Vec<MerkleHash>,
    /// The leaves in the order in which they were given.
    pub values: Vec<TreeDumpValue>,
}

/// One leaf of a dump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TreeDumpValue {
    /// Its values as text.
    pub value: Vec<String>,
    /// Where in the tree it stands.
    pub tree_index: usize,
}

impl<L: Leaf> MerkleTree<L> {
    /// The tree in the format of OpenZeppelin's JavaScript.
    pub fn dump(&self) -> TreeDump {
        let values = self.leaves().iter().enumerate().map(|(place, leaf)| TreeDumpValue {
            value: leaf.to_values(),
            tree_index: self.tree_index(place).unwrap_or_default(),
        });
        TreeDump {
            format: LEAF_FORMAT.to_owned(),
            leaf_encoding: L::ENCODING.iter().map(|&solidity_type| solidity_type.to_owned()).collect(),
            values: values.collect(),
            tree: self.nodes().to_vec(),
        }
    }

    /// Reads a dump, computes every hash again and refuses a dump that disagrees.
    pub fn load(dump: &TreeDump) -> Result<Self, MerkleError> {
        if dump.format != LEAF_FORMAT || dump.leaf_encoding != L::ENCODING {
            return Err(MerkleError::OtherFormat {
                found: format!("{} of ({})", dump.format, dump.leaf_encoding.join(", ")),
                expected: format!("{LEAF_FORMAT} of ({})", L::ENCODING.join(", ")),
            });
        }
        let leaves = dump
            .values
            .iter()
            .enumerate()
            .map(|(place, value)| L::from_values(&value.value).ok_or(MerkleError::UnreadableValue { place }))
            .collect::<Result<_, _>>()?;
        let tree = Self::build(leaves)?;
        let indexes_agree = dump
            .values
            .iter()
            .enumerate()
            .all(|(place, value)| tree.tree_index(place) == Some(value.tree_index));
        if tree.nodes() == dump.tree && indexes_agree { Ok(tree) } else { Err(MerkleError::CorruptDump) }
    }
}

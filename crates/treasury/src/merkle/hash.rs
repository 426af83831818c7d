use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tiny_keccak::{Hasher, Keccak};

use super::MerkleError;

/// A Keccak-256 hash: a leaf, a node or the root of a tree. Written as `0x` and 64 lower-case digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MerkleHash([u8; 32]);

impl MerkleHash {
    /// The hash with this value.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The value of the hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash of a leaf with this ABI encoding: hashed twice, so that no leaf can pass for a node.
    pub(super) fn of_leaf(encoding: &[u8]) -> Self {
        Self(keccak256(&[&keccak256(&[encoding])]))
    }

    /// The hash of the node above two others, in either order.
    pub(super) fn of_pair(one: &Self, other: &Self) -> Self {
        let (low, high) = if one <= other { (one, other) } else { (other, one) };
        Self(keccak256(&[&low.0, &high.0]))
    }
}

fn keccak256(parts: &[&[u8]]) -> [u8; 32] {
    let mut keccak = Keccak::v256();
    for part in parts {
        keccak.update(part);
    }
    let mut hash = [0; 32];
    keccak.finalize(&mut hash);
    hash
}

impl fmt::Display for MerkleHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("0x{}", hex::encode(self.0)))
    }
}

impl fmt::Debug for MerkleHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MerkleHash(0x{})", hex::encode(&self.0[..6]))
    }
}

impl FromStr for MerkleHash {
    type Err = MerkleError;

    fn from_str(text: &str) -> Result<Self, MerkleError> {
        let not_a_hash = || MerkleError::NotAHash(text.chars().take(100).collect());
        let mut bytes = [0; 32];
        let digits = text.strip_prefix("0x").ok_or_else(not_a_hash)?;
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| not_a_hash())?;
        Ok(Self(bytes))
    }
}

impl Serialize for MerkleHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MerkleHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

//! The chain's words for what the rest of the code has its own types for.

use alloy_primitives::{Address as ChainAddress, B256, U256};
use tale_primitives::{Address, Amount};
use tale_treasury::MerkleHash;

pub(crate) fn chain_address(address: Address) -> ChainAddress {
    ChainAddress::from(*address.as_bytes())
}

pub(crate) fn own_address(address: ChainAddress) -> Address {
    Address::from_bytes(address.into_array())
}

pub(crate) fn chain_hash(hash: MerkleHash) -> B256 {
    B256::from(*hash.as_bytes())
}

pub(crate) fn own_hash(hash: B256) -> MerkleHash {
    MerkleHash::from_bytes(hash.0)
}

pub(crate) fn amount(value: U256) -> Amount {
    Amount::from_u256(value)
}

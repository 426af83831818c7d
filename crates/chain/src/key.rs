use std::fmt;

use alloy_primitives::{Address as ChainAddress, B256, U256, keccak256};
use k256::ecdsa::{RecoveryId, Signature, SigningKey};
use tale_primitives::Address;
use zeroize::Zeroizing;

use crate::{ChainError, words::own_address};

/// A private key that signs transactions. Nothing shows it, and its memory is overwritten when it is dropped.
pub struct Key(SigningKey);

/// A signature as transactions carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signed {
    pub is_y_odd: bool,
    pub r: U256,
    pub s: U256,
}

impl Key {
    /// The key that 64 hexadecimal digits stand for, with or without `0x`.
    pub fn parse(text: &str) -> Result<Self, ChainError> {
        let digits = text.trim();
        let digits = digits.strip_prefix("0x").unwrap_or(digits);
        let mut bytes = Zeroizing::new([0_u8; 32]);
        alloy_primitives::hex::decode_to_slice(digits, bytes.as_mut()).map_err(|_| ChainError::NotAKey)?;
        SigningKey::from_slice(bytes.as_ref()).map(Self).map_err(|_| ChainError::NotAKey)
    }

    /// The account that it signs for.
    pub fn address(&self) -> Address {
        own_address(self.chain_address())
    }

    pub(crate) fn chain_address(&self) -> ChainAddress {
        let point = self.0.verifying_key().to_encoded_point(false);
        // without the byte that says "uncompressed"
        ChainAddress::from_slice(&keccak256(&point.as_bytes()[1..])[12..])
    }

    pub(crate) fn sign(&self, hash: B256) -> Result<Signed, ChainError> {
        let (signature, recovery): (Signature, RecoveryId) =
            self.0.sign_prehash_recoverable(hash.as_slice()).map_err(|_| ChainError::NotAKey)?;
        let (r, s) = signature.split_bytes();
        Ok(Signed { is_y_odd: recovery.is_y_odd(), r: U256::from_be_slice(&r), s: U256::from_be_slice(&s) })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key of {}", self.address())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first key of anvil and hardhat, which everybody knows.
    const KNOWN: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

    #[test]
    fn a_key_has_the_address_that_others_derive_from_it() {
        let key = Key::parse(KNOWN).unwrap();
        assert_eq!(key.address().to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    }

    #[test]
    fn what_is_not_a_key_is_refused_without_being_shown() {
        for text in ["", "0x", "12", &"0".repeat(64), &"f".repeat(64), &"g".repeat(64), &KNOWN[..64]] {
            let error = Key::parse(text).unwrap_err();
            assert!(matches!(error, ChainError::NotAKey));
            assert!(text.len() < 3 || !format!("{error} {error:?}").contains(text));
        }
    }

    #[test]
    fn a_key_does_not_show_itself() {
        let shown = format!("{:?}", Key::parse(KNOWN).unwrap());
        assert!(!shown.contains(&KNOWN[4..12]), "{shown}");
    }
}

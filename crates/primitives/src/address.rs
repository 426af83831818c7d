//! EVM addresses: whom a reward belongs to.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tiny_keccak::{Hasher, Keccak};

/// A 20-byte EVM account address, shown with its EIP-55 checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 20]);

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not `0x` and forty hexadecimal digits.
    #[error("{0:?} is not an address: expected 0x and 40 hexadecimal digits")]
    NotHexadecimal(String),
    /// Mixed case that does not match the EIP-55 checksum: probably a typing error.
    #[error("{0} fails its EIP-55 checksum: {1} would pass")]
    Checksum(String, Address),
}

impl Address {
    /// The address of these bytes.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The bytes of the address.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The last 20 bytes of the Keccak-256 of `text`: an address for tests and demos that nobody holds a key to.
    pub fn derive(text: &str) -> Self {
        let mut bytes = [0; 20];
        bytes.copy_from_slice(&keccak256(text.as_bytes())[12..]);
        Self(bytes)
    }
}

fn keccak256(bytes: &[u8]) -> [u8; 32] {
    let mut keccak = Keccak::v256();
    keccak.update(bytes);
    let mut hash = [0; 32];
    keccak.finalize(&mut hash);
    hash
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = hex::encode(self.0);
        let hash = keccak256(digits.as_bytes());
        let checksummed: String = digits
            .chars()
            .enumerate()
            .map(|(place, digit)| {
                let nibble = hash[place / 2] >> (4 * (1 - place % 2)) & 0xf;
                if nibble >= 8 { digit.to_ascii_uppercase() } else { digit }
            })
            .collect();
        f.pad(&format!("0x{checksummed}"))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let not_hexadecimal = || AddressError::NotHexadecimal(text.chars().take(100).collect());
        let digits = text.strip_prefix("0x").ok_or_else(not_hexadecimal)?;
        let mut bytes = [0; 20];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| not_hexadecimal())?;
        let address = Self(bytes);
        let mixed =
            digits.bytes().any(|b| b.is_ascii_uppercase()) && digits.bytes().any(|b| b.is_ascii_lowercase());
        if mixed && address.to_string() != text {
            return Err(AddressError::Checksum(text.to_owned(), address));
        }
        Ok(address)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of EIP-55.
    const CHECKSUMMED: [&str; 4] = [
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    ];

    #[test]
    fn the_checksum_is_that_of_eip_55() {
        for text in CHECKSUMMED {
            let address: Address = text.parse().expect("a valid address");
            assert_eq!(address.to_string(), text);
            assert_eq!(text.to_lowercase().parse(), Ok(address));
        }
    }

    #[test]
    fn a_wrong_case_a_short_and_a_bare_address_are_refused() {
        let wrong = CHECKSUMMED[2].replace("5aA", "5Aa");
        assert!(matches!(wrong.parse::<Address>(), Err(AddressError::Checksum(..))));
        for text in ["", "0x", "0x12", &CHECKSUMMED[0][2..], "0xzz908400098527886E0F7030069857D2E4169EE7"] {
            assert!(matches!(text.parse::<Address>(), Err(AddressError::NotHexadecimal(_))), "{text:?}");
        }
    }
}

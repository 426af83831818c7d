//! Money: unsigned integers in base units.

use std::{fmt, str::FromStr};

use ruint::aliases::U256;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An amount of one asset in base units (10⁻¹⁸ of a token for TALE and xTALE).
///
/// Written everywhere as a decimal string, so that no program reads it into a float.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(U256);

/// Why an amount could not be read or computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// The text is not a sequence of decimal digits.
    #[error("{0:?} is not an amount: expected decimal digits, in base units")]
    NotDecimal(String),
    /// The value needs more than 256 bits.
    #[error("{0} does not fit in 256 bits")]
    TooLarge(String),
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(U256::ZERO);

    /// The largest amount: 2²⁵⁶ − 1.
    pub const MAX: Self = Self(U256::MAX);

    /// An amount from a 256-bit integer of base units.
    pub const fn from_u256(base_units: U256) -> Self {
        Self(base_units)
    }

    /// The amount as a 256-bit integer of base units.
    pub const fn to_u256(self) -> U256 {
        self.0
    }

    /// `self + other`, or nothing where that needs more than 256 bits.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// `self − other`, or nothing where that is negative.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// `self × factor`, or nothing where that needs more than 256 bits.
    pub fn checked_mul(self, factor: u64) -> Option<Self> {
        self.0.checked_mul(U256::from(factor)).map(Self)
    }

    /// Whether this is nothing.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// The 32 bytes of the amount, most significant first, as the EVM encodes a `uint256`.
    pub fn to_be_bytes(self) -> [u8; 32] {
        self.0.to_be_bytes()
    }

    /// The sum, or nothing where it needs more than 256 bits.
    pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }
}

impl From<u64> for Amount {
    fn from(base_units: u64) -> Self {
        Self(U256::from(base_units))
    }
}

impl From<u128> for Amount {
    fn from(base_units: u128) -> Self {
        Self(U256::from(base_units))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad_integral(true, "", &self.0.to_string())
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(AmountError::NotDecimal(text.chars().take(100).collect()));
        }
        U256::from_str_radix(text, 10)
            .map(Self)
            .map_err(|_| AmountError::TooLarge(text.chars().take(100).collect()))
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_amount_survives_its_decimal_form(limbs: [u64; 4]) {
            let amount = Amount::from_u256(U256::from_limbs(limbs));
            prop_assert_eq!(amount.to_string().parse::<Amount>(), Ok(amount));
        }
    }

    #[test]
    fn what_is_not_a_decimal_integer_is_refused() {
        for text in ["", "-1", "+1", "1.0", "0x10", " 1", "1e3", "１"] {
            assert!(matches!(text.parse::<Amount>(), Err(AmountError::NotDecimal(_))), "{text:?}");
        }
        let over = format!("{}0", U256::MAX);
        assert!(matches!(over.parse::<Amount>(), Err(AmountError::TooLarge(_))));
    }
}

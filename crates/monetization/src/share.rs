//! Shares of amounts in millionths.

use ruint::aliases::U256;
use serde::{Deserialize, Serialize};
use tale_primitives::Amount;

/// How many millionths a whole has.
const WHOLE_PPM: u32 = 1_000_000;

/// A share in millionths, from nothing to the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Share(u32);

/// More millionths than a whole has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a share in millionths: expected 0 to 1000000")]
pub struct ShareError(u32);

impl Share {
    /// The share in millionths.
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// This share of an amount, rounded down to the base unit: at most the amount, whatever that is.
    pub fn of(self, amount: Amount) -> Amount {
        let (whole, share) = (U256::from(WHOLE_PPM), U256::from(self.0));
        // In two parts, neither of which is larger than the amount, so that no product overflows.
        let (millions, rest) = amount.to_u256().div_rem(whole);
        Amount::from_u256(millions * share + rest * share / whole)
    }
}

impl TryFrom<u32> for Share {
    type Error = ShareError;

    fn try_from(ppm: u32) -> Result<Self, ShareError> {
        if ppm <= WHOLE_PPM { Ok(Self(ppm)) } else { Err(ShareError(ppm)) }
    }
}

impl From<Share> for u32 {
    fn from(share: Share) -> Self {
        share.0
    }
}

//! Seeds: every random number of a run is drawn from one of these.

use std::fmt;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest as _, Sha256};

/// A 256-bit seed, from which independent seeds are derived by label.
///
/// Two tasks that derive by different labels draw independent numbers, in any order and on any
/// machine, so a run's bytes depend on its seed alone and never on who ran what first.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seed([u8; 32]);

impl Seed {
    /// The root seed for a number that a user chose.
    pub fn new(number: u64) -> Self {
        Self([0; 32]).child("taleworks").child(&number.to_string())
    }

    /// The seed of these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the seed.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The seed below this one with this label: SHA-256(seed ‖ label).
    pub fn child(&self, label: &str) -> Self {
        Self(Sha256::new().chain_update(self.0).chain_update(label.as_bytes()).finalize().into())
    }

    /// A counter-based generator (ChaCha with eight rounds) at its start.
    pub fn rng(&self) -> ChaCha8Rng {
        ChaCha8Rng::from_seed(self.0)
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seed({})", hex::encode(&self.0[..6]))
    }
}

//! References to immutable bytes in the store.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_primitives::Digest;

/// An object in the store: its content decides its key, so a reference can go stale only by deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectRef {
    /// The SHA-256 of the bytes.
    #[schemars(with = "String", regex(pattern = "^[0-9a-f]{64}$"))]
    pub digest: Digest,
    /// How many bytes there are.
    pub size_bytes: u64,
}

impl ObjectRef {
    /// The reference that these bytes will have in any store.
    pub fn of(bytes: &[u8]) -> Self {
        Self { digest: Digest::of(bytes), size_bytes: bytes.len() as u64 }
    }

    /// The key below the store's prefix: `sha256/ab/ab12…`.
    ///
    /// The two digits keep directories of a local store small.
    pub fn key(&self) -> String {
        let digits = self.digest.to_string();
        format!("sha256/{}/{digits}", &digits[..2])
    }
}

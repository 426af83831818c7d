//! Where history goes: the object store, as far as the queue needs it.

use std::{error::Error, fmt, ops::Deref, sync::Arc};

use async_trait::async_trait;
use tale_primitives::Digest;

use crate::QueueError;

/// What the store said when it did not do what it was asked for.
pub type ArchiveRefusal = Box<dyn Error + Send + Sync>;

/// An object that the archive keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Kept {
    /// The SHA-256 of its bytes, by which it is found.
    pub digest: Digest,
    /// How many bytes it has.
    pub size_bytes: u64,
}

/// Something that keeps bytes by their content: keeping the same ones twice is keeping them once.
#[async_trait]
pub trait Archive: Send + Sync {
    /// Keeps bytes; when this returns they outlast a loss of power.
    async fn keep(&self, bytes: Vec<u8>) -> Result<Kept, ArchiveRefusal>;
    /// The bytes that were kept, checked.
    async fn fetch(&self, kept: &Kept) -> Result<Vec<u8>, ArchiveRefusal>;
}

/// An archive that several loops share.
#[derive(Clone)]
pub struct SharedArchive(pub Arc<dyn Archive>);

impl Deref for SharedArchive {
    type Target = dyn Archive;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl fmt::Debug for SharedArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedArchive")
    }
}

impl Kept {
    /// An object as two columns of a row give it.
    pub(crate) fn stored(digest: &[u8], size_bytes: i64) -> Result<Self, QueueError> {
        let unreadable = |what, value| QueueError::Unreadable { what, value };
        let digest = <[u8; 32]>::try_from(digest)
            .map_err(|_| unreadable("the digest of an object", format!("{} bytes", digest.len())))?;
        let size_bytes = u64::try_from(size_bytes)
            .map_err(|_| unreadable("the size of an object", size_bytes.to_string()))?;
        Ok(Self { digest: Digest::from_bytes(digest), size_bytes })
    }
}

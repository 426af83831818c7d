//! The object store as the queue's archive.

use async_trait::async_trait;
use tale_queue::{Archive, ArchiveRefusal, Kept};
use tale_storage::{ObjectRef, Store};

/// Keeps history in the object store, under its digest like every other object.
#[derive(Debug, Clone)]
pub struct StoreArchive(pub Store);

#[async_trait]
impl Archive for StoreArchive {
    async fn keep(&self, bytes: Vec<u8>) -> Result<Kept, ArchiveRefusal> {
        let ObjectRef { digest, size_bytes } = self.0.put(bytes.into()).await?;
        Ok(Kept { digest, size_bytes })
    }

    async fn fetch(&self, kept: &Kept) -> Result<Vec<u8>, ArchiveRefusal> {
        let Kept { digest, size_bytes } = *kept;
        Ok(self.0.get(&ObjectRef { digest, size_bytes }).await?.into())
    }
}

//! Objects that others put into the store by name become objects of their content, which nobody can change.

use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use sha2::{Digest as _, Sha256};
use tale_primitives::Digest;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use crate::{ObjectRef, ObjectRole, StorageError, Store, routing::temporary_directory};

/// The bytes that an object had when it was adopted, in a file that disappears with the value.
#[derive(Debug)]
pub struct AdoptedFile {
    /// The object of these bytes, which is in the store.
    pub object: ObjectRef,
    path: PathBuf,
    _directory: TempDir,
}

impl AdoptedFile {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Store {
    /// Copies what is under `key` to an object that is named by its content, through a file that can be read too:
    /// whatever becomes of `key`, these bytes stay.
    pub async fn adopt(&self, key: &str) -> Result<AdoptedFile, StorageError> {
        let failed = |source| self.failure("read", key, source);
        let directory = temporary_directory()?;
        let path = directory.path().join("adopted");
        let unwritable = |source| StorageError::LocalFile { operation: "write", path: path.clone(), source };

        let mut bytes = self.client().get(&self.path(key)).await.map_err(failed)?.into_stream();
        let mut file = tokio::fs::File::create_new(&path).await.map_err(unwritable)?;
        let (mut hash, mut size_bytes) = (Sha256::new(), 0);
        while let Some(piece) = bytes.try_next().await.map_err(failed)? {
            hash.update(&piece);
            size_bytes += piece.len() as u64;
            file.write_all(&piece).await.map_err(unwritable)?;
        }
        file.flush().await.map_err(unwritable)?;
        let object = ObjectRef { digest: Digest::from_bytes(hash.finalize().into()), size_bytes };
        self.put_digested_file(&path, &object).await?;
        self.note(ObjectRole::Read, &object, Some(key));
        Ok(AdoptedFile { object, path, _directory: directory })
    }
}

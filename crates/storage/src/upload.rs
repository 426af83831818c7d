//! Files into objects and back, without holding them in memory.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStoreExt, WriteMultipart};
use sha2::{Digest as _, Sha256};
use tale_primitives::Digest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{ObjectRef, ObjectRole, StorageError, Store, blocking::blocking};

/// Files up to this size go in one conditional request; larger ones go in parts.
const SINGLE_REQUEST_BYTES_MAX: u64 = 16 << 20;

/// The size of a part: S3 wants at least 5 MiB and allows 10,000 parts, so objects may have 80 GiB.
const PART_BYTES: usize = 8 << 20;

/// Parts under way at once, which bounds the memory of an upload.
const PARTS_AT_ONCE: usize = 4;

impl Store {
    /// Writes the file at `path` as an object; memory stays bounded whatever its size.
    ///
    /// A large object becomes visible with its last part. Two writers of one large object may both upload
    /// it, which changes nothing, since their bytes are the same.
    pub async fn put_file(&self, path: &Path) -> Result<ObjectRef, StorageError> {
        let object = digest_file(path.to_owned()).await?;
        self.put_digested_file(path, &object).await?;
        self.note(ObjectRole::Written, &object, None);
        Ok(object)
    }

    /// [`Store::put_file`] for a file whose digest is known.
    pub(crate) async fn put_digested_file(
        &self,
        path: &Path,
        object: &ObjectRef,
    ) -> Result<(), StorageError> {
        let unreadable =
            |source| StorageError::LocalFile { operation: "read", path: path.to_owned(), source };
        if self.contains(object).await? {
            return self.make_durable(&object.key()).await;
        }
        if object.size_bytes <= SINGLE_REQUEST_BYTES_MAX {
            let bytes = Bytes::from(tokio::fs::read(path).await.map_err(unreadable)?);
            if ObjectRef::of(&bytes) != *object {
                return Err(StorageError::FileChanged { path: path.to_owned() });
            }
            return self.put(bytes).await.map(drop);
        }

        let key = object.key();
        let mut file = tokio::fs::File::open(path).await.map_err(unreadable)?;
        let upload = self.client().put_multipart(&self.path(&key)).await;
        let upload = upload.map_err(|source| self.failure("write", &key, source))?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        let sent = self.send_parts(&mut file, &mut upload, object, path).await;
        if let Err(error) = sent {
            // The first error says more than a failure to tidy up after it.
            let _ = upload.abort().await;
            return Err(error);
        }
        upload.finish().await.map_err(|source| self.failure("write", &key, source))?;
        self.make_durable(&key).await
    }

    async fn send_parts(
        &self,
        file: &mut tokio::fs::File,
        upload: &mut WriteMultipart,
        object: &ObjectRef,
        path: &Path,
    ) -> Result<(), StorageError> {
        let mut hash = Sha256::new();
        loop {
            let mut part = Vec::with_capacity(PART_BYTES);
            let read = file.take(PART_BYTES as u64).read_to_end(&mut part).await;
            read.map_err(|source| StorageError::LocalFile {
                operation: "read",
                path: path.to_owned(),
                source,
            })?;
            if part.is_empty() {
                break;
            }
            let part = Bytes::from(part);
            let shared = part.clone();
            hash = blocking(move || hash.chain_update(&shared)).await?;
            let ready = upload.wait_for_capacity(PARTS_AT_ONCE).await;
            ready.map_err(|source| self.failure("write", &object.key(), source))?;
            upload.put(part);
        }
        if Digest::from_bytes(hash.finalize().into()) != object.digest {
            return Err(StorageError::FileChanged { path: path.to_owned() });
        }
        Ok(())
    }
}

impl Store {
    /// Fetches an object into a new file at `path`, checking its size and its digest on the way.
    pub async fn get_file(&self, object: &ObjectRef, path: &Path) -> Result<(), StorageError> {
        let key = object.key();
        let failed = |source| self.failure("read", &key, source);
        let unwritable =
            |source| StorageError::LocalFile { operation: "write", path: path.to_owned(), source };
        let answer = self.client().get(&self.path(&key)).await.map_err(failed)?;
        self.check_size(object, answer.meta.size)?;
        let mut file = tokio::fs::File::create_new(path).await.map_err(unwritable)?;
        let mut hash = Sha256::new();
        let mut bytes = answer.into_stream();
        while let Some(piece) = bytes.try_next().await.map_err(failed)? {
            hash.update(&piece);
            file.write_all(&piece).await.map_err(unwritable)?;
        }
        file.flush().await.map_err(unwritable)?;
        let found = Digest::from_bytes(hash.finalize().into());
        if found != object.digest {
            return Err(StorageError::WrongDigest { store: self.url().to_owned(), key, found });
        }
        self.note(ObjectRole::Read, object, None);
        Ok(())
    }
}

/// The reference that the file's bytes will have, read in small pieces.
pub(crate) async fn digest_file(path: PathBuf) -> Result<ObjectRef, StorageError> {
    blocking(move || {
        digest_reader(&path).map_err(|source| StorageError::LocalFile { operation: "read", path, source })
    })
    .await?
}

pub(crate) fn digest_reader(path: &Path) -> io::Result<ObjectRef> {
    let mut file = File::open(path)?;
    let (mut hash, mut size_bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => {
                hash.update(&buffer[..read]);
                size_bytes += read as u64;
            }
        }
    }
    Ok(ObjectRef { digest: Digest::from_bytes(hash.finalize().into()), size_bytes })
}

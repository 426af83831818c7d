//! One object store, by URL, holding immutable objects.

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc};

use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, path::Path as Key};
use tale_primitives::Digest;

use crate::{
    ObjectRef, ObjectRole, StorageError, blocking::blocking, durable::force_to_disk, settings,
    traffic::Traffic,
};

/// Bytes from which hashing leaves the async threads: a millisecond's work.
const HASH_INLINE_BYTES_MAX: usize = 1 << 20;

/// One object store: a local directory or an S3 bucket. Clones share the connections.
#[derive(Clone)]
pub struct Store {
    client: Arc<dyn ObjectStore>,
    prefix: Key,
    url: Arc<str>,
    /// Where a local store keeps its objects.
    directory: Option<Arc<Path>>,
    /// Where reads and writes are remembered.
    pub(crate) traffic: Option<Traffic>,
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PutReceipt {
    /// The object, which is in the store now.
    pub object: ObjectRef,
    /// Whether this write made it; otherwise it was there already.
    pub created: bool,
}

impl Store {
    /// Opens the store at `url`: `file:///directory` (made when missing) or `s3://bucket/prefix`.
    ///
    /// S3 takes its settings from the variables that its own tools use: `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT`, `AWS_ALLOW_HTTP` and the like. Opening makes no
    /// request; [`Store::probe`] does.
    pub fn open(url: &str) -> Result<Self, StorageError> {
        Self::open_with(url, &settings::environment())
    }

    /// [`Store::open`] with these `AWS_*` settings instead of the process's variables.
    pub fn open_with(url: &str, aws_settings: &BTreeMap<String, String>) -> Result<Self, StorageError> {
        let settings::Opened { client, prefix, url, directory } = settings::open(url, aws_settings)?;
        Ok(Self { client, prefix, url: url.into(), directory: directory.map(Arc::from), traffic: None })
    }

    /// The store's URL, which never holds credentials.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Writes `bytes` as an object; when it is there already, this is a success that writes nothing.
    pub async fn put(&self, bytes: Bytes) -> Result<ObjectRef, StorageError> {
        Ok(self.put_with_receipt(bytes).await?.object)
    }

    /// [`Store::put`], telling whether this call made the object: of concurrent writers exactly one did.
    pub async fn put_with_receipt(&self, bytes: Bytes) -> Result<PutReceipt, StorageError> {
        let object = ObjectRef { digest: digest_of(&bytes).await?, size_bytes: bytes.len() as u64 };
        let created = self.create(&object.key(), bytes).await?;
        self.note(ObjectRole::Written, &object, None);
        Ok(PutReceipt { object, created })
    }

    /// Reads a whole object and checks its size and its digest.
    pub async fn get(&self, object: &ObjectRef) -> Result<Bytes, StorageError> {
        let key = object.key();
        let failed = |source| self.failure("read", &key, source);
        let answer = self.client.get(&self.path(&key)).await.map_err(failed)?;
        // Before the body is read: a wrong object must not fill the memory.
        self.check_size(object, answer.meta.size)?;
        let bytes = answer.bytes().await.map_err(failed)?;
        self.check_size(object, bytes.len() as u64)?;
        let found = digest_of(&bytes).await?;
        if found != object.digest {
            return Err(StorageError::WrongDigest { store: self.url.to_string(), key, found });
        }
        self.note(ObjectRole::Read, object, None);
        Ok(bytes)
    }

    /// Whether the object is there with the right size; its bytes are not read.
    pub async fn contains(&self, object: &ObjectRef) -> Result<bool, StorageError> {
        let key = object.key();
        match self.client.head(&self.path(&key)).await {
            Ok(meta) => self.check_size(object, meta.size).map(|()| true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(self.failure("read", &key, source)),
        }
    }

    /// Writes, reads and deletes a small object of its own, and checks that a second write is refused.
    ///
    /// Everything that the product asks of a store is tried, so that `tale doctor` can vouch for it.
    pub async fn probe(&self) -> Result<(), StorageError> {
        let key = format!("probe/{:016x}", rand::random::<u64>());
        let written = Bytes::from_static(b"taleworks probes this store");
        self.create(&key, written.clone()).await?;
        let outcome = self.probe_object(&key, &written).await;
        let deleted = self.client.delete(&self.path(&key)).await;
        outcome?;
        deleted.map_err(|source| self.failure("delete", &key, source))
    }

    async fn probe_object(&self, key: &str, written: &Bytes) -> Result<(), StorageError> {
        if self.create(key, written.clone()).await? {
            return Err(StorageError::UnconditionalStore { store: self.url.to_string() });
        }
        let failed = |source| self.failure("read", key, source);
        let read = self.client.get(&self.path(key)).await.map_err(failed)?.bytes().await.map_err(failed)?;
        if read != *written {
            let found = Digest::of(&read);
            return Err(StorageError::WrongDigest {
                store: self.url.to_string(),
                key: key.to_owned(),
                found,
            });
        }
        Ok(())
    }

    /// Writes `bytes` under `key` unless something is there; tells whether it wrote.
    async fn create(&self, key: &str, bytes: Bytes) -> Result<bool, StorageError> {
        let options = PutOptions::from(PutMode::Create);
        let created =
            match self.client.put_opts(&self.path(key), PutPayload::from_bytes(bytes), options).await {
                Ok(_) => true,
                Err(object_store::Error::AlreadyExists { .. }) => false,
                Err(source) => return Err(self.failure("write", key, source)),
            };
        // Also what another writer made, who may not have come this far.
        self.make_durable(key).await?;
        Ok(created)
    }

    /// Returns when the object outlasts a loss of power; S3 promises that by itself.
    pub(crate) async fn make_durable(&self, key: &str) -> Result<(), StorageError> {
        match &self.directory {
            Some(directory) => force_to_disk(directory, key).await,
            None => Ok(()),
        }
    }

    /// The client, for reads of parts of an object.
    pub(crate) fn client(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.client)
    }

    /// The key as the client knows it.
    pub(crate) fn path(&self, key: &str) -> Key {
        self.prefix.parts().chain(Key::from(key).parts()).collect()
    }

    /// The error for a failed request, which names the store and the key.
    pub(crate) fn failure(
        &self,
        operation: &'static str,
        key: &str,
        source: object_store::Error,
    ) -> StorageError {
        StorageError::of_request(self.url.to_string(), operation, key.to_owned(), source)
    }

    pub(crate) fn check_size(&self, object: &ObjectRef, found: u64) -> Result<(), StorageError> {
        let expected = object.size_bytes;
        if found == expected {
            return Ok(());
        }
        Err(StorageError::WrongSize { store: self.url.to_string(), key: object.key(), expected, found })
    }
}

/// Only the URL: the client knows secrets.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.url).finish()
    }
}

async fn digest_of(bytes: &Bytes) -> Result<Digest, StorageError> {
    if bytes.len() <= HASH_INLINE_BYTES_MAX {
        return Ok(Digest::of(bytes));
    }
    let shared = bytes.clone();
    blocking(move || Digest::of(shared)).await
}

//! The store as an engine sees it that reads object stores by itself: reads alone, and only below the store's prefix.

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path as Key,
};
use tokio::runtime::Handle;

use crate::{StorageError, Store};

/// An object that was found by its place rather than by its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundObject {
    /// Its key below the store's prefix.
    pub key: String,
    /// How many bytes it has.
    pub size_bytes: u64,
}

impl Store {
    /// A client that can only read these objects, each under its number in the list, from 0.
    ///
    /// Its requests are made on the runtime that it is asked for on; whoever reads through it may compute on another one.
    pub fn reader(&self, keys: &[String]) -> Arc<dyn ObjectStore> {
        let prefix = self.path("");
        let full = |key: &String| {
            let key = Key::parse(key).unwrap_or_else(|_| Key::from(key.as_str()));
            prefix.parts().chain(key.parts()).collect()
        };
        let objects = keys.iter().map(full).collect();
        self.note_keys(keys);
        Arc::new(ReadOnly { store: self.clone(), objects, runtime: Handle::current() })
    }

    /// The objects whose keys begin with `prefix`, a whole number of segments, by key; `limit` of them at most.
    pub async fn find(&self, prefix: &str, limit: usize) -> Result<Vec<FoundObject>, StorageError> {
        let below = self.path("").parts().count();
        let listed = self.client().list(Some(&self.path(prefix)));
        let mut found: Vec<FoundObject> = listed
            .take(limit)
            .map_ok(|meta| FoundObject {
                key: meta.location.parts().skip(below).collect::<Key>().to_string(),
                size_bytes: meta.size,
            })
            .try_collect()
            .await
            .map_err(|source| self.failure("list", prefix, source))?;
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }
}

/// See [`Store::reader`].
#[derive(Debug)]
struct ReadOnly {
    store: Store,
    objects: Vec<Key>,
    runtime: Handle,
}

impl ReadOnly {
    /// Makes a request on the runtime that the client's connections belong to.
    async fn there<T: Send + 'static>(
        &self,
        request: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let ended = self.runtime.spawn(request).await;
        ended.map_err(|source| Error::JoinError { source })?
    }

    fn object(&self, location: &Key) -> Result<Key> {
        let object = location.as_ref().parse::<usize>().ok().and_then(|number| self.objects.get(number));
        object.cloned().ok_or_else(Self::refusal)
    }

    fn refusal() -> Error {
        Error::NotSupported { source: "only the objects that were given can be read here".into() }
    }
}

impl fmt::Display for ReadOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, read-only", self.store.url())
    }
}

#[async_trait]
impl ObjectStore for ReadOnly {
    async fn get_opts(&self, location: &Key, options: GetOptions) -> Result<GetResult> {
        let (client, full) = (self.store.client(), self.object(location)?);
        let mut result = self
            .there(async move {
                let is_part = options.range.is_some();
                let result = client.get_opts(&full, options).await?;
                match result.payload {
                    // the rest of a part is fetched here too, where the connection is driven
                    GetResultPayload::Stream(stream) if is_part => {
                        let pieces: Vec<Bytes> = stream.try_collect().await?;
                        let payload =
                            GetResultPayload::Stream(stream::iter(pieces.into_iter().map(Ok)).boxed());
                        Ok(GetResult { payload, ..result })
                    }
                    payload => Ok(GetResult { payload, ..result }),
                }
            })
            .await?;
        result.meta.location = location.clone();
        Ok(result)
    }

    async fn get_ranges(&self, location: &Key, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let (client, full, ranges) = (self.store.client(), self.object(location)?, ranges.to_vec());
        self.there(async move { client.get_ranges(&full, &ranges).await }).await
    }

    fn list(&self, _: Option<&Key>) -> BoxStream<'static, Result<ObjectMeta>> {
        stream::once(future::err(Self::refusal())).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Key>) -> Result<ListResult> {
        Err(Self::refusal())
    }

    async fn put_opts(&self, _: &Key, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(Self::refusal())
    }

    async fn put_multipart_opts(&self, _: &Key, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(Self::refusal())
    }

    fn delete_stream(&self, _: BoxStream<'static, Result<Key>>) -> BoxStream<'static, Result<Key>> {
        stream::once(future::err(Self::refusal())).boxed()
    }

    async fn copy_opts(&self, _: &Key, _: &Key, _: CopyOptions) -> Result<()> {
        Err(Self::refusal())
    }
}

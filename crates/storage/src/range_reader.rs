//! Parts of a Parquet object, fetched as a reader asks for them.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures::{FutureExt, TryFutureExt, future::BoxFuture};
use object_store::{ObjectStore, ObjectStoreExt, path::Path as Key};
use parquet::{
    arrow::{arrow_reader::ArrowReaderOptions, async_reader::AsyncFileReader},
    errors::{ParquetError, Result},
    file::metadata::{ParquetMetaData, ParquetMetaDataReader},
};

/// Fetched with the footer's length: enough for the footers of most splits, so that one request is saved.
const FOOTER_BYTES_GUESSED: usize = 64 << 10;

/// A Parquet object of known size.
pub(crate) struct RangeReader {
    client: Arc<dyn ObjectStore>,
    key: Key,
    size_bytes: u64,
}

impl RangeReader {
    pub(crate) fn new(client: Arc<dyn ObjectStore>, key: Key, size_bytes: u64) -> Self {
        Self { client, key, size_bytes }
    }
}

impl AsyncFileReader for RangeReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        self.client.get_range(&self.key, range).map_err(ParquetError::from).boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        async move { Ok(self.client.get_ranges(&self.key, &ranges).await?) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        async move {
            let size_bytes = self.size_bytes;
            let reader = ParquetMetaDataReader::new().with_prefetch_hint(Some(FOOTER_BYTES_GUESSED));
            Ok(Arc::new(reader.load_and_finish(self, size_bytes).await?))
        }
        .boxed()
    }
}

//! Listing what others have put into the store.

use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;

use crate::{StorageError, Store};

/// An object that is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// Its key, below the store's own prefix.
    pub path: String,
    /// Its bytes.
    pub size: u64,
    /// Its entity tag, or its size and the time of its last change where the store has none: another text whenever
    /// the object was written anew.
    pub version: String,
}

impl Store {
    /// Up to `limit` objects below a folder, by key. A folder that is not there has none.
    pub async fn list(&self, folder: &str, limit: usize) -> Result<Vec<ListedObject>, StorageError> {
        let prefix = self.path(folder);
        let own_parts = prefix.parts().count() - object_store::path::Path::from(folder).parts().count();
        let client = self.client();
        let listed = client.list(Some(&prefix)).take(limit).map_ok(|meta| {
            let path: Vec<String> =
                meta.location.parts().skip(own_parts).map(|part| part.as_ref().to_owned()).collect();
            let version = meta
                .e_tag
                .unwrap_or_else(|| format!("{}-{}", meta.size, meta.last_modified.timestamp_millis()));
            ListedObject { path: path.join("/"), size: meta.size, version }
        });
        let mut objects: Vec<ListedObject> =
            listed.try_collect().await.map_err(|source| self.failure("list", folder, source))?;
        objects.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(objects)
    }
}

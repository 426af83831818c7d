//! Objects of a local store that outlast a loss of power.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use crate::{StorageError, blocking::blocking};

/// Forces the file at `key` below `root`, and the directories that name it, to the disk.
///
/// A row that names an object is durable when its transaction commits, so the object must be so before.
pub(crate) async fn force_to_disk(root: &Path, key: &str) -> Result<(), StorageError> {
    let (root, path) = (root.to_owned(), root.join(key));
    blocking(move || {
        sync_up_to(&root, &path).map_err(|source| StorageError::LocalFile {
            operation: "write",
            path,
            source,
        })
    })
    .await?
}

fn sync_up_to(root: &Path, path: &Path) -> io::Result<()> {
    // The first of these writes the file system's journal, and the others find little left to do.
    let named: Vec<PathBuf> =
        path.ancestors().take_while(|place| place.starts_with(root)).map(Path::to_owned).collect();
    named.into_iter().try_for_each(|place| File::open(place)?.sync_all())
}

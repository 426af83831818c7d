use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, Utc};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::DatabaseError;
use crate::error::file_error;

/// The directory where one installation keeps everything: the embedded cluster, objects, reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDirectory {
    path: PathBuf,
}

/// Who works in a data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// What it is doing, for example `tale demo`.
    pub purpose: String,
    /// When it began.
    pub since: DateTime<Utc>,
}

/// The right to work in a data directory; ends when it is dropped, and when the process ends in any way.
#[derive(Debug)]
pub struct DataDirectoryLock {
    file: File,
}

impl DataDirectory {
    /// Makes the directory, readable by nobody else, unless it is there already.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DatabaseError> {
        let path = path.as_ref();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(file_error("create the data directory", path))?;
        let path = path.canonicalize().map_err(file_error("find", path))?;
        Ok(Self { path })
    }

    /// The directory, absolute and without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the directory for this process, or says who has it.
    ///
    /// The lock is the kernel's (`flock`), so that a killed process never leaves one behind; what the file says is
    /// for people alone.
    pub fn lock(&self, purpose: &str) -> Result<DataDirectoryLock, DatabaseError> {
        lock_file(self, "lock.json", purpose)
    }

    /// Who holds the directory now, if anybody does.
    pub fn holder(&self) -> Option<Holder> {
        let mut file = File::open(self.path.join("lock.json")).ok()?;
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => None,
            Err(_) => read_holder(&mut file),
        }
    }
}

/// Takes the lock file `name` in the directory.
pub(crate) fn lock_file(
    directory: &DataDirectory,
    name: &str,
    purpose: &str,
) -> Result<DataDirectoryLock, DatabaseError> {
    let path = directory.path.join(name);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(file_error("open the lock", &path))?;
    // A holder is given a moment: it may not have written its name yet, and `holder()` locks for an instant to look.
    let deadline = Instant::now() + Duration::from_millis(300);
    while let Err(refusal) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if refusal != rustix::io::Errno::WOULDBLOCK {
            return Err(file_error("lock", path)(refusal.into()));
        }
        if Instant::now() >= deadline {
            let holder = read_holder(&mut file).unwrap_or_else(|| Holder {
                pid: 0,
                purpose: "a process that did not say its name".to_owned(),
                since: Utc::now(),
            });
            let Holder { pid, purpose, since } = holder;
            return Err(DatabaseError::InUse { path: directory.path.clone(), pid, purpose, since });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let holder =
        Holder { pid: std::process::id(), purpose: purpose.to_owned(), since: Utc::now().trunc_subsecs(0) };
    write_holder(&mut file, &holder).map_err(file_error("write the lock", path))?;
    Ok(DataDirectoryLock { file })
}

impl Drop for DataDirectoryLock {
    fn drop(&mut self) {
        // Closing the file gives the lock back; the name goes first so that no later reader sees an old one.
        if let Err(error) = self.file.set_len(0) {
            tracing::debug!(%error, "the lock's text stays");
        }
    }
}

fn read_holder(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn write_holder(file: &mut File, holder: &Holder) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(serde_json::to_string(holder)?.as_bytes())
}

/// The paths in a directory; none when it cannot be read.
pub(crate) fn entries(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_data_directory_in_use_is_refused_by_naming_its_holder() {
        let root = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open(root.path().join("a/b")).unwrap();
        assert_eq!(directory.path().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(directory.holder(), None);

        let lock = directory.lock("tale demo").unwrap();
        assert_eq!(directory.holder().unwrap().purpose, "tale demo");
        let refused = directory.lock("tale up").unwrap_err();
        let DatabaseError::InUse { pid, purpose, path, .. } = &refused else { panic!("{refused}") };
        assert_eq!(
            (*pid, purpose.as_str(), path.as_path()),
            (std::process::id(), "tale demo", directory.path())
        );
        assert!(refused.to_string().contains("in use by tale demo (process"), "{refused}");

        drop(lock);
        assert_eq!(directory.holder(), None);
        directory.lock("tale up").unwrap();
    }

    #[test]
    fn a_file_is_not_a_data_directory() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = DataDirectory::open(file.path()).unwrap_err();
        assert!(refused.to_string().contains("cannot create the data directory"), "{refused}");
    }
}

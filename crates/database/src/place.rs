use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use tale_primitives::Digest;

use crate::error::file_error;
use crate::{DataDirectory, DatabaseError};

/// The file in the data directory that says where its cluster is when it cannot be inside.
const RECORD: &str = "postgres.json";
/// The directories for clusters whose server cannot enter the data directory, best first.
const SHARED_ROOTS: [&str; 2] = ["/var/lib/taleworks", "/var/tmp/taleworks"];

/// The user that PostgreSQL runs as when we are root, which it refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerUser {
    pub uid: u32,
    pub gid: u32,
}

/// Where a data directory's cluster lives.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Holds `data`, while it is being made `data.partial`, and the server's log.
    pub home: PathBuf,
    /// Holds the Unix socket; short, because a socket's path has at most 107 bytes.
    pub socket_directory: PathBuf,
    /// What a temporary cluster takes with it: the data directory, or its home alone when that is elsewhere.
    pub remove_with: PathBuf,
    /// `None`: as ourselves.
    pub user: Option<ServerUser>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    home: PathBuf,
    /// The same in the data directory and beside the cluster, so that a new data directory under an old name is told
    /// from the old one.
    token: uuid::Uuid,
}

impl Place {
    pub(crate) fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    pub(crate) fn partial(&self) -> PathBuf {
        self.home.join("data.partial")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.home.join("server.log")
    }

    /// The address of the database `tale` in this cluster. The port is spelled out: else `$PGPORT` would decide it.
    pub(crate) fn url(&self) -> String {
        let host = percent_encode(&self.socket_directory.to_string_lossy());
        format!("postgres:///tale?host={host}&port=5432&user=postgres")
    }

    /// Where the directory's cluster is, if it has one; changes nothing.
    pub(crate) fn find(directory: &DataDirectory) -> Option<Self> {
        let inside = directory.path().join("postgres");
        let home = if inside.join("data").exists() {
            inside
        } else {
            recorded_home(directory).filter(|home| home.join("data").exists())?
        };
        // The cluster's owner runs it: root may work in a data directory that belongs to someone else.
        let owner = home.join("data").metadata().ok()?;
        let user =
            rustix::process::geteuid().is_root().then_some(ServerUser { uid: owner.uid(), gid: owner.gid() });
        Some(Self::new(directory, home, user))
    }

    /// Where the directory's cluster is, or is to be; the directory for a new one is made.
    pub(crate) fn prepare(directory: &DataDirectory, temporary: bool) -> Result<Self, DatabaseError> {
        if let Some(place) = Self::find(directory) {
            return Ok(place);
        }
        let user = server_user()?;
        let home = match &user {
            None => directory.path().join("postgres"),
            Some(user) if can_enter(user, directory)? => directory.path().join("postgres"),
            Some(_) => shared_home(directory)?,
        };
        private_directory(&home, user.as_ref())?;
        if temporary && home.starts_with(directory.path()) {
            // The server's supervisor removes it, as that user.
            private_directory(directory.path(), user.as_ref())?;
        }
        Ok(Self::new(directory, home, user))
    }

    fn new(directory: &DataDirectory, home: PathBuf, user: Option<ServerUser>) -> Self {
        let inside = home.starts_with(directory.path());
        let remove_with = if inside { directory.path().to_owned() } else { home.clone() };
        Self { socket_directory: socket_directory(directory, user.as_ref()), remove_with, user, home }
    }

    /// Makes the socket directory, or checks that the one that is there is ours.
    pub(crate) fn prepare_socket_directory(&self) -> Result<(), DatabaseError> {
        let path = &self.socket_directory;
        let expected = self.user.as_ref().map_or(rustix::process::geteuid().as_raw(), |user| user.uid);
        if let Ok(metadata) = path.symlink_metadata()
            && (metadata.uid() != expected || !metadata.is_dir())
        {
            return Err(DatabaseError::SocketDirectoryTaken {
                path: path.clone(),
                owner: metadata.uid(),
                expected,
            });
        }
        private_directory(path, self.user.as_ref())
    }
}

/// The directory is made with mode 0700 and given to the server's user.
fn private_directory(path: &Path, user: Option<&ServerUser>) -> Result<(), DatabaseError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(file_error("create", path))?;
    if let Some(user) = user {
        chown(path, Some(user.uid), Some(user.gid)).map_err(file_error("give away", path))?;
    }
    std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(file_error("protect", path))
}

/// Whom the server runs as: ourselves, and for root the user `postgres`, else `nobody`.
fn server_user() -> Result<Option<ServerUser>, DatabaseError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let path = Path::new("/etc/passwd");
    let passwd = std::fs::read_to_string(path).map_err(file_error("read", path))?;
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| find_user(&passwd, name))
        .map(Some)
        .ok_or(DatabaseError::NoServerUser)
}

fn find_user(passwd: &str, name: &str) -> Option<ServerUser> {
    let fields: Vec<&str> =
        passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == name)?;
    Some(ServerUser { uid: fields.get(2)?.parse().ok()?, gid: fields.get(3)?.parse().ok()? })
}

/// Can the server's user work below the data directory? The kernel decides (modes, ACLs, mounts): that user tries.
fn can_enter(user: &ServerUser, directory: &DataDirectory) -> Result<bool, DatabaseError> {
    let path = directory.path();
    let metadata = path.metadata().map_err(file_error("read", path))?;
    let ours_and_private = metadata.uid() == 0 && metadata.mode() & 0o777 == 0o700;
    let parent_is_open = path.parent().is_some_and(|parent| tries_to_enter(user, parent));
    if ours_and_private && parent_is_open {
        // Still closed to everybody else: only the server's group may pass through.
        chown(path, None, Some(user.gid)).map_err(file_error("give the server's group", path))?;
        std::fs::set_permissions(path, Permissions::from_mode(0o710)).map_err(file_error("open", path))?;
    }
    Ok(tries_to_enter(user, path))
}

fn tries_to_enter(user: &ServerUser, path: &Path) -> bool {
    Command::new("/bin/sh")
        .args(["-c", "cd -- \"$1\"", "sh"])
        .arg(path)
        .uid(user.uid)
        .gid(user.gid)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The home of a cluster whose data directory the server cannot enter.
///
/// When the data directory was deleted and made anew, its old cluster is set aside as `….abandoned`, of which there is
/// one at most: a deleted directory and an unmounted one look alike, and only one of them may cost its database.
fn shared_home(directory: &DataDirectory) -> Result<PathBuf, DatabaseError> {
    if let Some(home) = recorded_home(directory) {
        return Ok(home);
    }
    let root = SHARED_ROOTS
        .iter()
        .map(Path::new)
        .find(|root| make_shared_root(root).is_ok())
        .unwrap_or(Path::new(SHARED_ROOTS[0]));
    make_shared_root(root).map_err(file_error("create", root))?;
    let home = root.join(fingerprint(&directory.path().to_string_lossy()));
    if home.exists() {
        let aside = home.with_extension("abandoned");
        tracing::warn!(cluster = %home.display(), to = %aside.display(), "setting aside the cluster of a deleted data directory");
        crate::server::stop_orphan(&home.join("data"))?;
        if aside.exists() {
            std::fs::remove_dir_all(&aside).map_err(file_error("remove", &aside))?;
        }
        std::fs::rename(&home, &aside).map_err(file_error("set aside", &home))?;
    }
    let record = Record { token: uuid::Uuid::new_v4(), home };
    std::fs::create_dir(&record.home).map_err(file_error("create", &record.home))?;
    for path in [record.home.join(RECORD), directory.path().join(RECORD)] {
        let text = serde_json::to_vec(&record).map_err(std::io::Error::other);
        text.and_then(|text| std::fs::write(&path, text)).map_err(file_error("write", path))?;
    }
    Ok(record.home)
}

/// The cluster elsewhere that this data directory, and no earlier one of its name, has made.
fn recorded_home(directory: &DataDirectory) -> Option<PathBuf> {
    let record = read_record(&directory.path().join(RECORD))?;
    (read_record(&record.home.join(RECORD)).as_ref() == Some(&record)).then_some(record.home)
}

/// Anyone may pass through to a cluster; each cluster's own directory is closed.
fn make_shared_root(root: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o711).create(root)?;
    // In /var/tmp anybody could have been first.
    let metadata = root.symlink_metadata()?;
    if metadata.uid() == 0 && metadata.is_dir() {
        return Ok(());
    }
    Err(std::io::Error::other("it belongs to another user"))
}

fn read_record(path: &Path) -> Option<Record> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn socket_directory(directory: &DataDirectory, user: Option<&ServerUser>) -> PathBuf {
    let uid = user.map_or(rustix::process::geteuid().as_raw(), |user| user.uid);
    let name = fingerprint(&format!("{uid}:{}", directory.path().to_string_lossy()));
    Path::new("/tmp").join(format!("tale-{name}"))
}

fn fingerprint(text: &str) -> String {
    let mut digest = Digest::of(text).to_string();
    digest.truncate(16);
    digest
}

fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_path_fits_however_long_the_data_directory_is() {
        let root = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open(root.path().join("x".repeat(200)).join("y z")).unwrap();
        let socket = socket_directory(&directory, None).join(".s.PGSQL.5432.lock");
        assert!(socket.as_os_str().len() < 107, "{}", socket.display());
    }

    #[test]
    fn a_user_is_read_from_the_password_file() {
        let passwd = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65533:n:/:/bin/false\n";
        assert_eq!(find_user(passwd, "nobody"), Some(ServerUser { uid: 65534, gid: 65533 }));
        assert_eq!(find_user(passwd, "postgres"), None);
    }

    #[test]
    fn a_path_is_encoded_for_an_address() {
        assert_eq!(percent_encode("/tmp/a b-ü"), "%2Ftmp%2Fa%20b-%C3%BC");
    }
}

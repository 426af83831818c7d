//! Who runs the server, and where it then can live.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use tale_database::DataDirectory;

use crate::processes::gone;
use crate::{owner, remember, remembered, start, tempdir};

/// Debian's uid and gid of `nobody`.
const NOBODY: u32 = 65534;

fn only_as_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped, because it needs root: {test}");
    }
    root
}

#[tokio::test]
async fn an_ordinary_user_runs_the_server_as_itself() {
    if !only_as_root("an ordinary user runs the server as itself (the other tests show it)") {
        return;
    }
    let root = tempdir();
    std::fs::set_permissions(root.path(), PermissionsExt::from_mode(0o777)).unwrap();
    // The checkout may lie where others cannot come.
    let program = root.path().join("owner");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let path = root.path().join("data");
    std::fs::create_dir(&path).unwrap();
    chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();

    let mut command = owner::command(&program, &path);
    let mut process = command.uid(NOBODY).gid(NOBODY).current_dir("/").spawn().unwrap();
    let url = owner::ready(&mut process);
    remember(&url, 1).await;
    assert_eq!(path.join("postgres/data").metadata().unwrap().uid(), NOBODY);
    drop(process.stdin.take());
    assert!(process.wait().unwrap().success());

    // Root may go on with it: the server then runs as the cluster's owner, and the address is the same.
    let directory = DataDirectory::open(&path).unwrap();
    let cluster = start(&directory).await;
    assert_eq!(cluster.url(), url);
    assert_eq!(remembered(&url).await, [1]);
}

#[tokio::test]
async fn root_keeps_a_cluster_elsewhere_when_the_server_cannot_enter_the_data_directory() {
    if !only_as_root("a cluster outside of its data directory") {
        return;
    }
    let root = tempdir();
    std::fs::set_permissions(root.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let path = root.path().join("data");
    let directory = DataDirectory::open(&path).unwrap();
    let cluster = start(&directory).await;
    remember(cluster.url(), 1).await;
    let url = cluster.url().to_owned();
    let home = recorded_home(&path);
    assert!(!home.starts_with(root.path()) && home.join("data/PG_VERSION").exists(), "{}", home.display());
    cluster.stop().await.unwrap();
    let cluster = start(&directory).await;
    assert_eq!(remembered(&url).await, [1]);
    cluster.stop().await.unwrap();

    // A new data directory under the old name is not shown the old one's data.
    std::fs::remove_dir_all(&path).unwrap();
    let directory = DataDirectory::open(&path).unwrap();
    let cluster = start(&directory).await;
    remember(cluster.url(), 2).await;
    assert_eq!(remembered(&url).await, [2]);
    cluster.stop().await.unwrap();
    let aside = home.with_extension("abandoned");
    assert!(aside.join("data/PG_VERSION").exists());
    assert!(gone(&home));
    for leftover in [aside, home] {
        std::fs::remove_dir_all(leftover).unwrap();
    }
}

#[tokio::test]
async fn root_opens_a_private_data_directory_to_the_server_alone() {
    if !only_as_root("a data directory that the server may pass through") {
        return;
    }
    let root = tempdir();
    let path = root.path().join("data");
    let directory = DataDirectory::open(&path).unwrap();
    let _cluster = start(&directory).await;
    assert!(path.join("postgres/data/PG_VERSION").exists());
    let metadata = path.metadata().unwrap();
    assert_eq!((metadata.uid(), metadata.permissions().mode() & 0o777), (0, 0o710));
}

fn recorded_home(data_directory: &Path) -> PathBuf {
    let text = std::fs::read_to_string(data_directory.join("postgres.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&text).unwrap();
    PathBuf::from(record["home"].as_str().unwrap())
}

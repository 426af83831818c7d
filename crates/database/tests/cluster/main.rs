//! The embedded cluster, with real servers and real kills.

// Clippy takes only functions marked as tests for tests, not what they share.
#![allow(clippy::unwrap_used)]

mod crashes;
mod owner;
mod processes;
mod users;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use processes::{gone, processes_of};
use tale_database::{ClusterOptions, DataDirectory, DatabaseError, EmbeddedCluster, connect};

/// Not under `$TMPDIR`, and open: another user must be able to pass through.
fn tempdir() -> tempfile::TempDir {
    let directory = tempfile::Builder::new().prefix("tale-test-").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    directory
}

/// The directory in a cluster's address.
fn socket_directory(url: &str) -> PathBuf {
    let host = url.split_once("host=").unwrap().1.split('&').next().unwrap();
    PathBuf::from(host.replace("%2F", "/"))
}

/// Commits are not flushed: what is tested here is processes, not disks.
async fn start(directory: &DataDirectory) -> EmbeddedCluster {
    ClusterOptions::default().durable(false).start(directory).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn remember(url: &str, number: i32) {
    let pool = connect(url, 1).await.unwrap();
    sqlx::query("create table if not exists memory (number int)").execute(&pool).await.unwrap();
    sqlx::query("insert into memory values ($1)").bind(number).execute(&pool).await.unwrap();
    pool.close().await;
}

async fn remembered(url: &str) -> Vec<i32> {
    let pool = connect(url, 1).await.unwrap();
    let numbers =
        sqlx::query_scalar("select number from memory order by number").fetch_all(&pool).await.unwrap();
    pool.close().await;
    numbers
}

fn assert_nothing_stays(data_directory: &Path, url: &str) {
    assert!(gone(data_directory), "still running: {:?}", processes_of(data_directory));
    assert!(!socket_directory(url).exists(), "the socket directory stays: {url}");
}

#[tokio::test]
async fn a_stopped_cluster_leaves_nothing_running_and_starts_again_at_the_same_address() {
    let root = tempdir();
    let directory = DataDirectory::open(root.path().join("data")).unwrap();
    assert_eq!(EmbeddedCluster::find_running(&directory), None);

    let mut cluster = start(&directory).await;
    let url = cluster.url().to_owned();
    assert_eq!(EmbeddedCluster::find_running(&directory).as_deref(), Some(url.as_str()));
    remember(&url, 1).await;
    cluster.restart().await.unwrap();
    remember(&url, 2).await;
    cluster.stop().await.unwrap();
    assert_nothing_stays(directory.path(), &url);
    assert_eq!(EmbeddedCluster::find_running(&directory), None);

    let cluster = start(&directory).await;
    assert_eq!(cluster.url(), url);
    assert_eq!(remembered(&url).await, [1, 2]);
    drop(cluster);
    assert_nothing_stays(directory.path(), &url);
}

#[tokio::test]
async fn two_clusters_at_once_do_not_meet() {
    let root = tempdir();
    let left = DataDirectory::open(root.path().join("left")).unwrap();
    let right = DataDirectory::open(root.path().join("right")).unwrap();
    let (one, other) = tokio::join!(start(&left), start(&right));
    assert_ne!(one.url(), other.url());
    remember(one.url(), 1).await;
    remember(other.url(), 2).await;
    assert_eq!(remembered(one.url()).await, [1]);
    assert_eq!(remembered(other.url()).await, [2]);

    let refused = EmbeddedCluster::start(&left).await.unwrap_err();
    assert!(matches!(refused, DatabaseError::InUse { pid, .. } if pid == std::process::id()), "{refused}");
    assert_eq!(remembered(one.url()).await, [1], "a refused start harms nobody");
    one.stop().await.unwrap();
    assert_eq!(remembered(other.url()).await, [2]);
}

#[tokio::test]
async fn a_temporary_cluster_takes_its_data_directory_with_it() {
    let root = tempdir();
    // Only the server's user itself can remove it from a directory like /tmp.
    std::fs::set_permissions(root.path(), PermissionsExt::from_mode(0o1777)).unwrap();
    let directory = DataDirectory::open(root.path().join("data")).unwrap();
    let cluster = ClusterOptions::default().durable(false).temporary(true).start(&directory).await.unwrap();
    let url = cluster.url().to_owned();
    cluster.stop().await.unwrap();
    assert_nothing_stays(directory.path(), &url);
    assert!(!directory.path().exists());
}

#[tokio::test]
async fn a_server_that_cannot_start_is_reported_with_its_own_words() {
    let root = tempdir();
    let directory = DataDirectory::open(root.path().join("data")).unwrap();
    start(&directory).await.stop().await.unwrap();
    std::fs::write(directory.path().join("postgres/data/postgresql.conf"), "no_such_setting = 1\n").unwrap();
    // Several times: a server that ends at once meets its supervisor unprepared.
    for _ in 0..10 {
        let error = EmbeddedCluster::start(&directory).await.unwrap_err();
        assert!(matches!(error, DatabaseError::Start { .. }), "{error}");
        assert!(error.to_string().contains("no_such_setting"), "{error}");
        assert!(gone(directory.path()));
    }
}

#[tokio::test]
async fn an_unfinished_initdb_is_done_again() {
    let root = tempdir();
    let directory = DataDirectory::open(root.path().join("data")).unwrap();
    let partial = directory.path().join("postgres/data.partial");
    std::fs::create_dir_all(partial.join("base")).unwrap();
    std::fs::write(partial.join("PG_VERSION"), "15\n").unwrap();
    let cluster = start(&directory).await;
    remember(cluster.url(), 1).await;
    assert!(!partial.exists());
}

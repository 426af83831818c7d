//! A second process that owns a cluster, so that it can be killed: this test binary, run again.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tale_database::{DataDirectory, DatabaseError};

const DIRECTORY: &str = "TALE_TEST_OWNS_CLUSTER_IN";

/// The command that starts, from the binary at `program`, a process that owns the cluster of `directory`.
pub fn command(program: &Path, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(["owner::owns_a_cluster_when_asked_to", "--exact", "--nocapture", "--quiet"])
        .env(DIRECTORY, directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// Starts such a process and waits until its cluster is ready; answers with the cluster's address.
pub fn start(directory: &Path) -> (Child, String) {
    let mut owner = command(&std::env::current_exe().unwrap(), directory).spawn().unwrap();
    let url = ready(&mut owner);
    (owner, url)
}

/// Waits until the owner's cluster is ready; its address.
pub fn ready(owner: &mut Child) -> String {
    let lines = BufReader::new(owner.stdout.as_mut().unwrap()).lines();
    let said: Vec<String> = lines.map_while(Result::ok).collect_until(|line| line.contains("ready at "));
    let last = said.last().unwrap_or_else(|| panic!("the owner said nothing"));
    last.split_once("ready at ").unwrap_or_else(|| panic!("the owner failed: {said:?}")).1.to_owned()
}

trait CollectUntil: Iterator + Sized {
    /// Everything up to and with the first item that `ends`.
    fn collect_until(self, ends: impl Fn(&Self::Item) -> bool) -> Vec<Self::Item> {
        let mut items = Vec::new();
        for item in self {
            let last = ends(&item);
            items.push(item);
            if last {
                break;
            }
        }
        items
    }
}

impl<I: Iterator> CollectUntil for I {}

/// Not a test of anything: what the second process does. Its cluster runs until standard input ends.
#[tokio::test]
async fn owns_a_cluster_when_asked_to() {
    let Some(path) = std::env::var_os(DIRECTORY) else { return };
    let directory = DataDirectory::open(path).unwrap();
    let _lock = directory.lock("an owner").unwrap();
    let cluster = super::start(&directory).await;
    println!("ready at {}", cluster.url());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn another_process_finds_the_cluster_and_is_refused_the_directory() {
    let root = super::tempdir();
    let directory = DataDirectory::open(root.path().join("data")).unwrap();
    let (mut owner, url) = start(directory.path());
    assert_eq!(tale_database::EmbeddedCluster::find_running(&directory).as_deref(), Some(url.as_str()));
    super::remember(&url, 1).await;
    let refused = directory.lock("tale demo").unwrap_err();
    assert!(
        matches!(&refused, DatabaseError::InUse { pid, purpose, .. } if *pid == owner.id() && purpose == "an owner"),
        "{refused}"
    );
    drop(owner.stdin.take());
    assert!(owner.wait().unwrap().success());
    super::assert_nothing_stays(directory.path(), &url);
    directory.lock("tale demo").unwrap();
}

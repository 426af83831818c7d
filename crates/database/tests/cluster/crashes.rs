use std::time::Duration;

use tale_database::{ClusterOptions, DataDirectory};

use crate::processes::{eventually, gone, kill, parent_of, processes_of, server_of};
use crate::{assert_nothing_stays, owner, remember, remembered, start, tempdir};

#[tokio::test]
async fn a_killed_owner_leaves_no_server_and_no_socket() {
    let root = tempdir();
    let directory = DataDirectory::open(root.path().join("data")).unwrap();
    let (mut owner, url) = owner::start(directory.path());
    remember(&url, 1).await;
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert_eq!(directory.holder(), None);
    assert_nothing_stays(directory.path(), &url);
    let cluster = start(&directory).await;
    assert_eq!(remembered(cluster.url()).await, [1]);
}

#[tokio::test]
async fn a_start_right_after_a_kill_waits_for_the_old_server() {
    let root = tempdir();
    let directory = DataDirectory::open(root.path().join("data")).unwrap();
    for round in 0..3 {
        let (mut owner, url) = owner::start(directory.path());
        remember(&url, round).await;
        owner.kill().unwrap();
        owner.wait().unwrap();
    }
    let cluster = start(&directory).await;
    assert_eq!(remembered(cluster.url()).await, [0, 1, 2]);
}

#[tokio::test]
async fn an_orphaned_server_is_ended_by_the_next_start() {
    let root = tempdir();
    let directory = DataDirectory::open(root.path().join("data")).unwrap();
    let (mut owner, url) = owner::start(directory.path());
    remember(&url, 1).await;
    let server = server_of(&directory.path().join("postgres/data"));
    let supervisor = parent_of(server);
    let is_shell =
        |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sh\n");
    let shells: Vec<u32> = processes_of(directory.path()).into_iter().filter(is_shell).collect();
    assert!(shells.contains(&supervisor));
    for shell in shells {
        kill(shell);
    }
    owner.kill().unwrap();
    owner.wait().unwrap();
    // Its children show its command line until they have begun.
    assert!(eventually(|| processes_of(directory.path()) == [server]), "the server is an orphan now");

    let cluster = start(&directory).await;
    assert_ne!(server_of(&directory.path().join("postgres/data")), server);
    assert_eq!(remembered(cluster.url()).await, [1]);
    cluster.stop().await.unwrap();
    assert_nothing_stays(directory.path(), &url);
}

#[tokio::test]
async fn a_killed_server_is_started_again_with_what_was_committed() {
    let root = tempdir();
    let directory = DataDirectory::open(root.path().join("data")).unwrap();
    let mut cluster = ClusterOptions::default().start(&directory).await.unwrap();
    let url = cluster.url().to_owned();
    remember(&url, 7).await;
    kill(server_of(&directory.path().join("postgres/data")));
    assert!(eventually(|| !cluster.is_running()));
    cluster.restart().await.unwrap();
    assert_eq!(remembered(&url).await, [7]);
}

#[tokio::test]
async fn a_process_file_that_names_another_program_is_stale() {
    let root = tempdir();
    let directory = DataDirectory::open(root.path().join("data")).unwrap();
    start(&directory).await.stop().await.unwrap();
    let data = directory.path().join("postgres/data");
    let mut bystander = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    for pid in [bystander.id(), 4_194_303] {
        std::fs::write(data.join("postmaster.pid"), format!("{pid}\n{}\n1\n5432\n", data.display())).unwrap();
        start(&directory).await.stop().await.unwrap();
    }
    assert_eq!(bystander.try_wait().unwrap(), None, "a bystander was harmed");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[tokio::test]
async fn a_start_abandoned_at_any_moment_leaves_nothing_and_the_next_one_works() {
    let root = tempdir();
    let directory = DataDirectory::open(root.path().join("data")).unwrap();
    for milliseconds in [1, 30, 100, 250, 400, 550, 700, 850] {
        let options = ClusterOptions::default().durable(false);
        let abandoned =
            tokio::time::timeout(Duration::from_millis(milliseconds), options.start(&directory)).await;
        drop(abandoned);
        assert!(gone(directory.path()), "after {milliseconds} ms: {:?}", processes_of(directory.path()));
    }
    let cluster = start(&directory).await;
    remember(cluster.url(), 1).await;
    let url = cluster.url().to_owned();
    drop(cluster);
    assert_nothing_stays(directory.path(), &url);
}

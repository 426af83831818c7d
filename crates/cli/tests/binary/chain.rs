//! `tale claims publish` and `tale claims verify` against a node of a private chain.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::json;

use crate::{
    network::{Network, day, mine},
    node::{ANNA, CHAIN, CONFIRMER, DELAY, PROPOSER, secret},
    tale::{Ended, Place},
};

/// A command with a key, against the network's database and node.
fn command(place: &Place, network: &Network, key: usize, arguments: &[&str]) -> Command {
    let mut command = place.command(arguments);
    command
        .env("DATABASE_URL", network.database.url())
        .env("TALE_RPC_URL", &network.node.url)
        .env("TALE_SECRET_distributor_key", secret(key));
    command
}

/// Runs a command to its end while blocks come.
async fn run(place: &Place, network: &Network, key: usize, arguments: &[&str]) -> Ended {
    let mut command = command(place, network, key, arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = tokio::select! {
        output = output => output.unwrap(),
        () = mine(&network.node) => unreachable!("blocks come for ever"),
    };
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ended =
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
    let digits = secret(key).trim_start_matches("0x");
    assert!(!ended.stdout.contains(digits) && !ended.stderr.contains(digits), "the key was shown");
    ended
}

const PUBLISH: [&str; 8] = ["claims", "publish", "--finality", "2", "--poll", "20", "--output", "json"];

#[tokio::test(flavor = "multi_thread")]
async fn a_root_is_published_by_two_keys_and_verified_before_it_is_active() {
    let Some(mut network) = Network::start().await else { return };
    let place = Place::new();
    let tree = network.settle(day(1), 3, 1).await;
    let verify = ["claims", "verify", "--epoch", "2026-01-01", "--accounts"];

    run(&place, &network, PROPOSER, &PUBLISH).await.failed(2, &["no distributor is named", "--contract"]);
    let (contract, chain) = (network.distributor.to_string(), CHAIN.to_string());
    let named = ["--contract", &contract, "--chain-id", &chain, "--from-block", "0", "-vv"];
    let first = [&PUBLISH[..], &named].concat();
    run(&place, &network, ANNA, &first).await.failed(2, &["neither the distributor's proposer"]);
    run(&place, &network, CONFIRMER, &first).await.failed(1, &["is not what is proposed", "proposer's key"]);
    let proposed = run(&place, &network, PROPOSER, &first).await.succeeded().json();
    assert_eq!(proposed["submission"]["action"], "propose");
    assert_eq!(proposed["publication"]["root"], tree.root().to_string());

    // from here on the database knows the distributor, and a second run changes nothing
    let again = run(&place, &network, PROPOSER, &PUBLISH).await.succeeded().json();
    assert_eq!(again["submission"]["was_final"], true);
    assert_eq!(again["submission"]["transaction"], proposed["submission"]["transaction"]);
    run(&place, &network, ANNA, &verify).await.failed(1, &["the chain does not know root"]);
    run(&place, &network, CONFIRMER, &PUBLISH[..6]).await.succeeded().says(&["confirm", "final"]);
    run(&place, &network, ANNA, &verify).await.succeeded().says(&["not active yet"]);
    network.node.wait(DELAY).await;
    run(&place, &network, ANNA, &verify).await.succeeded().says(&["claims are paid from it"]);
    run(&place, &network, ANNA, &["audit"]).await.succeeded().says(&["claims.publish", "2026-01-01"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_1_a_publisher_that_was_killed_is_taken_up_by_the_next() {
    let Some(mut network) = Network::start().await else { return };
    let place = Place::new();
    network.settle(day(1), 3, 1).await;
    let (contract, chain) = (network.distributor.to_string(), CHAIN.to_string());
    let arguments = [&PUBLISH[..], &["--contract", &contract, "--chain-id", &chain]].concat();
    network.node.rpc("evm_setAutomine", json!([false])).await;
    for sent in 1..=3 {
        let mut child = command(&place, &network, PROPOSER, &arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // it is recorded, or more; the first time it is waited for, then it is killed sooner and sooner
        while network.count("select count(*) from chain.attempt").await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(300 / sent)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let published = run(&place, &network, PROPOSER, &arguments).await.succeeded().json();
    assert_eq!(published["submission"]["was_final"], false);
    assert_eq!(network.node.transaction_count(PROPOSER).await, 1);
    assert_eq!(network.count("select count(*) from chain.submission where state = 'final'").await, 1);
}

#[test]
fn an_endpoint_that_is_not_there_is_named_without_its_address() {
    let place = Place::new();
    place.write("tree.csv", "account,token,cumulative\n0x52908400098527886E0F7030069857D2E4169EE7,0x27b1fdb04752bbc536007a920d24acb045561c26,1\n");
    place.tale(&["claims", "tree", "--input", "tree.csv", "--output", "tree.json"]).succeeded();
    let arguments = [
        "claims",
        "verify",
        "--tree",
        "tree.json",
        "--rpc",
        "http://127.0.0.1:1/v3/SECRET",
        "--chain-id",
        "1",
        "--contract",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
    ];
    let ended = place.tale(&arguments).failed(1, &["eth_chainId got no answer", "run it again"]);
    assert!(!ended.stderr.contains("SECRET"), "{}", ended.stderr);
}

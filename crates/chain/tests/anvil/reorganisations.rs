use serde_json::json;
use tale_chain::{ChainError, publish, read_claims};

use crate::{
    network::{Network, day, promised},
    node::{ANNA, BEN, CONFIRMER, DELAY, PROPOSER, key},
};

#[tokio::test]
async fn failure_7_a_claim_that_a_reorganisation_takes_was_never_credited() {
    let Some(mut network) = Network::start().await else { return };
    let tree = network.settle(day(1), 3, 1).await;
    network.publish_and_activate(day(1)).await;
    let claim = network.claim(&tree, ANNA);
    network.node.send(ANNA, network.distributor, &claim).await.unwrap();
    let read = read_claims(&mut network.conn, &network.contract, &network.options).await.unwrap();
    assert_eq!((read.found, read.posted), (1, 0));

    network.node.reorganise(2).await;
    let read = read_claims(&mut network.conn, &network.contract, &network.options).await.unwrap();
    assert_eq!((read.orphaned, read.compensated), (1, 0));
    network.node.mine(10).await;
    let read = read_claims(&mut network.conn, &network.contract, &network.options).await.unwrap();
    assert_eq!((read.found, read.posted), (0, 0));
    assert_eq!(network.owed(ANNA).await, promised(&tree, ANNA));

    // the same claim in another block is another event, and counts once
    network.node.wait(DELAY).await;
    network.node.send(ANNA, network.distributor, &claim).await.unwrap();
    network.node.mine(10).await;
    let read = read_claims(&mut network.conn, &network.contract, &network.options).await.unwrap();
    assert_eq!((read.found, read.posted), (1, 1));
    assert!(network.owed(ANNA).await.is_zero());
    assert_eq!(network.count("select count(*) from chain.claim").await, 2);
    assert_eq!(network.count("select count(*) from chain.claim where is_orphaned").await, 1);
}

#[tokio::test]
async fn failure_7_a_credit_that_was_final_is_compensated_when_its_block_leaves_the_chain() {
    let Some(mut network) = Network::start().await else { return };
    let tree = network.settle(day(1), 3, 1).await;
    network.publish_and_activate(day(1)).await;
    network.node.send(ANNA, network.distributor, &network.claim(&tree, ANNA)).await.unwrap();
    network.node.mine(6).await;
    let read = read_claims(&mut network.conn, &network.contract, &network.options).await.unwrap();
    assert_eq!(read.posted, 1);
    assert!(network.owed(ANNA).await.is_zero());

    // deeper than what was taken for final
    network.node.reorganise(8).await;
    let lost = read_claims(&mut network.conn, &network.contract, &network.options).await;
    assert!(matches!(lost, Err(ChainError::DeepReorganisation { .. })), "{lost:?}");
    println!("alert: {}", lost.unwrap_err());
    assert_eq!(network.owed(ANNA).await, promised(&tree, ANNA));
    assert_eq!(network.count("select count(*) from chain.alert").await, 1);
    let read = read_claims(&mut network.conn, &network.contract, &network.options).await.unwrap();
    assert_eq!((read.orphaned, read.compensated, read.posted), (0, 0, 0));

    // Anna claims once more, and is paid once in all
    network.node.wait(DELAY).await;
    network.node.send(ANNA, network.distributor, &network.claim(&tree, ANNA)).await.unwrap();
    network.node.mine(6).await;
    read_claims(&mut network.conn, &network.contract, &network.options).await.unwrap();
    assert!(network.owed(ANNA).await.is_zero());
    let report = tale_ledger::verify(&mut network.conn).await.unwrap();
    assert!(report.discrepancies.is_empty(), "{report:?}");
}

#[tokio::test]
async fn a_publication_that_a_reorganisation_takes_is_sent_again_to_the_byte() {
    let Some(mut network) = Network::start().await else { return };
    network.settle(day(1), 3, 1).await;
    // it is mined, and nothing on top of it
    let options =
        tale_chain::PublishOptions { wait: std::time::Duration::from_millis(50), ..network.options.clone() };
    let waiting = publish(&mut network.conn, &network.contract, &key(PROPOSER), day(1), &options).await;
    assert!(matches!(waiting, Err(ChainError::NotFinal { state: "mined", .. })), "{waiting:?}");
    network.node.reorganise(1).await;
    assert_eq!(network.node.transaction_count(PROPOSER).await, 0);

    let published = network.publish(PROPOSER, day(1)).await.unwrap().submission.unwrap();
    assert_eq!(network.count("select count(*) from chain.attempt").await, 1);
    assert_eq!(network.count("select reorganised::bigint from chain.submission").await, 1);
    let hash =
        network.count("select count(*) from chain.submission s join chain.attempt using (transaction_hash)");
    assert_eq!(hash.await, 1);
    println!("sent again: {}", published.transaction);
    network.publish(CONFIRMER, day(1)).await.unwrap();
}

#[tokio::test]
async fn a_final_publication_that_leaves_the_chain_is_an_alert_and_sent_again() {
    let Some(mut network) = Network::start().await else { return };
    let tree = network.settle(day(1), 3, 1).await;
    network.publish(PROPOSER, day(1)).await.unwrap();
    let depth = network.node.head().await - 3;
    network.node.reorganise(depth).await;
    assert_eq!(network.node.transaction_count(PROPOSER).await, 0);
    let lost = network.publish(PROPOSER, day(1)).await;
    assert!(matches!(lost, Err(ChainError::DeepReorganisation { .. })), "{lost:?}");
    println!("alert: {}", lost.unwrap_err());
    assert_eq!(network.count("select count(*) from chain.alert").await, 1);
    // running it again goes on: events are read again first, which may find their checkpoint lost as well
    let mut published = network.publish(PROPOSER, day(1)).await;
    if matches!(published, Err(ChainError::DeepReorganisation { .. })) {
        published = network.publish(PROPOSER, day(1)).await;
    }
    assert!(!published.unwrap().submission.unwrap().was_final);
    network.publish(CONFIRMER, day(1)).await.unwrap();
    network.node.wait(DELAY).await;
    network.node.send(BEN, network.distributor, &network.claim(&tree, BEN)).await.unwrap();
    assert_eq!(network.node.rpc("eth_chainId", json!([])).await, "0x7a69");
}

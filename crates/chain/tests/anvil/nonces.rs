use std::time::Duration;

use alloy_primitives::U128;
use serde_json::json;
use tale_chain::{ChainError, Published, publish};

use crate::{
    network::{Network, day},
    node::{CONFIRMER, OWNER, PROPOSER, account, key},
};

/// Publishes without anybody mining, for a while.
async fn publish_alone(network: &mut Network, wait: Duration) -> Result<Published, ChainError> {
    let options = tale_chain::PublishOptions { wait, ..network.options.clone() };
    publish(&mut network.conn, &network.contract, &key(PROPOSER), day(1), &options).await
}

#[tokio::test]
async fn a_stuck_transaction_is_sent_again_with_higher_fees_and_the_same_nonce() {
    let Some(mut network) = Network::start().await else { return };
    network.settle(day(1), 3, 1).await;
    network.node.rpc("evm_setAutomine", json!([false])).await;
    network.options.raise_after = Duration::from_millis(100);
    let waited = publish_alone(&mut network, Duration::from_millis(350)).await;
    assert!(matches!(waited, Err(ChainError::NotFinal { state: "sent", .. })), "{waited:?}");
    let attempts = network.count("select count(*) from chain.attempt").await;
    assert!(attempts > 1, "{attempts}");
    assert_eq!(network.count("select count(*) from chain.submission").await, 1);

    // of all attempts one is mined
    network.options.raise_after = Duration::from_secs(60);
    network.publish(PROPOSER, day(1)).await.unwrap();
    assert_eq!(network.node.transaction_count(PROPOSER).await, 1);
}

#[tokio::test]
async fn fees_above_the_limit_are_not_paid() {
    let Some(mut network) = Network::start().await else { return };
    network.settle(day(1), 3, 1).await;
    network.options.max_fee_limit = 10;
    let refused = network.publish(PROPOSER, day(1)).await;
    assert!(matches!(refused, Err(ChainError::FeeAboveLimit { limit: 10, .. })), "{refused:?}");
    assert_eq!(network.count("select count(*) from chain.submission").await, 0);
}

#[tokio::test]
async fn a_key_that_is_used_elsewhere_meanwhile_takes_another_nonce() {
    let Some(mut network) = Network::start().await else { return };
    network.settle(day(1), 3, 1).await;
    network.node.rpc("evm_setAutomine", json!([false])).await;
    let waited = publish_alone(&mut network, Duration::from_millis(30)).await;
    assert!(matches!(waited, Err(ChainError::NotFinal { .. })), "{waited:?}");

    // the node forgets it, and the same key pays somebody with the same nonce
    network.node.rpc("anvil_dropAllTransactions", json!([])).await;
    let fee = U128::from(300_000_000_000_u64);
    let payment = json!([{
        "from": account(PROPOSER), "to": account(OWNER), "value": "0x1", "nonce": "0x0",
        "maxFeePerGas": fee, "maxPriorityFeePerGas": fee,
    }]);
    network.node.rpc("eth_sendTransaction", payment).await;
    network.node.mine(1).await;
    assert_eq!(network.node.transaction_count(PROPOSER).await, 1);

    network.publish(PROPOSER, day(1)).await.unwrap();
    assert_eq!(network.node.transaction_count(PROPOSER).await, 2);
    assert_eq!(network.count("select count(*) from chain.submission where state = 'replaced'").await, 1);
    network.publish(CONFIRMER, day(1)).await.unwrap();
}

#[tokio::test]
async fn two_publishers_at_once_send_one_transaction() {
    let Some(mut network) = Network::start().await else { return };
    network.settle(day(1), 3, 1).await;
    let mut second = network.database.connection().await;
    let (contract, options) = (network.contract.clone(), network.options.clone());
    let other_key = key(PROPOSER);
    let other = publish(&mut second, &contract, &other_key, day(1), &options);
    let (one, two) = tokio::join!(network.publish(PROPOSER, day(1)), other);
    assert_eq!(one.unwrap().submission.unwrap().transaction, two.unwrap().submission.unwrap().transaction);
    assert_eq!(network.node.transaction_count(PROPOSER).await, 1);
}

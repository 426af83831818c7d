use alloy_primitives::U256;
use tale_chain::{ChainError, DistributorContract, Endpoint};
use tale_ledger::{Entry, NewJournal, post_journal};
use tale_treasury::{PayoutRoute, TreasuryError, WithdrawalError, hold_epoch, release_epoch, take_route};

use crate::{
    network::{Network, day},
    node::{ANNA, CHAIN, CONFIRMER, PROPOSER, key},
};

#[tokio::test]
async fn failure_9_a_root_is_not_sent_unless_its_promises_are_funded_and_owed() {
    let Some(mut network) = Network::start().await else { return };
    let tree = network.settle(day(1), 3, 1).await;
    let total: U256 = tree.leaves().iter().map(|leaf| leaf.cumulative.to_u256()).sum();
    network.node.set_balance(network.token, network.distributor, total - U256::ONE).await;
    let refused = network.publish(PROPOSER, day(1)).await;
    assert!(matches!(refused, Err(ChainError::Insolvent { .. })), "{refused:?}");
    network.node.set_balance(network.token, network.distributor, total).await;

    // somebody moved what a holder is owed behind the claims' back
    let holder = format!("holder:{:#x}:xTALE", crate::node::account(ANNA));
    let one = "1".parse().unwrap();
    let journal = |key: &str, from: &str, to: &str| NewJournal {
        key: key.to_owned(),
        epoch: None,
        description: "a test".to_owned(),
        entries: vec![Entry::debit(from.parse().unwrap(), one), Entry::credit(to.parse().unwrap(), one)],
    };
    let away = journal("away", &holder, "pool:elsewhere:xTALE");
    post_journal(&mut network.conn, &away).await.unwrap();
    let refused = network.publish(PROPOSER, day(1)).await;
    assert!(matches!(refused, Err(ChainError::LiabilityDiffers { .. })), "{refused:?}");
    let back = journal("back", "pool:elsewhere:xTALE", &holder);
    post_journal(&mut network.conn, &back).await.unwrap();

    assert_eq!(network.node.transaction_count(PROPOSER).await, 0);
    network.publish(PROPOSER, day(1)).await.unwrap();
}

#[tokio::test]
async fn a_token_that_is_withdrawn_from_the_ledger_is_not_published_too() {
    let Some(mut network) = Network::start().await else { return };
    network.settle(day(1), 3, 1).await;
    let token = tale_primitives::Address::from_bytes(network.token.into_array());
    take_route(&mut network.conn, token, PayoutRoute::Withdrawals).await.unwrap();
    let refused = network.publish(PROPOSER, day(1)).await;
    let Err(ChainError::Treasury(reason)) = &refused else { panic!("{refused:?}") };
    let is_route = matches!(**reason, TreasuryError::Withdrawal(WithdrawalError::TwoRoutes { .. }));
    assert!(is_route, "{reason}");
    assert_eq!(network.node.transaction_count(PROPOSER).await, 0);
}

#[tokio::test]
async fn what_cannot_be_published_is_refused_before_anything_is_sent() {
    let Some(mut network) = Network::start().await else { return };
    let at = |chain, address| {
        let endpoint = Endpoint::at(&network.node.url).unwrap();
        DistributorContract::find(endpoint, chain, address)
    };
    let (contract, token) = (network.contract.address(), *network.token);
    let found = at(56, contract).await;
    assert!(matches!(found, Err(ChainError::OtherChain { expected: 56, found: CHAIN })), "{found:?}");
    for address in
        [tale_primitives::Address::derive("nobody"), tale_primitives::Address::from_bytes(token.into())]
    {
        let found = at(CHAIN, address).await;
        assert!(matches!(found, Err(ChainError::NoDistributor { .. })), "{found:?}");
    }
    for url in ["", "anvil", "ftp://127.0.0.1", "http://"] {
        assert!(matches!(Endpoint::at(url), Err(ChainError::NotAnEndpoint)), "{url}");
    }

    let unsettled = network.publish(PROPOSER, day(1)).await;
    assert!(matches!(unsettled, Err(ChainError::Treasury(_))), "{unsettled:?}");
    network.settle(day(1), 3, 1).await;
    hold_epoch(&mut network.conn, day(1), "a dispute", "a test").await.unwrap();
    let held = network.publish(PROPOSER, day(1)).await;
    assert!(held.as_ref().is_err_and(|error| error.to_string().contains("a dispute")), "{held:?}");
    release_epoch(&mut network.conn, day(1), "settled", "a test").await.unwrap();
    let stranger = network.publish(ANNA, day(1)).await;
    assert!(
        matches!(stranger, Err(ChainError::NoRole(address)) if address == key(ANNA).address()),
        "{stranger:?}"
    );
    let first = network.publish(CONFIRMER, day(1)).await;
    assert!(matches!(first, Err(ChainError::NotProposed { .. })), "{first:?}");
    assert_eq!(network.node.transaction_count(CONFIRMER).await, 0);

    // what is paid on the chain, withdrawals do not turn into another asset
    let token = tale_primitives::Address::from_bytes(token.into());
    network.publish(PROPOSER, day(1)).await.unwrap();
    let other = take_route(&mut network.conn, token, PayoutRoute::Withdrawals).await;
    assert!(matches!(other, Err(TreasuryError::Withdrawal(WithdrawalError::TwoRoutes { .. }))), "{other:?}");

    // claims have one distributor: a tree that two pay is paid twice
    let other = network.node.deploy_distributor().await;
    network.node.set_balance(network.token, other, U256::from(10).pow(U256::from(24))).await;
    let endpoint = Endpoint::at(&network.node.url).unwrap();
    let address = tale_primitives::Address::from_bytes(other.into_array());
    network.contract = DistributorContract::find(endpoint, CHAIN, address).await.unwrap();
    let twice = network.publish(PROPOSER, day(1)).await;
    assert!(matches!(twice, Err(ChainError::OtherDistributor { .. })), "{twice:?}");
}

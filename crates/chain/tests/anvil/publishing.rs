use alloy_primitives::{B256, U256};
use tale_chain::{
    RootState,
    abi::Distributor::{self, claimForCall, proposeCall},
    read_claims, verify_on_chain,
};

use crate::{
    network::{Network, day, promised},
    node::{ANNA, BEN, CONFIRMER, DELAY, GUARDIAN, PROPOSER, account},
};

#[tokio::test]
async fn two_epochs_are_published_claimed_and_read_back() {
    let Some(mut network) = Network::start().await else { return };
    println!("distributor {} at {}", network.distributor, network.node.url);
    let first = network.settle(day(1), 3, 1).await;
    let proposed = network.publish(PROPOSER, day(1)).await.unwrap();
    println!("proposed  {}", serde_json::to_string(&proposed).unwrap());
    let verdict = verify_on_chain(&network.contract, &first, true).await.unwrap();
    assert_eq!(verdict.state, RootState::Unknown);
    let confirmed = network.publish(CONFIRMER, day(1)).await.unwrap();
    println!("confirmed {}", serde_json::to_string(&confirmed).unwrap());

    // a verifier with its own derivation, before anything can be claimed
    let verdict = verify_on_chain(&network.contract, &first, true).await.unwrap();
    assert_eq!((verdict.state, verdict.current_root, verdict.overpaid.len()), (RootState::Pending, None, 0));
    let early = network.node.send(ANNA, network.distributor, &network.claim(&first, ANNA)).await;
    assert_eq!(early.unwrap_err(), "RootNotClaimable");
    network.node.wait(DELAY).await;
    let verdict = verify_on_chain(&network.contract, &first, true).await.unwrap();
    assert_eq!((verdict.state, verdict.current_root), (RootState::Current, Some(first.root())));

    // Anna claims; Ben skips the night
    let claim = network.claim(&first, ANNA);
    network.node.send(ANNA, network.distributor, &claim).await.unwrap();
    println!("Anna claimed {}", promised(&first, ANNA));
    let double = network.node.send(ANNA, network.distributor, &claim).await;
    assert_eq!(double.unwrap_err(), "NothingToClaim");

    let second = network.settle(day(2), 1, 1).await;
    network.publish_and_activate(day(2)).await;
    let forged = claimForCall { cumulative: U256::MAX, ..network.claim(&second, BEN) };
    assert_eq!(network.node.send(BEN, network.distributor, &forged).await.unwrap_err(), "InvalidProof");
    // one proof for both nights, sent by somebody else
    network.node.send(ANNA, network.distributor, &network.claim(&second, BEN)).await.unwrap();
    network.node.send(ANNA, network.distributor, &network.claim(&second, ANNA)).await.unwrap();
    for person in [ANNA, BEN] {
        let paid = network.token_balance(account(person)).await;
        assert_eq!(paid, promised(&second, person));
        println!("account {} was paid {paid}", account(person));
    }

    // a root that was published once is refused for ever
    let root = B256::from(*first.root().as_bytes());
    let replayed = proposeCall { root, endTime: 1_800_000_000, totals: vec![] };
    let refused = network.node.send(PROPOSER, network.distributor, &replayed).await;
    assert_eq!(refused.unwrap_err(), "RepeatedRoot");

    // what was claimed the ledger no longer owes, once it is final
    let read = read_claims(&mut network.conn, &network.contract, &network.options).await.unwrap();
    assert_eq!((read.found, read.posted), (2, 0));
    network.node.mine(network.options.finality_blocks).await;
    let read = read_claims(&mut network.conn, &network.contract, &network.options).await.unwrap();
    println!("read back {}", serde_json::to_string(&read).unwrap());
    assert_eq!((read.found, read.posted), (0, 2));
    for person in [ANNA, BEN] {
        assert!(network.owed(person).await.is_zero());
    }
    assert_eq!(network.count("select count(*) from chain.claim where journal_id is not null").await, 3);
}

#[tokio::test]
async fn publishing_again_changes_nothing() {
    let Some(mut network) = Network::start().await else { return };
    network.settle(day(1), 3, 1).await;
    let first = network.publish(PROPOSER, day(1)).await.unwrap().submission.unwrap();
    assert!(!first.was_final);
    let again = network.publish(PROPOSER, day(1)).await.unwrap().submission.unwrap();
    assert!(again.was_final);
    assert_eq!(again.transaction, first.transaction);
    assert_eq!(network.node.transaction_count(PROPOSER).await, 1);
}

#[tokio::test]
async fn a_database_that_was_set_back_does_not_publish_twice() {
    let Some(mut network) = Network::start().await else { return };
    network.settle(day(1), 3, 1).await;
    network.publish(PROPOSER, day(1)).await.unwrap();
    network.publish(CONFIRMER, day(1)).await.unwrap();
    // another installation settles the same day from the same points, and knows of no publication
    let other = tale_testkit::TestDatabase::create().await;
    network.conn = other.connection().await;
    crate::network::register(&mut network.conn).await;
    network.settle(day(1), 3, 1).await;
    for by in [PROPOSER, CONFIRMER] {
        assert_eq!(network.publish(by, day(1)).await.unwrap().submission, None);
        assert_eq!(network.node.transaction_count(by).await, 1);
    }
}

#[tokio::test]
async fn failure_10_a_false_root_is_seen_and_disabled_before_it_is_active() {
    let Some(mut network) = Network::start().await else { return };
    let first = network.settle(day(1), 3, 1).await;
    network.publish_and_activate(day(1)).await;

    // both publishing keys are stolen: a root of nothing that we derived
    let root = B256::repeat_byte(0x66);
    let total =
        tale_chain::abi::Total { token: network.token, cumulative: U256::from(10).pow(U256::from(24)) };
    let (end, totals) = (1_767_500_000, vec![total]);
    let propose = proposeCall { root, endTime: end, totals: totals.clone() };
    network.node.send(PROPOSER, network.distributor, &propose).await.unwrap();
    let confirm = Distributor::confirmCall { root, endTime: end, totals };
    network.node.send(CONFIRMER, network.distributor, &confirm).await.unwrap();

    // whoever derives the day's tree sees that it is not what waits
    let second = network.settle(day(2), 1, 1).await;
    let verdict = verify_on_chain(&network.contract, &second, false).await.unwrap();
    assert_eq!(verdict.state, RootState::Unknown);
    network.node.send(GUARDIAN, network.distributor, &Distributor::disableCall { root }).await.unwrap();
    network.node.wait(DELAY).await;
    let verdict = verify_on_chain(&network.contract, &first, true).await.unwrap();
    assert_eq!(verdict.state, RootState::Current);
    network.publish_and_activate(day(2)).await;
    let verdict = verify_on_chain(&network.contract, &second, true).await.unwrap();
    assert_eq!(verdict.state, RootState::Current);
}

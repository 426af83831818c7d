//! Publishers that are killed between any two of their steps.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use alloy_primitives::B256;
use alloy_sol_types::SolEvent;
use async_trait::async_trait;
use sqlx::Connection;
use tale_chain::{Transport, TransportError, abi::Distributor, publish};
use tokio::sync::Notify;

use crate::{
    network::{Network, day, mine},
    node::{CONFIRMER, DELAY, PROPOSER, key},
};

/// A way to the node that ends at a boundary. There is one before each request, with everything that was recorded
/// since the request before it, and one more after each transaction that the node took, before its answer comes back.
struct Cut {
    client: reqwest::Client,
    url: String,
    at: usize,
    passed: AtomicUsize,
    reached: Notify,
}

impl Cut {
    async fn boundary(&self) {
        if self.passed.fetch_add(1, Ordering::Relaxed) == self.at {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Transport for Cut {
    async fn post(&self, body: String) -> Result<Vec<u8>, TransportError> {
        self.boundary().await;
        let is_sending = body.contains("eth_sendRawTransaction");
        let request = self.client.post(&self.url).header("content-type", "application/json").body(body);
        let answer = request.send().await.unwrap().bytes().await.unwrap();
        if is_sending {
            self.boundary().await;
        }
        Ok(answer.to_vec())
    }
}

/// Publishes until a boundary, and is killed there: whatever was under way is dropped, and the database's connection
/// with it. Says whether it got that far.
async fn publish_until(network: &Network, by: usize, number: u32, at: usize) -> bool {
    let (client, url) = (reqwest::Client::new(), network.node.url.clone());
    let cut = Arc::new(Cut { client, url, at, passed: AtomicUsize::new(0), reached: Notify::new() });
    let mut conn = network.database.connection().await;
    let key = key(by);
    let publishing = async {
        let contract = network.contract_over(cut.clone()).await.unwrap();
        publish(&mut conn, &contract, &key, day(number), &network.options).await.unwrap();
    };
    let was_cut = tokio::select! {
        () = publishing => false,
        () = cut.reached.notified() => true,
        () = mine(&network.node) => unreachable!("blocks come for ever"),
    };
    conn.close_hard().await.unwrap();
    was_cut
}

/// Kills publishers with this key at every boundary; days that have a transaction are finished by five more.
async fn kill_at_every_boundary(by: usize, topic: B256) {
    let Some(mut network) = Network::start().await else { return };
    network.options.finality_blocks = 1;
    let mut at = 0;
    for number in 1..=31 {
        let tree = network.settle(day(number), 3, 1).await;
        if by == CONFIRMER {
            network.publish(PROPOSER, day(number)).await.unwrap();
        }
        // before anything is recorded, a day is as it was
        let mut was_cut = true;
        let mut transactions = 0;
        while was_cut && transactions < i64::from(number) {
            was_cut = publish_until(&network, by, number, at).await;
            at += 1;
            let action = if by == PROPOSER { "propose" } else { "confirm" };
            transactions = network.count(count_of(action)).await;
        }
        for _ in 0..5 {
            network.publish(by, day(number)).await.unwrap();
        }
        let root = B256::from(*tree.root().as_bytes());
        assert_eq!(
            network.node.count_events(network.distributor, topic, Some(root)).await,
            1,
            "boundary {at}"
        );
        assert_eq!(network.node.transaction_count(by).await, u64::from(number), "boundary {at}");
        if !was_cut {
            println!("killed at each of {} boundaries, over {number} days", at - 1);
            return;
        }
        if by == PROPOSER {
            network.publish(CONFIRMER, day(number)).await.unwrap();
        }
        network.node.wait(DELAY).await;
    }
    panic!("a publication has more than {at} boundaries");
}

fn count_of(action: &str) -> &'static str {
    match action {
        "propose" => "select count(*) from chain.submission where action = 'propose'",
        _ => "select count(*) from chain.submission where action = 'confirm'",
    }
}

#[tokio::test]
async fn failure_1_a_proposer_killed_at_every_boundary_proposes_one_root() {
    kill_at_every_boundary(PROPOSER, Distributor::Proposed::SIGNATURE_HASH).await;
}

#[tokio::test]
async fn failure_1_a_confirmer_killed_at_every_boundary_confirms_one_root() {
    kill_at_every_boundary(CONFIRMER, Distributor::Confirmed::SIGNATURE_HASH).await;
}

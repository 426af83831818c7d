//! A database with settled days, a node, and a distributor with the days' funds.

use std::{sync::Arc, time::Duration};

use alloy_primitives::{Address, B256, U256};
use sqlx::PgConnection;
use tale_chain::{
    ChainError, DistributorContract, Endpoint, PublishOptions, Published, Transport,
    abi::{Distributor, TestToken},
    publish,
};
use tale_ledger::{AccountKey, Asset, balance};
use tale_network::{NewGenerator, register_generators};
use tale_primitives::{Amount, GeneratorId, UtcDay};
use tale_testkit::TestDatabase;
use tale_treasury::{
    ClaimsTree, Class, NewContributions, Ruleset, claims_tree, compute, gather_inputs, post_epoch,
    publish_epoch, record_contributions, record_result, seal_epoch,
};
use uuid::Uuid;

use crate::node::{ANNA, BEN, CHAIN, CONFIRMER, DELAY, Node, PROPOSER, account, key};

pub struct Network {
    pub database: TestDatabase,
    pub conn: PgConnection,
    pub node: Node,
    pub contract: DistributorContract,
    pub distributor: Address,
    pub token: Address,
    pub options: PublishOptions,
}

/// A day of January.
pub fn day(number: u32) -> UtcDay {
    format!("2026-01-{number:02}").parse().unwrap()
}

fn own(address: Address) -> tale_primitives::Address {
    tale_primitives::Address::from_bytes(address.into_array())
}

fn generator(number: usize) -> GeneratorId {
    GeneratorId::from_raw(Uuid::from_u128(number as u128))
}

/// Two owners with a generator each.
pub async fn register(conn: &mut PgConnection) {
    let generators = [ANNA, BEN].map(|number| NewGenerator {
        id: generator(number),
        name: format!("generator-{number}").parse().unwrap(),
        owner: own(account(number)),
        is_participant: true,
        is_validator: false,
        credibility_ppm: 1_000_000,
    });
    register_generators(conn, &generators).await.unwrap();
}

impl Network {
    /// Two owners with a generator each, and a distributor that holds ten million tokens.
    pub async fn start() -> Option<Self> {
        let node = Node::start()?;
        let database = TestDatabase::create().await;
        let mut conn = database.connection().await;
        register(&mut conn).await;
        let token = Ruleset::load(Ruleset::CURRENT_VERSION).unwrap().token;
        let token = Address::from(*token.as_bytes());
        let distributor = node.deploy_distributor().await;
        node.place_token(token).await;
        node.set_balance(token, distributor, U256::from(10).pow(U256::from(25))).await;
        let endpoint = Endpoint::at(&node.url).unwrap();
        let contract = DistributorContract::find(endpoint, CHAIN, own(distributor)).await.unwrap();
        let options = PublishOptions {
            finality_blocks: 4,
            poll: Duration::from_millis(5),
            wait: Duration::from_secs(30),
            first_block: Some(0),
            ..PublishOptions::default()
        };
        Some(Self { database, conn, node, contract, distributor, token, options })
    }

    /// The distributor over another way to the node.
    pub async fn contract_over(
        &self,
        transport: Arc<dyn Transport>,
    ) -> Result<DistributorContract, ChainError> {
        DistributorContract::find(Endpoint::over(transport), CHAIN, own(self.distributor)).await
    }

    /// Settles a day with these points.
    pub async fn settle(&mut self, day: UtcDay, anna: i64, ben: i64) -> ClaimsTree {
        let conn = &mut self.conn;
        let points = vec![(generator(ANNA), anna), (generator(BEN), ben)];
        let source = format!("round of {day}");
        let contributions = NewContributions { source, day, class: Class::Training, points };
        record_contributions(conn, &contributions).await.unwrap();
        // the first ruleset pays for points alone, without a cap: two owners share the whole pool
        let inputs = gather_inputs(conn, day, 1).await.unwrap();
        seal_epoch(conn, &inputs).await.unwrap();
        let result = compute(&inputs, &Ruleset::load(inputs.ruleset()).unwrap()).unwrap();
        record_result(conn, &result).await.unwrap();
        post_epoch(conn, day).await.unwrap();
        publish_epoch(conn, day, None).await.unwrap();
        claims_tree(conn, day).await.unwrap()
    }

    /// Publishes with one key, while blocks come.
    pub async fn publish(&mut self, by: usize, day: UtcDay) -> Result<Published, ChainError> {
        let (key, contract) = (key(by), self.contract.clone());
        let publishing = publish(&mut self.conn, &contract, &key, day, &self.options);
        tokio::select! {
            published = publishing => published,
            () = mine(&self.node) => unreachable!("blocks come for ever"),
        }
    }

    /// Publishes with both keys, and lets the activation delay pass.
    pub async fn publish_and_activate(&mut self, day: UtcDay) {
        self.publish(PROPOSER, day).await.unwrap();
        self.publish(CONFIRMER, day).await.unwrap();
        self.node.wait(DELAY).await;
    }

    /// The claim of an account against a tree.
    pub fn claim(&self, tree: &ClaimsTree, of: usize) -> Distributor::claimForCall {
        let place = tree.leaves().iter().position(|leaf| leaf.account == own(account(of))).unwrap();
        let hash = |hash: &tale_treasury::MerkleHash| B256::from(*hash.as_bytes());
        Distributor::claimForCall {
            account: account(of),
            root: hash(&tree.root()),
            token: self.token,
            cumulative: U256::from_be_bytes(tree.leaves()[place].cumulative.to_be_bytes()),
            proof: tree.proof(place).unwrap().iter().map(hash).collect(),
        }
    }

    pub async fn token_balance(&self, of: Address) -> Amount {
        let call = TestToken::balanceOfCall { account: of };
        Amount::from_u256(self.node.call(ANNA, self.token, &call).await.unwrap())
    }

    /// What the ledger owes an account.
    pub async fn owed(&mut self, to: usize) -> Amount {
        let asset: Asset = "xTALE".parse().unwrap();
        let account = AccountKey::holder(own(account(to)), &asset);
        balance(&mut self.conn, &account).await.unwrap().amount()
    }

    /// A number that the database knows.
    pub async fn count(&mut self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&mut self.conn).await.unwrap()
    }
}

/// Mines a block every few milliseconds.
pub async fn mine(node: &Node) {
    loop {
        node.mine(1).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What a tree promises to an account.
pub fn promised(tree: &ClaimsTree, to: usize) -> Amount {
    tree.leaves().iter().find(|leaf| leaf.account == own(account(to))).unwrap().cumulative
}

//! A chain of one block at a time, with a distributor and two tokens on it.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_sol_types::{SolCall, SolConstructor, SolEventInterface, SolInterface};
use revm::{
    Context, ExecuteCommitEvm, MainBuilder, MainContext, MainnetEvm,
    context::{TxEnv, result::ExecutionResult},
    database::InMemoryDB,
    handler::MainnetContext,
};
use tale_chain::{
    abi::{
        Distributor::{self, DistributorErrors, DistributorEvents, Role},
        TestToken, Total,
    },
    compiled_contract,
};
use tale_primitives::Amount;
use tale_treasury::{ClaimLeaf, ClaimsTree};

/// The delay of every distributor here, in seconds.
pub const DELAY: u64 = 6 * 3600;
/// A day, in seconds.
pub const DAY: u64 = 86_400;
/// What was ever minted of each token.
pub const SUPPLY: u128 = 1_000_000_000;

/// Somebody with a key.
pub fn person(number: u64) -> Address {
    Address::from_word(U256::from(0x1000 + number).into())
}

pub const OWNER: u64 = 1;
pub const PROPOSER: u64 = 2;
pub const CONFIRMER: u64 = 3;
pub const GUARDIAN: u64 = 4;
pub const BANK: u64 = 5;

type Evm = MainnetEvm<MainnetContext<InMemoryDB>>;

pub struct World {
    evm: Evm,
    /// The block's time, in Unix seconds.
    pub now: u64,
    pub distributor: Address,
    pub tokens: [Address; 2],
    /// What the last successful call's logs say.
    pub events: Vec<DistributorEvents>,
    pub gas_used: u64,
}

/// Why a call was refused.
#[derive(Debug)]
pub struct Refusal(pub Option<DistributorErrors>);

impl Refusal {
    /// The name of the contract's error.
    pub fn name(&self) -> String {
        let text = format!("{:?}", self.0.as_ref().expect("an error that the interface has"));
        text.split('(').next().unwrap_or_default().to_owned()
    }
}

impl World {
    /// At noon of a day, with nothing funded.
    pub fn new() -> Self {
        let context = Context::mainnet().with_db(InMemoryDB::default()).modify_cfg_chained(|cfg| {
            cfg.disable_nonce_check = true;
            cfg.tx_chain_id_check = false;
        });
        let mut world = Self {
            evm: context.build_mainnet(),
            now: 20_000 * DAY + DAY / 2,
            distributor: Address::ZERO,
            tokens: [Address::ZERO; 2],
            events: vec![],
            gas_used: 0,
        };
        let supply = TestToken::constructorCall { supply: U256::from(SUPPLY) }.abi_encode();
        let mut tokens = [1, 2].map(|_| world.deploy(BANK, "TestToken", &supply).expect("a token"));
        tokens.sort();
        world.tokens = tokens;
        let keys = [OWNER, PROPOSER, CONFIRMER, GUARDIAN].map(person);
        world.distributor = world.deploy_distributor(keys, DELAY).expect("a distributor");
        world
    }

    pub fn deploy_distributor(&mut self, keys: [Address; 4], delay: u64) -> Result<Address, Refusal> {
        let [owner, proposer, confirmer, guardian] = keys;
        let arguments =
            Distributor::constructorCall { owner, proposer, confirmer, guardian, delay }.abi_encode();
        self.deploy(BANK, "Distributor", &arguments)
    }

    fn deploy(&mut self, by: u64, name: &str, arguments: &[u8]) -> Result<Address, Refusal> {
        let code = &compiled_contract(name).expect("a committed contract").bytecode;
        let data = [code, arguments].concat();
        match self.transact(person(by), TxKind::Create, data.into()) {
            ExecutionResult::Success { output, .. } => Ok(*output.address().expect("a contract")),
            ExecutionResult::Revert { output, .. } => {
                Err(Refusal(DistributorErrors::abi_decode(&output).ok()))
            }
            halted => panic!("{halted:?}"),
        }
    }

    fn transact(&mut self, from: Address, to: TxKind, data: Bytes) -> ExecutionResult {
        let tx = TxEnv::builder().caller(from).kind(to).data(data).gas_limit(10_000_000).gas_price(0);
        self.evm.ctx.modify_block(|block| {
            block.timestamp = U256::from(self.now);
            block.number += U256::ONE;
        });
        self.evm.transact_commit(tx.build().expect("a transaction")).expect("it is executed")
    }

    /// Calls the distributor.
    pub fn call<C: SolCall>(&mut self, by: Address, call: &C) -> Result<C::Return, Refusal> {
        self.call_at(self.distributor, by, call)
    }

    pub fn call_at<C: SolCall>(&mut self, to: Address, by: Address, call: &C) -> Result<C::Return, Refusal> {
        match self.transact(by, TxKind::Call(to), call.abi_encode().into()) {
            ExecutionResult::Success { output, logs, gas, .. } => {
                let distributor = self.distributor;
                let ours = logs.iter().filter(|log| log.address == distributor);
                self.events = ours
                    .filter_map(|log| DistributorEvents::decode_log(log).ok().map(|it| it.data))
                    .collect();
                self.gas_used = gas.tx_gas_used();
                Ok(C::abi_decode_returns(output.data()).expect("what the interface says"))
            }
            ExecutionResult::Revert { output, .. } => {
                Err(Refusal(DistributorErrors::abi_decode(&output).ok()))
            }
            halted => panic!("{halted:?}"),
        }
    }

    /// The name of the error with which this call is refused.
    pub fn refused<C: SolCall>(&mut self, by: u64, call: &C) -> String {
        match self.call(person(by), call) {
            Err(refusal) => refusal.name(),
            Ok(_) => panic!("{} was let through", C::SIGNATURE),
        }
    }

    pub fn fund(&mut self, token: Address, amount: u64) {
        let call = TestToken::transferCall { to: self.distributor, value: U256::from(amount) };
        assert!(self.call_at(token, person(BANK), &call).expect("a transfer"));
    }

    pub fn balance(&mut self, token: Address, of: Address) -> u64 {
        let call = TestToken::balanceOfCall { account: of };
        let balance = self.call_at(token, person(BANK), &call).expect("a balance");
        balance.try_into().expect("a small balance")
    }

    /// Proposes and confirms a day's tree.
    pub fn publish(&mut self, day: &Day) -> Result<(), Refusal> {
        self.call(person(PROPOSER), &day.propose())?;
        self.call(person(CONFIRMER), &day.confirm()).map(|_| ())
    }

    /// Lets the activation delay pass.
    pub fn wait(&mut self) {
        self.now += DELAY;
    }

    /// Claims what a day's tree promises to an account, for itself.
    pub fn claim(&mut self, day: &Day, account: u64, token: Address) -> Result<u64, Refusal> {
        let amount = self.call(person(account), &day.claim(person(account), token))?;
        Ok(amount.try_into().expect("a small amount"))
    }

    pub fn role(&mut self, role: Role) -> Address {
        self.call(person(BANK), &Distributor::holderOfCall { role }).expect("a holder")
    }
}

/// A settled day: its tree, its end, and what it promises in each token.
#[derive(Debug, Clone)]
pub struct Day {
    pub tree: ClaimsTree,
    pub end_time: u64,
    pub totals: Vec<Total>,
}

fn ours(address: Address) -> tale_primitives::Address {
    tale_primitives::Address::from_bytes(address.into_array())
}

fn theirs(address: tale_primitives::Address) -> Address {
    Address::from(*address.as_bytes())
}

impl Day {
    /// The day that ends `day` days after the epoch, with these cumulative amounts; one of nothing is left out.
    pub fn new(day: u64, amounts: &[(Address, Address, u64)]) -> Self {
        let leaf = |&(account, token, amount): &(Address, Address, u64)| ClaimLeaf {
            account: ours(account),
            token: ours(token),
            cumulative: Amount::from(amount),
        };
        let leaves: Vec<_> = amounts.iter().filter(|(_, _, amount)| *amount > 0).map(leaf).collect();
        let mut totals: Vec<Total> = vec![];
        for leaf in &leaves {
            let token = theirs(leaf.token);
            match totals.iter_mut().find(|total| total.token == token) {
                Some(total) => total.cumulative += leaf.cumulative.to_u256(),
                None => totals.push(Total { token, cumulative: leaf.cumulative.to_u256() }),
            }
        }
        totals.sort_by_key(|total| total.token);
        Self { tree: ClaimsTree::build(leaves).expect("a tree"), end_time: day * DAY, totals }
    }

    pub fn root(&self) -> B256 {
        B256::from(*self.tree.root().as_bytes())
    }

    pub fn propose(&self) -> Distributor::proposeCall {
        let Self { end_time, totals, .. } = self;
        Distributor::proposeCall { root: self.root(), endTime: *end_time, totals: totals.clone() }
    }

    pub fn confirm(&self) -> Distributor::confirmCall {
        let Self { end_time, totals, .. } = self;
        Distributor::confirmCall { root: self.root(), endTime: *end_time, totals: totals.clone() }
    }

    /// What the tree promises to an account, and the proof; of an account that it does not have, nothing.
    pub fn proof(&self, account: Address, token: Address) -> (U256, Vec<B256>) {
        let leaves = self.tree.leaves().iter();
        let place =
            leaves.clone().position(|leaf| leaf.account == ours(account) && leaf.token == ours(token));
        let Some(place) = place else { return (U256::ZERO, vec![]) };
        let proof = self.tree.proof(place).expect("a proof");
        let hashes = proof.iter().map(|hash| B256::from(*hash.as_bytes())).collect();
        (self.tree.leaves()[place].cumulative.to_u256(), hashes)
    }

    pub fn claim(&self, account: Address, token: Address) -> Distributor::claimCall {
        let (cumulative, proof) = self.proof(account, token);
        Distributor::claimCall { root: self.root(), token, cumulative, proof }
    }

    pub fn claim_for(&self, account: Address, token: Address) -> Distributor::claimForCall {
        let (cumulative, proof) = self.proof(account, token);
        Distributor::claimForCall { account, root: self.root(), token, cumulative, proof }
    }
}

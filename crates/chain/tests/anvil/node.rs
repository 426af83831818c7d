//! A node of a private chain, which ends with its test.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use alloy_primitives::{Address, B256, Bytes, U64, U256, keccak256};
use alloy_sol_types::{SolCall, SolConstructor, SolInterface, SolValue};
use serde_json::{Value, json};
use tale_chain::{
    Deployment, Key,
    abi::{Distributor::DistributorErrors, TestToken},
    compiled_contract,
};

/// The chain's id.
pub const CHAIN: u64 = 31337;
/// How long a confirmed root waits, in seconds.
pub const DELAY: u64 = 6 * 3600;

/// The variable that names a file to which nodes' own logs are appended.
const LOG: &str = "TALE_ANVIL_LOG";

/// Keys that everybody knows: those of the node's rich accounts.
const KEYS: [&str; 6] = [
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    "0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
];

pub const OWNER: usize = 0;
pub const PROPOSER: usize = 1;
pub const CONFIRMER: usize = 2;
pub const GUARDIAN: usize = 3;
pub const ANNA: usize = 4;
pub const BEN: usize = 5;

pub fn secret(number: usize) -> &'static str {
    KEYS[number]
}

pub fn key(number: usize) -> Key {
    Key::parse(secret(number)).unwrap()
}

pub fn account(number: usize) -> Address {
    Address::from(*key(number).address().as_bytes())
}

pub struct Node {
    process: Child,
    pub url: String,
    client: reqwest::Client,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program(modules: PathBuf) -> PathBuf {
    let system = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    modules.join(format!("@foundry-rs/anvil-{system}-{machine}/bin/anvil"))
}

impl Node {
    /// Starts a node; nothing where npm's packages are left out on purpose.
    pub fn start() -> Option<Self> {
        let program = program(tale_testkit::npm_modules()?);
        let mut process = Command::new(&program)
            .args(["--host", "127.0.0.1", "--port", "0", "--no-request-size-limit"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot run: {error}", program.display()));
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("Listening on ").map(str::to_owned))
            .expect("anvil says where it listens");
        let log =
            std::env::var_os(LOG).map(|path| File::options().create(true).append(true).open(path).unwrap());
        // what nobody reads would stop it once the pipe is full
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = log.as_ref().map(|mut log| writeln!(log, "{line}"));
            }
        });
        let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        Some(Self { process, url: format!("http://{address}"), client })
    }

    pub async fn try_rpc(&self, method: &str, params: Value) -> Result<Value, Value> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let request = self.client.post(&self.url).header("content-type", "application/json").body(body);
        let answer = request.send().await.unwrap().text().await.unwrap();
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        match answer.get_mut("error") {
            Some(error) => Err(error.take()),
            None => Ok(answer["result"].take()),
        }
    }

    pub async fn rpc(&self, method: &str, params: Value) -> Value {
        let answer = self.try_rpc(method, params).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    pub async fn mine(&self, blocks: u64) {
        self.rpc("anvil_mine", json!([U64::from(blocks)])).await;
    }

    pub async fn head(&self) -> u64 {
        serde_json::from_value::<U64>(self.rpc("eth_blockNumber", json!([])).await).unwrap().to()
    }

    /// Takes the last blocks away, with their transactions, and puts empty ones in their place.
    pub async fn reorganise(&self, depth: u64) {
        self.rpc("anvil_reorg", json!([depth, []])).await;
    }

    /// Lets time pass, and a block come.
    pub async fn wait(&self, seconds: u64) {
        self.rpc("evm_increaseTime", json!([seconds])).await;
        self.mine(1).await;
    }

    pub async fn transaction_count(&self, of: usize) -> u64 {
        let count = self.rpc("eth_getTransactionCount", json!([account(of), "latest"])).await;
        serde_json::from_value::<U64>(count).unwrap().to()
    }

    async fn deploy(&self, name: &str, arguments: Vec<u8>) -> Address {
        let code = &compiled_contract(name).unwrap().bytecode;
        self.create([code, &arguments[..]].concat().into()).await
    }

    async fn create(&self, data: Bytes) -> Address {
        let hash = self.rpc("eth_sendTransaction", json!([{ "from": account(OWNER), "data": data }])).await;
        let receipt = self.mined(&hash).await;
        serde_json::from_value(receipt["contractAddress"].clone()).unwrap()
    }

    pub async fn deploy_distributor(&self) -> Address {
        let [owner, proposer, confirmer, guardian] = [OWNER, PROPOSER, CONFIRMER, GUARDIAN]
            .map(|person| tale_primitives::Address::from_bytes(account(person).into_array()));
        let activation_delay = Duration::from_secs(DELAY);
        let deployment = Deployment { owner, proposer, confirmer, guardian, activation_delay };
        self.create(deployment.creation_data().unwrap()).await
    }

    /// Puts the test's token at the address that the ruleset names.
    pub async fn place_token(&self, at: Address) {
        let deployed =
            self.deploy("TestToken", TestToken::constructorCall { supply: U256::ZERO }.abi_encode());
        let code = self.rpc("eth_getCode", json!([deployed.await, "latest"])).await;
        self.rpc("anvil_setCode", json!([at, code])).await;
    }

    /// Sets a balance: the token keeps them in its first slot.
    pub async fn set_balance(&self, token: Address, of: Address, units: U256) {
        let slot = keccak256((of, U256::ZERO).abi_encode());
        self.rpc("anvil_setStorageAt", json!([token, slot, B256::from(units)])).await;
        self.mine(1).await;
    }

    /// What a call returns, or the name of the contract's error.
    pub async fn call<C: SolCall>(&self, by: usize, to: Address, call: &C) -> Result<C::Return, String> {
        let data = Bytes::from(call.abi_encode());
        let params = json!([{ "from": account(by), "to": to, "data": data }, "latest"]);
        match self.try_rpc("eth_call", params).await {
            Ok(answer) => {
                let bytes: Bytes = serde_json::from_value(answer).unwrap();
                Ok(C::abi_decode_returns(&bytes).unwrap())
            }
            Err(error) => {
                let data: Bytes = error["data"].as_str().unwrap_or_default().parse().unwrap();
                let known = DistributorErrors::abi_decode(&data);
                let text = format!("{:?}", known.unwrap_or_else(|_| panic!("{error}")));
                Err(text.split('(').next().unwrap().to_owned())
            }
        }
    }

    /// Sends a call that the contract takes, or gives the name of its error.
    pub async fn send<C: SolCall>(&self, by: usize, to: Address, call: &C) -> Result<B256, String> {
        self.call(by, to, call).await?;
        let data = Bytes::from(call.abi_encode());
        let params = json!([{ "from": account(by), "to": to, "data": data, "gas": "0x7a120" }]);
        let hash = self.rpc("eth_sendTransaction", params).await;
        assert_eq!(self.mined(&hash).await["status"], "0x1");
        Ok(serde_json::from_value(hash).unwrap())
    }

    /// The receipt of a transaction that is about to be mined.
    async fn mined(&self, hash: &Value) -> Value {
        loop {
            match self.rpc("eth_getTransactionReceipt", json!([hash])).await {
                Value::Null => tokio::time::sleep(Duration::from_millis(2)).await,
                receipt => return receipt,
            }
        }
    }

    /// How many events of this sort the contract ever had.
    pub async fn count_events(&self, of: Address, topic: B256, first: Option<B256>) -> usize {
        let filter =
            json!({ "address": of, "topics": [topic, first], "fromBlock": "0x0", "toBlock": "latest" });
        self.rpc("eth_getLogs", json!([filter])).await.as_array().unwrap().len()
    }
}

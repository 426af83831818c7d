//! JSON-RPC: the methods of a node that publishing and reading need.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alloy_primitives::{Address, B256, Bytes, U64, U128, U256};
use async_trait::async_trait;
use reqwest::{Client, header::CONTENT_TYPE, redirect::Policy};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use url::Url;

use crate::ChainError;

/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Why an endpoint gave no answer. Never with its address, which may hold a key.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The connection failed.
    #[error("the endpoint cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Another HTTP status than 200.
    #[error("the endpoint answered with HTTP status {0}")]
    Status(u16),
    /// An answer that is too long.
    #[error("the endpoint's answer has more than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
    /// An answer that is not JSON-RPC.
    #[error("the endpoint's answer is not JSON-RPC")]
    NotJson(#[source] serde_json::Error),
}

/// How a request gets to a node and its answer back.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Posts one JSON document, and gives the one that answers it.
    async fn post(&self, body: String) -> Result<Vec<u8>, TransportError>;
}

/// HTTP, as nodes and their providers speak it.
struct Http {
    client: Client,
    url: Url,
}

#[async_trait]
impl Transport for Http {
    async fn post(&self, body: String) -> Result<Vec<u8>, TransportError> {
        let unreachable = |error: reqwest::Error| TransportError::Unreachable(error.without_url().into());
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(body);
        let mut answer = request.send().await.map_err(unreachable)?;
        if !answer.status().is_success() {
            return Err(TransportError::Status(answer.status().as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(TransportError::TooLong);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// A node of a chain.
#[derive(Clone)]
pub struct Endpoint {
    transport: Arc<dyn Transport>,
    next_id: Arc<AtomicU64>,
}

/// A block, as far as it matters here.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Block {
    pub number: U64,
    pub hash: B256,
    pub base_fee_per_gas: Option<U128>,
}

/// That a transaction is in a block.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    pub transaction_hash: B256,
    pub block_hash: B256,
    pub block_number: U64,
    pub status: U64,
}

/// An event.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Log {
    pub topics: Vec<B256>,
    pub data: Bytes,
    pub block_hash: B256,
    pub block_number: U64,
    pub transaction_hash: B256,
    pub log_index: U64,
}

/// A call that changes nothing, or a transaction that is tried.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub from: Option<Address>,
    pub to: Address,
    pub data: Bytes,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    result: Value,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    code: i64,
    message: String,
    data: Option<Value>,
}

impl Endpoint {
    /// The node at an http or https URL.
    pub fn at(url: &str) -> Result<Self, ChainError> {
        let url: Url = url.parse().map_err(|_| ChainError::NotAnEndpoint)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ChainError::NotAnEndpoint);
        }
        let client = Client::builder().timeout(ANSWER_TIMEOUT).redirect(Policy::none()).build();
        let client = client.map_err(|_| ChainError::NotAnEndpoint)?;
        Ok(Self::over(Arc::new(Http { client, url })))
    }

    /// The node that this transport reaches.
    pub fn over(transport: Arc<dyn Transport>) -> Self {
        Self { transport, next_id: Arc::default() }
    }

    async fn call<T: DeserializeOwned>(&self, method: &'static str, params: Value) -> Result<T, ChainError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string();
        let failed = |source| ChainError::Transport { method, source };
        let bytes = self.transport.post(body).await.map_err(failed)?;
        let answer: Answer =
            serde_json::from_slice(&bytes).map_err(|error| failed(TransportError::NotJson(error)))?;
        if let Some(Refusal { code, message, data }) = answer.error {
            let data = data.and_then(|data| data.as_str().map(str::to_owned));
            return Err(ChainError::Refused {
                method,
                code,
                message: message.chars().take(300).collect(),
                data,
            });
        }
        serde_json::from_value(answer.result).map_err(|_| ChainError::Unexpected { method })
    }

    pub(crate) async fn chain_id(&self) -> Result<u64, ChainError> {
        Ok(self.call::<U64>("eth_chainId", json!([])).await?.to())
    }

    /// The newest block.
    pub(crate) async fn head(&self) -> Result<Block, ChainError> {
        self.call("eth_getBlockByNumber", json!(["latest", false])).await
    }

    /// The block with this number that is of the chain now, if there is one.
    pub(crate) async fn block(&self, number: u64) -> Result<Option<Block>, ChainError> {
        self.call("eth_getBlockByNumber", json!([U64::from(number), false])).await
    }

    /// How many transactions of an account are in blocks up to this one.
    pub(crate) async fn transaction_count(&self, of: Address, at: u64) -> Result<u64, ChainError> {
        Ok(self.call::<U64>("eth_getTransactionCount", json!([of, U64::from(at)])).await?.to())
    }

    /// What miners ask for, in wei per gas; a gwei where the node does not say.
    pub(crate) async fn priority_fee(&self) -> Result<u128, ChainError> {
        match self.call::<U128>("eth_maxPriorityFeePerGas", json!([])).await {
            Ok(fee) => Ok(fee.to()),
            // many nodes lack the method
            Err(ChainError::Refused { .. }) => Ok(1_000_000_000),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn estimate_gas(&self, call: &Call) -> Result<u64, ChainError> {
        Ok(self.call::<U64>("eth_estimateGas", json!([call.as_json()])).await?.to())
    }

    /// What a call returns after this block.
    pub(crate) async fn view(&self, call: &Call, at: u64) -> Result<Bytes, ChainError> {
        self.call("eth_call", json!([call.as_json(), U64::from(at)])).await
    }

    pub(crate) async fn code_size(&self, at: Address) -> Result<usize, ChainError> {
        Ok(self.call::<Bytes>("eth_getCode", json!([at, "latest"])).await?.len())
    }

    pub(crate) async fn send(&self, signed: &[u8]) -> Result<B256, ChainError> {
        self.call("eth_sendRawTransaction", json!([Bytes::copy_from_slice(signed)])).await
    }

    /// The block of a transaction, if it is in one.
    pub(crate) async fn receipt(&self, of: B256) -> Result<Option<Receipt>, ChainError> {
        self.call("eth_getTransactionReceipt", json!([of])).await
    }

    /// A contract's events of one sort, from the first to the last of these blocks.
    pub(crate) async fn logs(
        &self,
        of: Address,
        topic: B256,
        from: u64,
        to: u64,
    ) -> Result<Vec<Log>, ChainError> {
        let filter = json!({
            "address": of,
            "topics": [topic],
            "fromBlock": U64::from(from),
            "toBlock": U64::from(to),
        });
        self.call("eth_getLogs", json!([filter])).await
    }
}

impl Call {
    fn as_json(&self) -> Value {
        let mut call = json!({ "to": self.to, "data": self.data, "value": U256::ZERO });
        if let Some(from) = self.from {
            call["from"] = json!(from);
        }
        call
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // its address may hold a key
        f.write_str("Endpoint")
    }
}

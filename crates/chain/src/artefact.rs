use std::{collections::BTreeMap, sync::LazyLock};

use alloy_primitives::Bytes;
use serde::Deserialize;
use serde_json::Value;

/// What `contracts/build.cjs` wrote; `just contracts` writes it again.
const TEXT: &str = include_str!("../contracts/build/contracts.json");

/// A compiled contract.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledContract {
    /// Its interface, as the compiler states it.
    pub abi: Value,
    /// The code that deploys it; the constructor's arguments follow.
    pub bytecode: Bytes,
    /// How many bytes it has once deployed.
    pub deployed_bytes: usize,
}

#[derive(Deserialize)]
struct Artefact {
    contracts: BTreeMap<String, CompiledContract>,
}

/// The committed contract of this name: `Distributor`, or `TestToken` for tests.
pub fn compiled_contract(name: &str) -> Option<&'static CompiledContract> {
    static CONTRACTS: LazyLock<Option<Artefact>> = LazyLock::new(|| serde_json::from_str(TEXT).ok());
    CONTRACTS.as_ref()?.contracts.get(name)
}

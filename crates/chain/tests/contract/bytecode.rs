use std::{collections::BTreeMap, fs, path::Path, process::Command};

use alloy_primitives::keccak256;
use alloy_sol_types::{SolEventInterface, SolInterface};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tale_chain::{
    abi::Distributor::{DistributorCalls, DistributorErrors, DistributorEvents},
    compiled_contract,
};

fn contracts() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/contracts"))
}

#[test]
fn the_committed_bytecode_has_the_committed_hash() {
    let artefact = fs::read(contracts().join("build/contracts.json")).unwrap();
    let stated = fs::read_to_string(contracts().join("build/contracts.json.sha256")).unwrap();
    let hash = hex::encode(Sha256::digest(&artefact));
    assert_eq!(stated, format!("{hash}  contracts.json\n"), "`just contracts` builds both again");
}

#[test]
fn the_sources_and_the_pinned_compiler_give_the_committed_bytecode() {
    let Some(modules) = tale_testkit::npm_modules() else { return };
    let folder = tale_testkit::tempdir();
    let built = folder.path().join("contracts.json");
    let status = Command::new("node").arg(contracts().join("build.cjs")).arg(modules).arg(&built).status();
    assert!(status.expect("node runs").success());
    let committed = fs::read(contracts().join("build/contracts.json")).unwrap();
    assert!(fs::read(built).unwrap() == committed, "the sources changed: `just contracts` builds them again");
}

/// Type names as signatures have them: a struct is the tuple of its parts.
fn type_of(parameter: &Value) -> String {
    let kind = parameter["type"].as_str().unwrap();
    match kind.strip_prefix("tuple") {
        Some(suffix) => format!("({}){suffix}", types_of(&parameter["components"])),
        None => kind.to_owned(),
    }
}

fn types_of(parameters: &Value) -> String {
    parameters.as_array().unwrap().iter().map(type_of).collect::<Vec<_>>().join(",")
}

/// The compiler's signatures of functions, events or errors, by their hashes.
fn compiled(sort: &str) -> BTreeMap<[u8; 32], String> {
    let abi = &compiled_contract("Distributor").unwrap().abi;
    let items = abi.as_array().unwrap().iter().filter(|item| item["type"] == sort);
    items
        .map(|item| format!("{}({})", item["name"].as_str().unwrap(), types_of(&item["inputs"])))
        .map(|signature| (keccak256(&signature).0, signature))
        .collect()
}

#[test]
fn the_interface_in_rust_is_the_compilers() {
    let functions = compiled("function");
    for selector in DistributorCalls::selectors() {
        assert!(functions.keys().any(|hash| hash.starts_with(&selector)), "{}", hex::encode(selector));
    }
    let errors = compiled("error");
    for selector in DistributorErrors::selectors() {
        assert!(errors.keys().any(|hash| hash.starts_with(&selector)), "{}", hex::encode(selector));
    }
    for (hash, signature) in errors {
        let known = DistributorErrors::selectors().any(|selector| hash.starts_with(&selector));
        assert!(known, "the interface in Rust lacks error {signature}");
    }
    let events = compiled("event");
    assert_eq!(DistributorEvents::COUNT, 7);
    for hash in DistributorEvents::SELECTORS {
        assert!(events.contains_key(hash), "{}", hex::encode(hash));
    }
}

#[test]
fn the_code_fits_into_a_contract() {
    let bytes = compiled_contract("Distributor").unwrap().deployed_bytes;
    // EIP-170
    assert!(bytes <= 24_576, "{bytes}");
}

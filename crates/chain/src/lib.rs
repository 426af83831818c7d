#![doc = include_str!("../README.md")]

pub mod abi;
mod artefact;

pub use artefact::{CompiledContract, compiled_contract};

//! `tale claims`: Merkle trees of what accounts may claim.

mod contract;
mod deployment;
mod proof;
mod publish;
mod tree;
mod verify;

use std::{error::Error, fs, path::Path, process::ExitCode};

use clap::{Args, Subcommand};
use serde::Serialize;
use tale_treasury::{ClaimsTree, MerkleHash, TreeDump};

use crate::{
    arguments::Global,
    failure::{FAILED, Failure, UNUSABLE},
    output,
};

/// Builds claims trees, proves claims, publishes roots and verifies both.
#[derive(Debug, Args)]
pub struct Claims {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Builds a tree from `account,token,cumulative` lines; needs no database.
    Tree(tree::Tree),
    /// Proves what an account may claim, from a tree's file or a published epoch.
    Proof(proof::Proof),
    /// Computes every hash of a tree again; with --rpc, asks the chain for its root.
    Verify(verify::Verify),
    /// Prints the data of a transaction that deploys a distributor; needs neither a database nor a key.
    Deployment(deployment::Deployment),
    /// Sends the root of a published epoch to its distributor, and waits until it is final.
    Publish(publish::Publish),
}

/// A tree in one line.
#[derive(Serialize)]
struct Summary {
    root: MerkleHash,
    leaves: usize,
}

impl Claims {
    /// Does what was asked for.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        match &self.what {
            What::Tree(tree) => tree.run(global)?,
            What::Proof(proof) => proof.run(global).await?,
            What::Verify(verify) => verify.run(global).await?,
            What::Deployment(deployment) => deployment.run(global)?,
            What::Publish(publish) => publish.run(global).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints root and number of leaves.
fn print(global: &Global, tree: &ClaimsTree) -> Result<(), Failure> {
    let summary = Summary { root: tree.root(), leaves: tree.leaves().len() };
    match global.output {
        output::Format::Json => output::json(&summary),
        output::Format::Table => output::line(&format!("root   {}\nleaves {}", summary.root, summary.leaves)),
    }
}

/// The tree of a file; one whose hashes do not follow from its leaves is refused.
fn load(path: &Path) -> Result<ClaimsTree, Failure> {
    let dump: TreeDump = serde_json::from_slice(&read(path)?).map_err(|error| {
        refused(path, &error)
            .help("expected a tree as `tale claims tree` or OpenZeppelin's merkle-tree writes it")
    })?;
    ClaimsTree::load(&dump).map_err(|error| refused(path, &error).code(FAILED))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())).code(UNUSABLE))
}

/// The failure of a file that was read and is wrong.
fn refused(path: &Path, error: &dyn Error) -> Failure {
    let mut message = format!("{}: {error}", path.display());
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.contains(&text) {
            message.push_str(&format!(": {text}"));
        }
        cause = error.source();
    }
    Failure::new(message).code(UNUSABLE)
}

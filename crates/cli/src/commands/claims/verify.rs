//! `tale claims verify`: a tree, derived again, and held against the chain.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tale_chain::{ChainVerdict, RootState, verify_on_chain};
use tale_primitives::UtcDay;
use tale_treasury::{ClaimsTree, MerkleHash, claims_tree};

use super::{contract::OnChain, load};
use crate::{
    arguments::Global,
    failure::{FAILED, Failure, UNUSABLE},
    installation::Installation,
    output,
};

/// Computes every hash of a tree again, from a file or from an epoch's rewards; with --rpc, asks the chain for its root.
///
/// A tree's file needs no database. Between confirmation and activation of a root, this is how somebody else finds out
/// whether what waits on the chain is what the rewards come to.
#[derive(Debug, Args)]
pub struct Verify {
    /// The tree, as `tale claims tree` writes it.
    #[arg(long, value_name = "FILE", conflicts_with = "epoch", required_unless_present = "epoch")]
    tree: Option<PathBuf>,
    /// A published epoch, YYYY-MM-DD, whose tree is built again from its rewards.
    #[arg(long, value_name = "DAY")]
    epoch: Option<UtcDay>,
    #[command(flatten)]
    on_chain: OnChain,
    /// Ask also what each account was paid: a request for each.
    #[arg(long, requires = "rpc")]
    accounts: bool,
}

#[derive(Serialize)]
struct Verified {
    root: MerkleHash,
    leaves: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<ChainVerdict>,
}

impl Verify {
    /// Verifies and prints what it found; a root that claims are not or will not be paid from is a failure.
    pub async fn run(&self, global: &Global) -> Result<(), Failure> {
        let (tree, chain) = match (&self.tree, self.epoch) {
            (Some(path), _) => {
                let tree = load(path)?;
                let chain =
                    if self.on_chain.is_asked_for() { Some(self.ask(&tree, None).await?) } else { None };
                (tree, chain)
            }
            (None, Some(epoch)) => self.derive(global, epoch).await?,
            (None, None) => return Err(Failure::new("neither a file nor an epoch is named").code(UNUSABLE)),
        };
        let verified = Verified { root: tree.root(), leaves: tree.leaves().len(), chain };
        match global.output {
            output::Format::Json => output::json(&verified)?,
            output::Format::Table => print(&verified)?,
        }
        verified.chain.as_ref().map_or(Ok(()), |verdict| judge(&verified, verdict))
    }

    async fn derive(
        &self,
        global: &Global,
        epoch: UtcDay,
    ) -> Result<(ClaimsTree, Option<ChainVerdict>), Failure> {
        let installation = Installation::look(global, "tale claims verify").await?;
        let derived = async {
            let mut connection = installation.connection().await?;
            let tree = claims_tree(&mut connection, epoch)
                .await
                .map_err(|error| Failure::of(&error).help("`tale epoch list` lists the epochs"))?;
            let chain = if self.on_chain.is_asked_for() {
                Some(self.ask(&tree, Some(&mut connection)).await?)
            } else {
                None
            };
            Ok((tree, chain))
        };
        let derived = derived.await;
        installation.close().await?;
        derived
    }

    async fn ask(
        &self,
        tree: &ClaimsTree,
        connection: Option<&mut sqlx::PgConnection>,
    ) -> Result<ChainVerdict, Failure> {
        let contract = self.on_chain.find(connection).await?;
        Ok(verify_on_chain(&contract, tree, self.accounts).await?)
    }
}

fn judge(verified: &Verified, verdict: &ChainVerdict) -> Result<(), Failure> {
    if let Some((account, paid)) = verdict.overpaid.first() {
        let count = verdict.overpaid.len();
        return Err(Failure::new(format!(
            "{count} accounts were paid more than the tree promises them, {account} first: {paid}"
        ))
        .code(FAILED));
    }
    match verdict.state {
        RootState::Current | RootState::Pending | RootState::Previous => Ok(()),
        RootState::Past => {
            Err(Failure::new(format!("root {} is over on the chain", verified.root)).code(FAILED))
        }
        RootState::Unknown => Err(Failure::new(format!("the chain does not know root {}", verified.root))
            .code(FAILED)
            .help("where another root waits there, the guardian can disable it before it is active")),
    }
}

fn print(verified: &Verified) -> Result<(), Failure> {
    output::line(&format!("root   {}\nleaves {}", verified.root, verified.leaves))?;
    let Some(verdict) = &verified.chain else { return Ok(()) };
    let state = match verdict.state {
        RootState::Unknown => "unknown",
        RootState::Pending => "confirmed, and not active yet",
        RootState::Current => "current: claims are paid from it",
        RootState::Previous => "previous: claims are still paid from it",
        RootState::Past => "over",
    };
    output::line(&format!("chain  {state}, as of block {}", verdict.block))?;
    for (token, balance) in &verdict.balances {
        output::line(&format!("funds  {balance} of {token}"))?;
    }
    Ok(())
}

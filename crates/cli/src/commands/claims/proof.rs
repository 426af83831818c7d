//! `tale claims proof`: what an account needs to claim.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tale_primitives::{Address, Amount, UtcDay};
use tale_treasury::{
    ClaimLeaf, ClaimsTree, MerkleHash, Ruleset, TreasuryError, claimable_epoch, claims_tree, verify_proof,
};

use super::load;
use crate::{
    amounts::Tokens,
    arguments::Global,
    failure::{FAILED, Failure, UNUSABLE},
    installation::Installation,
    output,
};

/// Proves what an account may claim: of a tree's file, of one epoch, or of the last epoch published that
/// nobody holds.
#[derive(Debug, Args)]
pub struct Proof {
    /// The account.
    account: Address,
    /// A tree, as `tale claims tree` writes it.
    #[arg(long, value_name = "FILE", conflicts_with = "epoch")]
    tree: Option<PathBuf>,
    /// A published epoch, YYYY-MM-DD; the last that nobody holds unless given.
    #[arg(long, value_name = "DAY")]
    epoch: Option<UtcDay>,
    /// Only the claim in this token.
    #[arg(long, value_name = "ADDRESS")]
    token: Option<Address>,
}

#[derive(Serialize)]
struct Proven {
    root: MerkleHash,
    epoch: Option<UtcDay>,
    claims: Vec<Claim>,
}

#[derive(Serialize)]
struct Claim {
    account: Address,
    token: Address,
    cumulative: Amount,
    proof: Vec<MerkleHash>,
}

impl Proof {
    /// Proves, verifies the proof, and prints it.
    pub async fn run(&self, global: &Global) -> Result<(), Failure> {
        let (tree, epoch) = match &self.tree {
            Some(path) => (load(path)?, None),
            None => {
                let (tree, day) = self.published(global).await?;
                (tree, Some(day))
            }
        };
        let proven = Proven { root: tree.root(), epoch, claims: self.claims(&tree)? };
        match global.output {
            output::Format::Json => output::json(&proven),
            output::Format::Table => print(&proven),
        }
    }

    async fn published(&self, global: &Global) -> Result<(ClaimsTree, UtcDay), Failure> {
        let installation = Installation::look(global, "tale claims proof").await?;
        let found = self.find_published(&installation).await;
        installation.close().await?;
        found
    }

    async fn find_published(&self, installation: &Installation) -> Result<(ClaimsTree, UtcDay), Failure> {
        let mut connection = installation.connection().await?;
        let day = match self.epoch {
            Some(day) => day,
            None => {
                // while a root is in dispute, the one before it
                claimable_epoch(&mut connection).await?.ok_or_else(|| {
                    Failure::new("no epoch with claims has been published yet")
                        .help("`tale epoch list` lists the epochs, `tale settle DAY` settles one; --tree reads a file instead")
                })?
            }
        };
        match claims_tree(&mut connection, day).await {
            Ok(tree) => Ok((tree, day)),
            Err(error @ (TreasuryError::NotSealed(_) | TreasuryError::NoClaims(_))) => {
                Err(Failure::of(&error).code(UNUSABLE).help("`tale epoch list` lists the epochs"))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn claims(&self, tree: &ClaimsTree) -> Result<Vec<Claim>, Failure> {
        let mut claims = Vec::new();
        for (place, leaf) in tree.leaves().iter().enumerate() {
            if leaf.account != self.account || self.token.is_some_and(|token| token != leaf.token) {
                continue;
            }
            let proof = tree.proof(place).unwrap_or_default();
            if !verify_proof(&tree.root(), leaf, &proof) {
                return Err(Failure::new(format!("the proof of leaf {place} does not lead to the root")));
            }
            let ClaimLeaf { account, token, cumulative } = *leaf;
            claims.push(Claim { account, token, cumulative, proof });
        }
        if claims.is_empty() {
            let token = self.token.map(|token| format!(" in token {token}")).unwrap_or_default();
            return Err(Failure::new(format!(
                "{} has nothing to claim{token} in this tree of {} leaves",
                self.account,
                tree.leaves().len()
            ))
            .code(FAILED));
        }
        Ok(claims)
    }
}

fn print(proven: &Proven) -> Result<(), Failure> {
    let ruleset = Ruleset::load(Ruleset::CURRENT_VERSION)?;
    let tokens = Tokens::current()?;
    if let Some(epoch) = proven.epoch {
        output::line(&format!("epoch      {epoch}"))?;
    }
    output::line(&format!("root       {}", proven.root))?;
    for claim in &proven.claims {
        // how many decimals another token has is not known here
        let whole = if claim.token == ruleset.token {
            format!(" ({} {})", tokens.write(claim.cumulative), ruleset.asset)
        } else {
            String::new()
        };
        output::line(&format!("account    {}", claim.account))?;
        output::line(&format!("token      {}", claim.token))?;
        output::line(&format!("cumulative {}{whole}", claim.cumulative))?;
        output::line(&format!("proof      {} hashes, verified", claim.proof.len()))?;
        for hash in &claim.proof {
            output::line(&format!("  {hash}"))?;
        }
    }
    Ok(())
}

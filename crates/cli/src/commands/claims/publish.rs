//! `tale claims publish`: an epoch's root goes to the distributor.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use serde_json::json;
use tale_chain::{Key, PublishOptions, Published, publish};
use tale_primitives::{SecretName, UtcDay};
use tale_treasury::{TreasuryError, list_epochs};
use tale_worker::SecretSources;

use super::contract::OnChain;
use crate::{
    amounts::Tokens,
    arguments::Global,
    failure::{Failure, UNUSABLE},
    installation::Installation,
    operator, output,
};

/// Sends the root of a published epoch to its distributor, and waits until it is final.
///
/// What the key may do decides what is sent: the proposer's key proposes the root, the confirmer's confirms it; run it
/// once with each. Before anything is sent, the root is derived from the rewards again, claims are read back from the
/// chain, and tree, ledger and distributor are held against each other. Running it again changes nothing, whenever an
/// earlier one was killed.
#[derive(Debug, Args)]
pub struct Publish {
    /// The epoch, YYYY-MM-DD; the last published one unless given.
    epoch: Option<UtcDay>,
    #[command(flatten)]
    on_chain: OnChain,
    /// The secret that holds the private key, 64 hexadecimal digits: a file in the directory of secrets, or
    /// TALE_SECRET_NAME in the environment.
    #[arg(long, value_name = "NAME", default_value = "distributor_key")]
    key_secret: SecretName,
    /// A directory with one file for each secret.
    #[arg(long, value_name = "DIR", env = "TALE_SECRETS_DIR")]
    secrets_dir: Option<PathBuf>,
    /// How many blocks on top of a transaction's make it final.
    #[arg(long, value_name = "BLOCKS", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    finality: u64,
    /// The most that is paid, in gwei per gas.
    #[arg(long, value_name = "GWEI", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    max_fee_gwei: u64,
    /// After how many seconds without being mined a transaction is sent again with higher fees.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    raise_after: u64,
    /// For how many seconds to wait for finality; what was sent stays sent, and running again goes on.
    #[arg(long, value_name = "SECONDS", default_value_t = 1_800, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    wait: u64,
    /// How many milliseconds to wait between two looks at the chain.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(10..=600_000))]
    poll: u64,
    /// From which block on the distributor's claims are read; needed once, where it has paid claims before.
    #[arg(long, value_name = "BLOCK", value_parser = clap::value_parser!(u64).range(0..=i64::MAX as u64))]
    from_block: Option<u64>,
}

impl Publish {
    /// Publishes and prints what came of it.
    pub async fn run(&self, global: &Global) -> Result<(), Failure> {
        let key = self.key()?;
        let installation = Installation::look(global, "tale claims publish").await?;
        let published = self.publish(&installation, &key).await;
        installation.close().await?;
        let published = published?;
        match global.output {
            output::Format::Json => output::json(&published),
            output::Format::Table => print(&published),
        }
    }

    fn key(&self) -> Result<Key, Failure> {
        let sources = match &self.secrets_dir {
            Some(directory) => SecretSources { directory: Some(directory.clone()) },
            None => SecretSources::from_environment(),
        };
        let secret = sources.read(&self.key_secret).map_err(|error| Failure::of(&error).code(UNUSABLE))?;
        Ok(Key::parse(&secret)?)
    }

    async fn publish(&self, installation: &Installation, key: &Key) -> Result<Published, Failure> {
        let mut connection = installation.connection().await?;
        let epoch = match self.epoch {
            Some(epoch) => epoch,
            None => {
                let epochs = list_epochs(&mut connection).await?;
                let last =
                    epochs.into_iter().filter(|epoch| epoch.root.is_some()).map(|epoch| epoch.day).max();
                last.ok_or_else(|| {
                    Failure::new("no epoch with claims has been published yet")
                        .code(UNUSABLE)
                        .help("`tale run nightly-settlement` settles a day")
                })?
            }
        };
        let contract = self.on_chain.find(Some(&mut connection)).await?;
        let options = PublishOptions {
            finality_blocks: self.finality,
            raise_after: Duration::from_secs(self.raise_after),
            wait: Duration::from_secs(self.wait),
            max_fee_limit: u128::from(self.max_fee_gwei) * 1_000_000_000,
            first_block: self.from_block,
            poll: Duration::from_millis(self.poll),
        };
        let published = match publish(&mut connection, &contract, key, epoch, &options).await {
            Err(tale_chain::ChainError::Treasury(error))
                if matches!(*error, TreasuryError::NotSealed(_) | TreasuryError::NoClaims(_)) =>
            {
                return Err(Failure::of(&*error).code(UNUSABLE).help("`tale epoch list` lists the epochs"));
            }
            published => published?,
        };
        if let Some(submission) = published.submission.as_ref().filter(|submission| !submission.was_final) {
            let details = json!({
                "chain": contract.chain_id(),
                "contract": contract.address(),
                "key": key.address(),
                "action": submission.action,
                "root": published.publication.root,
                "transaction": submission.transaction,
            });
            operator::audit(&mut connection, "claims.publish", &epoch.to_string(), &details).await?;
        }
        Ok(published)
    }
}

fn print(published: &Published) -> Result<(), Failure> {
    let tokens = Tokens::current()?;
    let Published { publication, standing, claims, submission } = published;
    output::line(&format!("epoch       {}", publication.epoch))?;
    output::line(&format!("root        {}", publication.root))?;
    output::line(&format!("promised    {}", tokens.write(standing.cumulative)))?;
    output::line(&format!("claimed     {}", tokens.write(standing.claimed)))?;
    output::line(&format!("funds       {}", tokens.write(standing.balance)))?;
    output::line(&format!("owed        {}", tokens.write(standing.liability)))?;
    output::line(&format!(
        "read        {} new claims up to block {}, {} posted",
        claims.found, claims.head, claims.posted
    ))?;
    match submission {
        None => output::line("on chain    it was there already"),
        Some(submission) => {
            let already = if submission.was_final { ", before this" } else { "" };
            output::line(&format!("{:<11} {}", submission.action.to_string(), submission.transaction))?;
            output::line(&format!("final       in block {}{already}", submission.block_number))
        }
    }
}

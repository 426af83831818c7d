//! `tale epoch`: settled days.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use tale_primitives::UtcDay;
use tale_treasury::{Epoch as SettledDay, EpochResult, find_epoch, list_epochs, load_result};

use crate::{amounts::Tokens, arguments::Global, failure::Failure, installation::Installation, output};

/// Shows settlement epochs: UTC days, their pools, rewards and roots.
#[derive(Debug, Args)]
pub struct Epoch {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists the epochs, by day.
    List,
    /// Shows one epoch with its rewards.
    Show {
        /// The UTC day, YYYY-MM-DD.
        day: UtcDay,
    },
}

#[derive(Serialize)]
struct Shown {
    epoch: SettledDay,
    result: Option<EpochResult>,
}

impl Epoch {
    /// Does what was asked for.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        match self.what {
            What::List => list(global).await?,
            What::Show { day } => show(global, day).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn list(global: &Global) -> Result<(), Failure> {
    let installation = Installation::look(global, "tale epoch list").await?;
    let epochs = list_epochs(&mut *installation.connection().await?).await;
    installation.close().await?;
    let tokens = Tokens::current()?;
    output::write(global.output, &epochs?, |epochs| {
        let mut table =
            output::table(&["epoch", "state", "pool", "paid", "carried over", "accounts", "root"]);
        for epoch in epochs {
            table.add_row([
                epoch.day.to_string(),
                epoch.state.to_string(),
                tokens.write_known(epoch.pool),
                tokens.write_known(epoch.paid),
                tokens.write_known(epoch.carried),
                epoch.leaf_count.map(|count| count.to_string()).unwrap_or_default(),
                epoch.root.map(|root| root.to_string()).unwrap_or_default(),
            ]);
        }
        table
    })
}

async fn show(global: &Global, day: UtcDay) -> Result<(), Failure> {
    let installation = Installation::look(global, "tale epoch show").await?;
    let mut connection = installation.connection().await?;
    let epoch = find_epoch(&mut connection, day).await;
    let result = load_result(&mut connection, day).await;
    drop(connection);
    installation.close().await?;
    let Some(epoch) = epoch? else {
        return Err(Failure::new(format!("{day} has not been settled")).help(format!(
            "`tale run nightly-settlement -p epoch={day}` settles it; `tale epoch list` lists the others"
        )));
    };
    let shown = Shown { epoch, result: result? };
    if global.output == output::Format::Json {
        return output::json(&shown);
    }
    print(&shown)
}

fn print(shown: &Shown) -> Result<(), Failure> {
    let tokens = Tokens::current()?;
    let epoch = &shown.epoch;
    let asset = epoch.asset.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut table = output::table(&["", ""]);
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            table.add_row([name.to_owned(), value]);
        }
    };
    let time = |at: chrono::DateTime<chrono::Utc>| at.format("%Y-%m-%d %H:%M:%S UTC").to_string();
    let money = |amount| format!("{} {asset}", tokens.write(amount));
    row("epoch", Some(epoch.day.to_string()));
    row("state", Some(epoch.state.to_string()));
    row("ruleset", Some(epoch.ruleset.to_string()));
    row("pool", epoch.pool.map(money));
    row("paid", epoch.paid.map(money));
    row("carried over", epoch.carried.map(money));
    row("token", epoch.token.map(|token| token.to_string()));
    row("journal", epoch.journal_id.map(|id| id.to_string()));
    row("accounts", epoch.leaf_count.map(|count| count.to_string()));
    row("Merkle root", epoch.root.map(|root| root.to_string()));
    row("inputs", Some(epoch.inputs_digest.to_string()));
    row("result", epoch.result_digest.map(|digest| digest.to_string()));
    row("sealed", Some(time(epoch.sealed_at)));
    row("published", epoch.published_at.map(time));
    output::line(&table.to_string())?;
    if let Some(result) = &shown.result {
        let mut table = output::table(&["owner", "points", &asset]);
        for reward in &result.rewards {
            table.add_row([
                reward.owner.to_string(),
                reward.shares.training.points.to_string(),
                tokens.write(reward.net),
            ]);
        }
        output::line(&table.to_string())?;
    }
    Ok(())
}
